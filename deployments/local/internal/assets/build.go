package assets

import (
	"bufio"
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
)

// The go.mod and go.sum of small modules that name the commands as tools, so
// that every build is of the same sources. They can't be called go.mod here:
// a directory with one is another module, which embed leaves out. To move to
// another version, copy them as go.mod and go.sum to an empty directory, change
// the versions there and run `go mod tidy`.
//
//go:embed modules/*.mod modules/*.sum
var modules embed.FS

// product is a module of which commands are built.
type product struct {
	module   string // modules/<module>.mod
	commands []command
	ldflags  string
}

type command struct{ binary, path string }

func products(version string) []product {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	const stamp = " -X k8s.io/component-base/version."
	return []product{
		{
			module:   "etcd",
			commands: []command{{etcd, "go.etcd.io/etcd/server/v3"}},
			ldflags:  "-s -w",
		},
		{
			module: "kubernetes",
			commands: []command{
				{apiServer, "k8s.io/kubernetes/cmd/kube-apiserver"},
				{controllerManager, "k8s.io/kubernetes/cmd/kube-controller-manager"},
				{kubectl, "k8s.io/kubernetes/cmd/kubectl"},
			},
			ldflags: "-s -w" + stamp + "gitVersion=v" + version + stamp + "gitMajor=" + major + stamp + "gitMinor=" + minor,
		},
	}
}

// buildFromModules always builds KubernetesVersion: the modules pin it.
func buildFromModules(ctx context.Context, r request) error {
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("the Go toolchain is needed: %w", err)
	}
	for _, product := range products(KubernetesVersion) {
		product.commands = slices.DeleteFunc(product.commands, func(c command) bool {
			return !slices.Contains(r.missing, c.binary)
		})
		if len(product.commands) == 0 {
			continue
		}
		if err := product.build(ctx, goCommand, r); err != nil {
			return err
		}
	}
	return nil
}

// build makes all commands in one go, which compiles what they share once and
// links them at the same time.
func (p product) build(ctx context.Context, goCommand string, r request) error {
	module, err := os.MkdirTemp(r.dir, "module-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(module)
	for _, suffix := range []string{"mod", "sum"} {
		text, err := modules.ReadFile("modules/" + p.module + "." + suffix)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(module, "go."+suffix), text, 0o644); err != nil {
			return err
		}
	}

	var names, paths []string
	for _, c := range p.commands {
		names, paths = append(names, c.binary), append(paths, c.path)
	}
	name := strings.Join(names, ", ")
	// Into a directory, each gets the last element of its path for a name.
	output := r.dir + string(filepath.Separator)
	if len(p.commands) == 1 {
		output = filepath.Join(r.dir, name)
	}
	r.report("building %s from modules, which takes minutes the first time", name)
	// The same flags each time, so that Go's build cache serves every clone.
	// -trimpath also keeps the temporary directory out of its keys.
	flags := []string{"build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=" + p.ldflags, "-o", output}
	build := exec.CommandContext(ctx, goCommand, append(flags, paths...)...)
	build.Dir = module
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	printed, err := build.StderrPipe()
	if err != nil {
		return err
	}
	if err := process.StartGroup(build, 2*time.Second); err != nil {
		return err
	}
	last := reportBuild(printed, name, r.report)
	if err := build.Wait(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", name, err, last)
	}
	return nil
}

// reportBuild tells how far a `go build -v` is, which prints a line for each
// module that it downloads and each package that it compiles, and returns its
// last lines: the errors, if there are any.
func reportBuild(output io.Reader, name string, report func(string, ...any)) string {
	var last []string
	compiled := 0
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		line := lines.Text()
		if module, ok := strings.CutPrefix(line, "go: downloading "); ok {
			report("building %s: downloading %s", name, module)
			continue
		}
		compiled++
		report("building %s: %d packages compiled, now %s", name, compiled, line)
		last = append(last[max(0, len(last)-9):], line)
	}
	return strings.Join(last, "\n")
}
