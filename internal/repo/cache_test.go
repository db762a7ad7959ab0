package repo_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

func TestCacheSurvivesARestart(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	dir := t.TempDir()
	m := many(100, "1")
	tip := o.commit(m)

	options := o.options()
	options.URL, options.Dir = front.url, dir
	r, err := repo.Open(options)
	require.NoError(t, err)
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.NoError(t, r.Close())
	front.counted()

	again := o.open(by(front), in(dir))
	require.NoError(t, again.Fetch(t.Context(), tip))
	require.Empty(t, front.counted())
	require.Equal(t, m, read(t, again, tip))
	m["new.yaml"] = "1\n"
	o.push(again, m.push(tip))
}

func TestDamagedCacheIsRebuilt(t *testing.T) {
	t.Parallel()
	damages := map[string]func(o *origin, store string){
		"pack cut short": func(o *origin, store string) {
			require.NoError(o, os.Truncate(o.one(store, "objects/pack/*.pack"), 100))
		},
		"byte flipped":          func(o *origin, store string) { o.flip(o.one(store, "objects/pack/*.pack")) },
		"index byte flipped":    func(o *origin, store string) { o.flip(o.one(store, "objects/pack/*.idx")) },
		"pack lost":             func(o *origin, store string) { require.NoError(o, os.Remove(o.one(store, "objects/pack/*.pack"))) },
		"index lost":            func(o *origin, store string) { require.NoError(o, os.Remove(o.one(store, "objects/pack/*.idx"))) },
		"reference is nonsense": func(o *origin, store string) { o.overwrite(store+"/refs/heads/last", "nonsense") },
		"reference is cut":      func(o *origin, store string) { o.overwrite(store+"/refs/heads/last", "") },
		"boundary is nonsense":  func(o *origin, store string) { o.overwrite(store+"/shallow", "nonsense\n") },
		"origin lost":           func(o *origin, store string) { require.NoError(o, os.Remove(store+"/active-cluster-sync.json")) },
		"half written pack":     func(o *origin, store string) { o.overwrite(store+"/objects/pack/tmp_pack_1", "PACK") },
		"all lost":              func(o *origin, store string) { require.NoError(o, os.RemoveAll(store)) },
		"something else": func(o *origin, store string) {
			require.NoError(o, os.RemoveAll(store))
			o.overwrite(store, "a file")
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			dir := t.TempDir()
			m := many(60, "1")
			tip := o.commit(m)
			r, err := repo.Open(with(o.options(), dir))
			require.NoError(t, err)
			require.NoError(t, r.Fetch(t.Context(), tip))
			require.NoError(t, r.Close())

			damage(o, filepath.Join(dir, "0"))
			again := o.open(in(dir))
			require.NoError(t, again.Fetch(t.Context(), tip))
			require.Equal(t, m, read(t, again, tip))
			m["x.yaml"] = "1\n"
			next := o.commit(m)
			require.NoError(t, again.Fetch(t.Context(), next))
			require.Equal(t, m, read(t, again, next))
		})
	}
}

func TestCacheDamagedInUseIsRebuilt(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	dir := t.TempDir()
	m := many(60, "1")
	tip := o.commit(m)
	r := o.open(in(dir))
	require.NoError(t, r.Fetch(t.Context(), tip))

	pack := o.one(filepath.Join(dir, "0"), "objects/pack/*.pack")
	require.NoError(t, os.Chmod(pack, 0o600))
	require.NoError(t, os.Truncate(pack, 50))
	files, err := r.Files(tip)
	if err == nil {
		for _, f := range files {
			if _, err = r.Read(f.Hash); err != nil {
				break
			}
		}
	}
	require.ErrorContains(t, err, "gets rebuilt by the next fetch")
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Equal(t, m, read(t, r, tip))

	require.NoError(t, os.RemoveAll(dir))
	next := o.commit(map[string]string{"x.yaml": "1\n"})
	require.NoError(t, r.Fetch(t.Context(), next))
	require.Len(t, read(t, r, next), 61)
	require.NoError(t, os.RemoveAll(dir))
	o.push(r, m.push(next))
	require.Len(t, o.files(), 60)
}

