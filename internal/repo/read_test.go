package repo_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// read returns each manifest of a revision.
func read(t *testing.T, r *repo.Repository, revision plumbing.Hash) manifests {
	t.Helper()
	files, err := r.Files(revision)
	require.NoError(t, err)
	m := manifests{}
	for _, f := range files {
		if f.Obstacle != "" {
			continue
		}
		data, err := r.Read(f.Hash)
		require.NoError(t, err)
		require.EqualValues(t, len(data), f.Size, f.Path)
		m[f.Path] = string(data)
	}
	return m
}

// differing is what differs between two revisions.
func differing(t testing.TB, r *repo.Repository, from, to plumbing.Hash) []tree.Change {
	t.Helper()
	found, err := r.Changes(from, to)
	require.NoError(t, err)
	var plain []tree.Change
	for _, c := range found {
		plain = append(plain, c.Change)
	}
	return plain
}

func TestFilesAreTheVisibleManifests(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.strange()
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Equal(t, manifests{
		"chart/old.yaml":       "old: 1\n",
		"chart/values.json":    "{}",
		"exec.yaml":            "e: 1\n",
		"ignored/other.yaml":   "gone: 1\n",
		"ignored/secret.yaml":  "kept: 1\n",
		"place.yaml/inner.yml": "inner: 1\n",
		"windows.yaml":         "a: 1\r\n",
	}, read(t, r, tip))

	for name, want := range map[string]string{".hidden.yaml": "h: 1\n", "docs/deep/note.txt": "note\n", "./run.sh": "#!/bin/sh\n"} {
		data, err := r.ReadFile(tip, name)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
	}
	for _, name := range []string{"no.yaml", "no/such.yaml", "link", "vendored", "docs", ""} {
		_, err := r.ReadFile(tip, name)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
	for _, name := range []string{"../x", "a/../x", ".git/config"} {
		_, err := r.ReadFile(tip, name)
		require.Error(t, err, name)
	}
	below := o.open(at("docs"))
	require.NoError(t, below.Fetch(t.Context(), tip))
	data, err := below.ReadFile(tip, "guide.md")
	require.NoError(t, err)
	require.Equal(t, "guide\n", string(data))
}

func TestNothingIsReadFromABranchThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newOrigin(t).open()
	require.NoError(t, r.Fetch(t.Context(), plumbing.ZeroHash))
	files, err := r.Files(plumbing.ZeroHash)
	require.NoError(t, err)
	require.Empty(t, files)
	_, err = r.ReadFile(plumbing.ZeroHash, ".cluster-sync.yaml")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = r.Files(plumbing.NewHash("1234567890123456789012345678901234567890"))
	require.ErrorContains(t, err, "fetch it first")
}

func TestChangesOfOddEntries(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.commit(map[string]string{"a.yaml": "1\n", "b.yaml": "1\n", "c.yaml/x.yaml": "1\n", "d.txt": "1\n", ".e.yaml": "1\n"})
	require.NoError(t, os.Chmod(filepath.Join(o.work, "a.yaml"), 0o755))
	require.NoError(t, os.Remove(filepath.Join(o.work, "b.yaml")))
	require.NoError(t, os.Symlink("a.yaml", filepath.Join(o.work, "b.yaml")))
	require.NoError(t, os.RemoveAll(filepath.Join(o.work, "c.yaml")))
	second := o.commit(map[string]string{"c.yaml": "1\n", "d.txt": "2\n", ".e.yaml": "2\n"})
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), first))
	require.NoError(t, r.Fetch(t.Context(), second))
	changes := differing(t, r, first, second)
	one := plumbing.ComputeHash(plumbing.BlobObject, []byte("1\n"))
	link := plumbing.ComputeHash(plumbing.BlobObject, []byte("a.yaml"))
	require.Equal(t, []tree.Change{
		{Path: "b.yaml", From: one, To: link}, // a symbolic link isn't followed, and stands in the way
		{Path: "c.yaml", To: one},
		{Path: "c.yaml/x.yaml", From: one},
	}, changes)
}

