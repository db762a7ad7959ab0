package assets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestDownloadGetsEveryBinary(t *testing.T) {
	host := newHost(t, "1.37.0", "1.37.2", "1.38.0")
	dir := ensure(t, Options{download: host.hosts().download, build: mustNotBuild(t)})
	for _, name := range all {
		if got, want := content(t, dir, name), name+" 1.37.2"; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestDownloadTakesTheNewestPatchWhenOursIsNotThere(t *testing.T) {
	host := newHost(t, "1.36.9", "1.37.0", "1.37.1", "1.38.0")
	dir := ensure(t, Options{download: host.hosts().download, build: mustNotBuild(t)})
	// All of one version: a controller manager must not be newer than its API server.
	for _, name := range all {
		if got, want := content(t, dir, name), name+" 1.37.1"; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestTamperedDownloadIsNotUsed(t *testing.T) {
	for name, tamper := range map[string]func(*host){
		"archive":                 func(h *host) { h.files["/envtest-1.37.2"] = append(h.files["/envtest-1.37.2"], "more"...) },
		"kube-controller-manager": func(h *host) { h.files[releasePath("1.37.2", controllerManager)] = []byte("evil") },
	} {
		t.Run(name, func(t *testing.T) {
			host := newHost(t, "1.37.2")
			tamper(host)
			var built []string
			dir := ensure(t, Options{download: host.hosts().download, build: fakeBuild(&built)})
			if !slices.Contains(built, controllerManager) || content(t, dir, controllerManager) != "built" {
				t.Errorf("built %v; kube-controller-manager is %q", built, content(t, dir, controllerManager))
			}
		})
	}
}

// There are no server binaries for macOS among the releases, for one.
func TestOnlyWhatHasNoDownloadIsBuilt(t *testing.T) {
	host := newHost(t, "1.37.2")
	delete(host.files, releasePath("1.37.2", controllerManager))
	var built []string
	dir := ensure(t, Options{download: host.hosts().download, build: fakeBuild(&built)})
	if want := []string{controllerManager}; !slices.Equal(built, want) {
		t.Errorf("built %v, want %v", built, want)
	}
	if got := content(t, dir, etcd); got != "etcd 1.37.2" {
		t.Errorf("etcd is %q", got)
	}
}

func TestHostThatDoesNotAnswerCostsLittle(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	hosts := hosts{index: silent.URL, releases: silent.URL, client: silent.Client(), answer: 50 * time.Millisecond, stall: time.Second}
	var built []string
	var notes bytes.Buffer
	began := time.Now()
	ensure(t, Options{
		download: hosts.download, build: fakeBuild(&built),
		Note: func(format string, args ...any) { fmt.Fprintf(&notes, format, args...) },
	})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to give up", took)
	}
	if len(built) != len(all) || !strings.Contains(notes.String(), "building from modules") {
		t.Errorf("built %v, said %q", built, &notes)
	}
}

func TestDownloadThatStandsStillIsGivenUp(t *testing.T) {
	host := newHost(t, "1.37.2")
	host.stallAt = releasePath("1.37.2", controllerManager)
	hosts := host.hosts()
	hosts.stall = 50 * time.Millisecond
	var built []string
	ensure(t, Options{download: hosts.download, build: fakeBuild(&built)})
	if !slices.Contains(built, controllerManager) {
		t.Errorf("built %v, want kube-controller-manager among them", built)
	}
}

func TestGivenBinariesArePreferred(t *testing.T) {
	given := fakeBinaries(t, "1.36.4", etcd, apiServer)
	host := newHost(t, "1.36.4", "1.37.2")
	dir := ensure(t, Options{Given: given, download: host.hosts().download, build: mustNotBuild(t)})
	if target, err := os.Readlink(filepath.Join(dir, apiServer)); err != nil || target != filepath.Join(given, apiServer) {
		t.Errorf("kube-apiserver is %q, %v, want a link to the given one", target, err)
	}
	// The rest fits the given API server.
	if got := content(t, dir, controllerManager); got != controllerManager+" 1.36.4" {
		t.Errorf("kube-controller-manager is %q", got)
	}

	complete := fakeBinaries(t, "1.36.4", all...)
	if got := ensure(t, Options{Given: complete, build: mustNotBuild(t)}); got != complete {
		t.Errorf("got %s, want the given directory itself", got)
	}
}

func TestUselessGivenDirectoryIsPassedOver(t *testing.T) {
	host := newHost(t, "1.37.2")
	noted := ""
	dir := ensure(t, Options{
		Given: t.TempDir(), download: host.hosts().download, build: mustNotBuild(t),
		Note: func(format string, args ...any) { noted = fmt.Sprintf(format, args...) },
	})
	if content(t, dir, etcd) != "etcd 1.37.2" || !strings.Contains(noted, "KUBEBUILDER_ASSETS") {
		t.Errorf("etcd is %q, said %q", content(t, dir, etcd), noted)
	}
}

func TestManyAtOnceWorkOnce(t *testing.T) {
	cache := t.TempDir()
	var builds atomic.Int32
	offline := func(context.Context, request) error { return errors.New("offline") }
	build := func(ctx context.Context, r request) error {
		builds.Add(1)
		return fakeBuild(new([]string))(ctx, r)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { ensure(t, Options{CacheDir: cache, download: offline, build: build}) })
	}
	all.Wait()
	if builds.Load() != 1 {
		t.Errorf("%d builds for one cache", builds.Load())
	}
}

func TestFailedBuildLeavesNothingBehind(t *testing.T) {
	cache := t.TempDir()
	offline := func(context.Context, request) error { return errors.New("offline") }
	half := func(_ context.Context, r request) error {
		_ = os.WriteFile(filepath.Join(r.dir, etcd), nil, 0o755)
		return errors.New("disk full")
	}
	o := options(t, Options{CacheDir: cache, download: offline, build: half})
	if _, err := Ensure(context.Background(), o); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v, want the reason", err)
	}
	entries, _ := os.ReadDir(cache)
	for _, entry := range entries {
		if entry.IsDir() {
			t.Errorf("%s is left in the cache", entry.Name())
		}
	}
}

// host stands in for setup-envtest's index, its archives and dl.k8s.io.
type host struct {
	server  *httptest.Server
	files   map[string][]byte
	stallAt string // this path answers with its first byte only
}

func newHost(t *testing.T, versions ...string) *host {
	t.Helper()
	h := &host{files: map[string][]byte{}}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	var index strings.Builder
	index.WriteString("releases:\n")
	for _, version := range versions {
		archive := archiveOf(t, version)
		h.files["/envtest-"+version] = archive
		fmt.Fprintf(&index, "  v%s:\n    envtest-v%s-%s-%s.tar.gz:\n      hash: %x\n      selfLink: %s/envtest-%s\n",
			version, version, runtime.GOOS, runtime.GOARCH, sha512.Sum512(archive), h.server.URL, version)
		for _, name := range []string{controllerManager, kubectl} {
			binary := []byte(name + " " + version)
			h.files[releasePath(version, name)] = binary
			h.files[releasePath(version, name)+".sha256"] = fmt.Appendf(nil, "%x", sha256.Sum256(binary))
		}
	}
	h.files["/index.yaml"] = []byte(index.String())
	return h
}

func (h *host) hosts() hosts {
	return hosts{
		index: h.server.URL + "/index.yaml", releases: h.server.URL + "/release", client: h.server.Client(),
		answer: 10 * time.Second, stall: 10 * time.Second,
	}
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := h.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.URL.Path == h.stallAt {
		_, _ = w.Write(file[:1])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	_, _ = w.Write(file)
}

func releasePath(version, name string) string {
	return fmt.Sprintf("/release/v%s/bin/%s/%s/%s", version, runtime.GOOS, runtime.GOARCH, name)
}

func archiveOf(t *testing.T, version string) []byte {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	entries := tar.NewWriter(zipped)
	for _, name := range []string{etcd, apiServer, kubectl} {
		text := name + " " + version
		header := &tar.Header{Name: "controller-tools/envtest/" + name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if err := entries.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := entries.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(entries.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func fakeBinaries(t *testing.T, version string, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		script := "#!/bin/sh\necho Kubernetes v" + version + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func fakeBuild(built *[]string) func(context.Context, request) error {
	return func(_ context.Context, r request) error {
		*built = r.missing
		for _, name := range r.missing {
			if err := os.WriteFile(filepath.Join(r.dir, name), []byte("built"), 0o700); err != nil {
				return err
			}
		}
		return nil
	}
}

func mustNotBuild(t *testing.T) func(context.Context, request) error {
	return func(_ context.Context, r request) error {
		t.Errorf("%v would be built", r.missing)
		return errors.New("no build in this test")
	}
}

func options(t *testing.T, o Options) Options {
	if o.CacheDir == "" {
		o.CacheDir = t.TempDir()
	}
	if o.Report == nil {
		o.Report = func(string, ...any) {}
	}
	if o.Note == nil {
		o.Note = func(string, ...any) {}
	}
	return o
}

func ensure(t *testing.T, o Options) string {
	t.Helper()
	dir, err := Ensure(context.Background(), options(t, o))
	if err != nil {
		t.Error(err)
	}
	return dir
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