func TestCacheOfAnotherBranchIsNotUsed(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	dir := t.TempDir()
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	o.server("branch", "other", "main")
	r, err := repo.Open(with(o.options(), dir))
	require.NoError(t, err)
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.NoError(t, r.Close())

	other := o.open(in(dir), func(options *repo.Options) { options.Branch = "other" })
	_, err = other.Files(tip)
	require.ErrorContains(t, err, "fetch it first")
	require.NoError(t, other.Fetch(t.Context(), tip))
}

func TestCacheDirectoryIsShared(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	dir := t.TempDir()
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	var all []*repo.Repository
	for range 3 {
		r, err := repo.Open(with(o.options(), dir))
		require.NoError(t, err)
		require.NoError(t, r.Fetch(t.Context(), tip))
		all = append(all, r)
	}
	for _, r := range all {
		o.push(r, manifests{"a.yaml": fmt.Sprintf("%p\n", r)}.push(tip))
		tip = plumbing.NewHash(o.server("rev-parse", "main"))
	}
	for _, r := range all {
		require.NoError(t, r.Close())
	}
	front := o.front()
	o.open(by(front), in(dir))
	left, err := filepath.Glob(filepath.Join(dir, "[0-9]"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "0")}, left, "what nobody uses any more is removed")
}

func TestUnusableDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := repo.Open(repo.Options{URL: "https://example.com/x.git", Dir: filepath.Join(file, "data")})
	require.ErrorContains(t, err, "the data directory "+file)
}

func TestCacheOfManyPushesStaysInFewFiles(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	dir := t.TempDir()
	m := many(100, "0")
	front := o.front()
	r := o.open(by(front), in(dir))
	var pushed repo.Pushed
	most := 0
	for i := range 110 {
		before := pushed.Revision
		m["a.yaml"] = fmt.Sprintln(i)
		var err error
		pushed, err = r.Push(t.Context(), m.push(before))
		require.NoError(t, err)
		changes := differing(t, r, before, pushed.Revision)
		require.Equal(t, pushed.Changes, changes)
		packs, err := filepath.Glob(filepath.Join(dir, "0/objects/pack/*.pack"))
		require.NoError(t, err)
		most = max(most, len(packs))
	}
	require.LessOrEqual(t, most, 100)
	rebuilt := slices.DeleteFunc(front.counted(), func(request string) bool { return request != "POST git-upload-pack" })
	require.Len(t, rebuilt, 1)
	require.Equal(t, m, read(t, r, pushed.Revision))
	require.Empty(t, o.git(filepath.Join(dir, "0"), "fsck", "--strict", "--no-dangling"))
	require.Empty(t, o.leftovers(dir))
	o.sound()
}

// noise commits a file that can't be compressed.
func (o *origin) noise() plumbing.Hash {
	o.Helper()
	noise := make([]byte, 2<<20)
	_, _ = rand.Read(noise)
	return o.commit(map[string]string{"noise.yaml": string(noise), "a.yaml": "1\n"})
}

func TestCacheOfOldContentDoesNotGrowWithoutBound(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{t.TempDir(), ""} {
		o := newOrigin(t)
		r := o.open(in(dir))
		var tip plumbing.Hash
		var largest int64
		for range 14 {
			before := tip
			tip = o.noise()
			require.NoError(t, r.Fetch(t.Context(), tip))
			changes := differing(t, r, before, tip)
			require.Contains(t, paths(changes), map[bool]string{true: "+", false: "~"}[before.IsZero()]+"noise.yaml")
			if dir != "" {
				largest = max(largest, diskUsage(t, dir))
			}
		}
		require.Less(t, largest, int64(23<<20), "of 28 MiB that were fetched")
		require.Empty(t, o.leftovers(dir))
		require.Len(t, read(t, r, tip), 2)
	}
}

