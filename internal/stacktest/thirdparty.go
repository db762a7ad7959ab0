package stacktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ThirdParty are the folders of the modules in which other projects publish manifests of theirs, by module
// path. internal/roundtrip/crds/go.mod names them.
func ThirdParty(ctx context.Context) (map[string]string, error) {
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json")
	download.Dir = filepath.Join(Root(), "internal", "roundtrip", "crds")
	download.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	download.Stderr = os.Stderr
	out, err := download.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	folders := map[string]string{}
	for modules := json.NewDecoder(strings.NewReader(string(out))); ; {
		var module struct{ Path, Dir string }
		if err := modules.Decode(&module); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, err
		}
		folders[module.Path] = module.Dir
	}
}
