package assets

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/remote"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/versions"
)

// hosts are where binaries are downloaded from.
type hosts struct {
	// index is setup-envtest's list of archives with etcd, kube-apiserver and kubectl.
	index string
	// releases has the Kubernetes project's own binaries; there are servers
	// for Linux only.
	releases string
	client   *http.Client
	// answer is how long a host may take to answer at all, stall how long a
	// download may stand still. Together they bound what a machine without
	// the internet loses before it builds instead.
	answer, stall time.Duration
}

func publicHosts() hosts {
	return hosts{
		index:    remote.DefaultIndexURL,
		releases: "https://dl.k8s.io/release",
		client:   http.DefaultClient,
		answer:   10 * time.Second,
		stall:    15 * time.Second,
	}
}

// download gets what is missing and to be had. The first failure ends it, and
// what came before stays.
func (h hosts) download(ctx context.Context, r request) error {
	version := r.version
	if slices.Contains(r.missing, etcd) || slices.Contains(r.missing, apiServer) {
		var err error
		if version, err = h.downloadArchive(ctx, r); err != nil {
			return err
		}
	}
	for _, name := range []string{controllerManager, kubectl} {
		if !slices.Contains(missing(r.dir), name) {
			continue
		}
		if err := h.downloadRelease(ctx, r, name, version); err != nil {
			return err
		}
	}
	return nil
}

// downloadArchive unpacks the archive that setup-envtest would, and returns the
// version in it.
func (h hosts) downloadArchive(ctx context.Context, r request) (string, error) {
	r.report("looking for a download")
	envtest := &remote.HTTPClient{Log: logr.Discard(), IndexURL: h.index}
	asking, cancel := context.WithTimeout(ctx, h.answer)
	sets, err := envtest.ListVersions(asking)
	cancel()
	if err != nil {
		return "", err
	}
	version, platform, err := choose(sets, r.version)
	if err != nil {
		return "", err
	}

	file, err := os.Create(filepath.Join(r.dir, "envtest.tar.gz"))
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	name := "envtest " + version.String()
	err = h.whileMoving(ctx, r, name, func(ctx context.Context, counted io.Writer) error {
		// Checks the archive's SHA-512 from the index.
		return envtest.GetVersion(ctx, version, platform, io.MultiWriter(file, counted))
	})
	if err != nil {
		return "", err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if err := unpack(file, r.dir); err != nil {
		return "", fmt.Errorf("unpack %s: %w", name, err)
	}
	return version.String(), nil
}

// choose takes the wanted version, else the newest of its minor version.
func choose(sets []versions.Set, want string) (versions.Concrete, versions.PlatformItem, error) {
	minor := want[:strings.LastIndex(want, ".")+1]
	var version versions.Concrete
	var platform versions.PlatformItem
	for _, set := range sets { // the newest first
		name := set.Version.String()
		for _, item := range set.Platforms {
			switch {
			case item.OS != runtime.GOOS || item.Arch != runtime.GOARCH:
			case name == want:
				return set.Version, item, nil
			case platform.OS == "" && strings.HasPrefix(name, minor):
				version, platform = set.Version, item
			}
		}
	}
	if platform.OS == "" {
		return version, platform, fmt.Errorf("no Kubernetes %sx for %s/%s in the index", minor, runtime.GOOS, runtime.GOARCH)
	}
	return version, platform, nil
}

func (h hosts) downloadRelease(ctx context.Context, r request, name, version string) error {
	url := fmt.Sprintf("%s/v%s/bin/%s/%s/%s", h.releases, version, runtime.GOOS, runtime.GOARCH, name)
	var sum strings.Builder
	err := h.whileMoving(ctx, r, name+".sha256", func(ctx context.Context, counted io.Writer) error {
		return h.get(ctx, url+".sha256", io.MultiWriter(&sum, counted))
	})
	if err != nil {
		return err
	}

	want, _, _ := strings.Cut(strings.TrimSpace(sum.String()), " ")
	return place(r.dir, name, func(file io.Writer) error {
		digest := sha256.New()
		err := h.whileMoving(ctx, r, name+" "+version, func(ctx context.Context, counted io.Writer) error {
			return h.get(ctx, url, io.MultiWriter(file, digest, counted))
		})
		if got := hex.EncodeToString(digest.Sum(nil)); err == nil && got != want {
			return fmt.Errorf("%s: its SHA-256 is %s, not the announced %s", url, got, want)
		}
		return err
	})
}

func (h hosts) get(ctx context.Context, url string, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := h.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	_, err = io.Copy(out, response.Body)
	return err
}

// whileMoving runs a download, reports how much has come, and cancels it when
// it doesn't start or stands still.
func (h hosts) whileMoving(ctx context.Context, r request, name string, download func(context.Context, io.Writer) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slow := time.AfterFunc(h.answer, func() { cancel(fmt.Errorf("%s does not come", name)) })
	defer slow.Stop()
	total := 0
	counted := writerFunc(func(p []byte) (int, error) {
		slow.Reset(h.stall)
		total += len(p)
		r.report("downloading %s: %d MB", name, total>>20)
		return len(p), nil
	})
	if err := download(ctx, counted); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// unpack takes our binaries out of an archive, in which they are in some
// directory.
func unpack(archive io.Reader, dir string) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	entries := tar.NewReader(unzipped)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Base(entry.Name)
		if entry.Typeflag != tar.TypeReg || !slices.Contains(all, name) {
			continue
		}
		err = place(dir, name, func(file io.Writer) error {
			_, err := io.Copy(file, entries)
			return err
		})
		if err != nil {
			return err
		}
	}
}

// place makes an executable that has its name only once it is whole.
func place(dir, name string, write func(io.Writer) error) error {
	half := filepath.Join(dir, name+".half")
	file, err := os.OpenFile(half, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		os.Remove(half)
		return err
	}
	return os.Rename(half, filepath.Join(dir, name))
}