func TestRebuildThatTheServerRefusesIsNoFailure(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	dir := t.TempDir()
	r := o.open(by(front), in(dir))
	require.NoError(t, r.Fetch(t.Context(), o.noise()))
	var tried atomic.Int32
	front.spoil(only("git-upload-pack", func(w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte("deepen")) {
			tried.Add(1)
			return answer(500)(w, r)
		}
		return false
	}))
	var tip plumbing.Hash
	for range 13 {
		tip = o.noise()
		require.NoError(t, r.Fetch(t.Context(), tip))
	}
	require.EqualValues(t, 1, tried.Load(), "it isn't tried again each time")
	require.Len(t, read(t, r, tip), 2)
	require.Empty(t, o.leftovers(dir))
}

func with(options repo.Options, dir string) repo.Options {
	options.Dir = dir
	return options
}

// one is the only file below a directory that a pattern matches.
func (o *origin) one(dir, pattern string) string {
	o.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(o, err)
	require.Len(o, found, 1)
	return found[0]
}

func (o *origin) flip(path string) {
	o.Helper()
	data, err := os.ReadFile(path)
	require.NoError(o, err)
	data[len(data)/2] ^= 1
	o.overwrite(path, string(data))
}

func (o *origin) overwrite(path, content string) {
	o.Helper()
	_ = os.Remove(path)
	require.NoError(o, os.WriteFile(path, []byte(content), 0o600))
}

// Needs the right to mount a file system, as in a container that runs as root.
func TestFullDataDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("can't mount a small file system: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", dir).Run()) })
	o := newOrigin(t)
	small := o.commit(map[string]string{"a.yaml": "1\n"})
	r := o.open(in(dir))
	require.NoError(t, r.Fetch(t.Context(), small))

	noise := make([]byte, 2<<20)
	_, _ = rand.Read(noise)
	large := o.commit(map[string]string{"noise.yaml": string(noise)})
	for range 2 {
		err := r.Fetch(t.Context(), large)
		require.ErrorContains(t, err, "the data directory "+dir)
		require.ErrorContains(t, err, "is full")
	}
	require.Equal(t, manifests{"a.yaml": "1\n"}, read(t, r, small), "what was there is still readable")

	o.server("update-ref", "refs/heads/main", small.String())
	_, err := r.Push(t.Context(), manifests{"b.yaml": string(noise) + "b"}.push(small))
	require.ErrorContains(t, err, "is full")
	require.Equal(t, small.String(), o.server("rev-parse", "main"))
	o.push(r, manifests{"a.yaml": "2\n"}.push(small))
	require.Empty(t, o.leftovers(dir))
}

func TestRepositoryIsUsedFromManySides(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{t.TempDir(), ""} {
		o := newOrigin(t)
		m := many(100, "1")
		r := o.open(in(dir))
		pushed, err := r.Push(t.Context(), m.push(plumbing.ZeroHash))
		require.NoError(t, err)
		first := pushed.Revision
		done := make(chan struct{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					files, err := r.Files(first)
					if err != nil || len(files) != 100 {
						t.Errorf("%d files, %v", len(files), err)
						return
					}
					if _, err := r.Read(files[7].Hash); err != nil {
						t.Error(err)
						return
					}
					if _, err := r.Tip(t.Context()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		other := o.open()
		for i := range 8 {
			from := []*repo.Repository{r, other}[i%2]
			m["a.yaml"] = fmt.Sprintln(i)
			pushed, err = from.Push(t.Context(), m.push(pushed.Revision))
			require.NoError(t, err)
			require.NoError(t, r.Fetch(t.Context(), pushed.Revision))
			require.Equal(t, m, read(t, r, pushed.Revision))
		}
		close(done)
		wg.Wait()
	}
}
