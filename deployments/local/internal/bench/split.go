package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// splitList cuts what `kubectl get -o yaml` prints for many objects into one
// text each, without parsing it: the bytes stay kubectl's. An item begins with
// "- " at the start of a line and its other lines are indented by two.
func splitList(list []byte, each func(path string, content []byte) error) error {
	var item bytes.Buffer
	flush := func() error {
		if item.Len() == 0 {
			return nil
		}
		defer item.Reset()
		path, err := filePath(item.Bytes())
		if err != nil {
			return err
		}
		return each(path, item.Bytes())
	}
	items := false
	for line := range bytes.Lines(list) {
		switch {
		case !items:
			items = bytes.HasPrefix(line, []byte("items:"))
			continue
		case bytes.HasPrefix(line, []byte("- ")):
			if err := flush(); err != nil {
				return err
			}
			line = line[2:]
		case bytes.HasPrefix(line, []byte("  ")):
			line = line[2:]
		case len(bytes.TrimSpace(line)) > 0: // the list's own kind
			return flush()
		}
		item.Write(line)
	}
	return flush()
}

// filePath is <namespace>/<kind>[.<group>]/<name>.yaml, from the lines of an
// object that say so.
func filePath(object []byte) (string, error) {
	var version, kind, name, namespace, section string
	for line := range bytes.Lines(object) {
		text := strings.TrimRight(string(line), "\n")
		key, value, _ := strings.Cut(text, ":")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch {
		case key == "apiVersion":
			version = value
		case key == "kind":
			kind = value
		case section == "metadata" && key == "  name":
			name = value
		case section == "metadata" && key == "  namespace":
			namespace = value
		}
		if text != "" && text[0] != ' ' && text[0] != '-' {
			section = key
		}
	}
	if kind == "" || name == "" {
		return "", errors.New("an object without kind or name in kubectl's answer")
	}
	folder := kind
	if group, _, ok := strings.Cut(version, "/"); ok {
		folder += "." + group
	}
	if namespace == "" {
		namespace = "_cluster"
	}
	return filepath.Join(namespace, folder, strings.ReplaceAll(name, "/", "_")+".yaml"), nil
}

// writeIfNew leaves a file alone that has the content.
func writeIfNew(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
