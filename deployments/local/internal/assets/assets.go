// Package assets provides the binaries of a Kubernetes control plane: those a
// developer already has, else downloaded ones, else built from Go modules.
package assets

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
)

// KubernetesVersion is what is built, and downloaded if there is such a release
// of it (else the newest of the same minor version). modules/kubernetes.mod
// pins the same one.
const KubernetesVersion = "1.37.2"

// The names of the binaries.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	kubectl           = "kubectl"
)

var all = []string{etcd, apiServer, controllerManager, kubectl}

// Options say where to look and to keep.
type Options struct {
	// CacheDir keeps what was downloaded or built, per version and platform.
	CacheDir string
	// Given is a directory of binaries to prefer, as in KUBEBUILDER_ASSETS;
	// it counts when it holds etcd and kube-apiserver. May be empty.
	Given string
	// Report is told what is being done, Note what a person should know.
	Report, Note func(format string, args ...any)

	// download and build stand in for the real ones in tests.
	download, build func(context.Context, request) error
}

// request asks a source for what it can provide of the missing binaries. What
// it can't is left to the next source.
type request struct {
	missing []string
	version string // of Kubernetes, without the v
	dir     string // where the binaries go
	report  func(format string, args ...any)
}

// Ensure returns the absolute path of a directory with etcd, kube-apiserver,
// kube-controller-manager and kubectl. Any number of processes may call it
// with the same cache at once: one works, the others wait for it.
func Ensure(ctx context.Context, o Options) (string, error) {
	given := o.given()
	if given != "" && len(missing(given)) == 0 {
		return given, nil
	}
	cache, err := filepath.Abs(o.CacheDir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("create the cache for Kubernetes binaries: %w", err)
	}
	r := request{version: KubernetesVersion, report: o.Report}
	if given != "" {
		if r.version, err = versionOf(ctx, filepath.Join(given, apiServer)); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(cache, cacheKey(r.version, given))

	lock, err := process.WaitLock(ctx, dir+".lock", func(err error) {
		o.Report("waiting for another process that is preparing the Kubernetes binaries (%v)", err)
	})
	if err != nil {
		return "", fmt.Errorf("lock the cache for Kubernetes binaries: %w", err)
	}
	defer lock.Release()
	if len(missing(dir)) == 0 {
		return dir, nil
	}

	r.dir = dir + ".making"
	if err := os.RemoveAll(r.dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return "", err
	}
	defer os.RemoveAll(r.dir)
	if err := o.collect(ctx, given, r); err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Rename(r.dir, dir)
}

// collect asks one source after the other until nothing is missing.
func (o Options) collect(ctx context.Context, given string, r request) error {
	if given != "" {
		if err := linkFrom(given, r.dir); err != nil {
			return err
		}
	}
	download, build := o.download, o.build
	if download == nil {
		download = publicHosts().download
	}
	if build == nil {
		build = buildFromModules
	}

	r.missing = missing(r.dir)
	if err := download(ctx, r); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o.Note("no download (%v), building from modules instead", err)
	}
	if r.missing = missing(r.dir); len(r.missing) == 0 {
		return nil
	}
	if err := build(ctx, r); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("build %s from modules, or set KUBEBUILDER_ASSETS to a directory that has them: %w",
			strings.Join(r.missing, ", "), err)
	}
	if lacking := missing(r.dir); len(lacking) > 0 {
		return fmt.Errorf("the build made no %s", strings.Join(lacking, ", "))
	}
	return nil
}

// given is the preferred directory if it is of use.
func (o Options) given() string {
	if o.Given == "" {
		return ""
	}
	dir, err := filepath.Abs(o.Given)
	lacking := missing(dir)
	if err != nil || slices.Contains(lacking, etcd) || slices.Contains(lacking, apiServer) {
		o.Note("KUBEBUILDER_ASSETS=%s has no etcd and kube-apiserver, not using it", o.Given)
		return ""
	}
	return dir
}

func missing(dir string) []string {
	var names []string
	for _, name := range all {
		stat, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !stat.Mode().IsRegular() || stat.Mode().Perm()&0o100 == 0 {
			names = append(names, name)
		}
	}
	return names
}

func linkFrom(given, dir string) error {
	for _, name := range all {
		target := filepath.Join(given, name)
		if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// versionOf asks a Kubernetes binary, which prints "Kubernetes v1.37.2".
func versionOf(ctx context.Context, binary string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", binary, err)
	}
	_, version, ok := strings.Cut(strings.TrimSpace(string(out)), " v")
	if !ok {
		return "", fmt.Errorf("%s --version: not a Kubernetes version: %q", binary, out)
	}
	return version, nil
}

func cacheKey(version, given string) string {
	key := fmt.Sprintf("kubernetes-v%s-%s-%s", version, runtime.GOOS, runtime.GOARCH)
	if given == "" {
		return key
	}
	return fmt.Sprintf("%s-%.8x", key, sha256.Sum256([]byte(given)))
}