func TestOccupied(t *testing.T) {
	t.Parallel()
	plain := map[string]string{
		"README.md": "", "README": "", "LICENSE": "", "LICENSE.txt": "", "CODEOWNERS": "", ".gitignore": "x", ".gitattributes": "x",
	}
	tests := map[string]struct {
		files map[string]string
		path  string
		want  []string
	}{
		"what a server puts in":  {nil, "", nil},
		"a manifest":             {map[string]string{"a.yaml": "1"}, ".", []string{"a.yaml"}},
		"any file":               {map[string]string{"main.go": "1", "docs/README.md": "1"}, "", []string{"docs/README.md", "main.go"}},
		"a hidden file":          {map[string]string{".cluster-sync.yaml": "1"}, "", []string{".cluster-sync.yaml"}},
		"a path that isn't":      {map[string]string{"a.yaml": "1"}, "clusters/a", nil},
		"a path that is":         {map[string]string{"clusters/a/README.md": "1"}, "clusters/a", []string{"clusters/a/README.md"}},
		"beside the path":        {map[string]string{"clusters/ab/x": "1"}, "clusters/a", nil},
		"a file in the path":     {map[string]string{"clusters/a": "1"}, "clusters/a", []string{"clusters/a"}},
		"a directory of READMEs": {map[string]string{"README/a": "1"}, "", []string{"README/a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			if _, taken := test.files["README/a"]; !taken {
				o.write(plain)
			}
			tip := o.commit(test.files)
			r := o.open(at(test.path))
			require.NoError(t, r.Fetch(t.Context(), tip))
			occupied, err := r.Occupied(tip)
			require.NoError(t, err)
			require.Equal(t, test.want, occupied)
		})
	}
	o := newOrigin(t)
	r := o.open()
	occupied, err := r.Occupied(plumbing.ZeroHash)
	require.NoError(t, err)
	require.Empty(t, occupied, "a branch that isn't there")
	tip := o.commit(many(50, "1"))
	require.NoError(t, r.Fetch(t.Context(), tip))
	occupied, err = r.Occupied(tip)
	require.NoError(t, err)
	require.Len(t, occupied, 20)
}

func TestHugeFilesAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, filtered := range []bool{true, false} {
		o := newOrigin(t)
		tip := o.commit(map[string]string{
			"huge.yaml": strings.Repeat("x", repo.MaxFileSize),
			"big.yaml":  strings.Repeat("x", repo.MaxFileSize-1),
		})
		front := o.front()
		if !filtered {
			front.spoil(front.unfiltered)
		}
		r := o.open(by(front))
		require.NoError(t, r.Fetch(t.Context(), tip))
		files, err := r.Files(tip)
		require.NoError(t, err)
		require.Len(t, files, 2)
		require.EqualValues(t, repo.MaxFileSize-1, files[0].Size)
		require.EqualValues(t, repo.MaxFileSize, files[1].Size)
		data, err := r.Read(files[0].Hash)
		require.NoError(t, err)
		require.Len(t, data, repo.MaxFileSize-1)
		_, err = r.Read(files[1].Hash)
		require.ErrorIs(t, err, repo.ErrTooLarge)
		_, err = r.ReadFile(tip, "huge.yaml")
		require.ErrorIs(t, err, repo.ErrTooLarge)
		require.ErrorContains(t, err, "huge.yaml")

		desired := tree.Tree{}.Edit(func(e *tree.Editor) {
			for _, f := range files {
				e.Put(f.Path, f.Hash)
			}
			e.Put("new.yaml", plumbing.ComputeHash(plumbing.BlobObject, []byte("1\n")))
		})
		o.push(r, repo.Push{Parent: tip, Desired: desired, Content: manifests{"new.yaml": "1\n"}.content})
		require.Equal(t, []string{"big.yaml", "huge.yaml", "new.yaml"}, o.files())
	}
}

// The two sides of a comparison are read in turns: the last agreed revision may be much older than the tip, and
// may have had to make room.
func TestTwoRevisionsAreReadInTurns(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	base := o.commit(many(2000, "1"))
	o.commit(map[string]string{"a.yaml": "between\n"})
	tip := o.commit(map[string]string{"a.yaml": "1\n", "namespaces/ns-000/configmaps/cm-00000.yaml": "changed: true\n"})
	front, dir := o.front(), t.TempDir()
	r := o.open(by(front), in(dir))
	require.NoError(t, r.Fetch(t.Context(), tip))
	size := diskUsage(t, dir)

	turn := func() {
		t.Helper()
		for revision, want := range map[plumbing.Hash]string{base: many(1, "1")["namespaces/ns-000/configmaps/cm-00000.yaml"], tip: "changed: true\n"} {
			require.NoError(t, r.Fetch(t.Context(), revision))
			data, err := r.ReadFile(revision, "namespaces/ns-000/configmaps/cm-00000.yaml")
			require.NoError(t, err)
			require.Equal(t, want, string(data))
		}
	}
	front.counted()
	turn()
	require.Equal(t, []string{"GET refs", "POST git-upload-pack"}, front.counted(), "the older one is fetched, once")
	require.Less(t, diskUsage(t, dir), 2*size+20<<10)
	for range 3 {
		turn()
	}
	require.Empty(t, front.counted(), "both are there")

	require.NoError(t, r.Fetch(t.Context(), base))
	require.NoError(t, r.Fetch(t.Context(), tip))
	size = diskUsage(t, dir)
	next := o.commit(map[string]string{"b.yaml": "1\n"})
	require.NoError(t, r.Fetch(t.Context(), next))
	require.Less(t, diskUsage(t, dir)-size, int64(2<<10), "what is new since the tip, not since the older one")
}
