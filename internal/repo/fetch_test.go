package repo_test

import (
	"fmt"
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
		data, err := r.Read(f.Hash)
		require.NoError(t, err)
		require.EqualValues(t, len(data), f.Size, f.Path)
		m[f.Path] = string(data)
	}
	return m
}

func TestTipIsOneRequest(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	r := o.open(by(front))
	for range 3 {
		tip, err := r.Tip(t.Context())
		require.NoError(t, err)
		require.True(t, tip.IsZero(), "an empty repository")
		require.Equal(t, []string{"GET refs"}, front.counted())
	}
	want := o.commit(map[string]string{"a.yaml": "1\n"})
	tip, err := r.Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, tip)
	require.Equal(t, []string{"GET refs"}, front.counted())

	other := o.open(by(front), func(options *repo.Options) { options.Branch = "feature/x" })
	tip, err = other.Tip(t.Context())
	require.NoError(t, err)
	require.True(t, tip.IsZero(), "a branch that isn't there")
	o.server("branch", "feature/x", "main")
	tip, err = other.Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, tip)
}

func TestFetchIsIncremental(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.commit(many(1000, "1"))
	front := o.front()
	dir := t.TempDir()
	r := o.open(by(front), in(dir))
	require.NoError(t, r.Fetch(t.Context(), first))
	require.Equal(t, []string{"GET refs", "POST git-upload-pack"}, front.counted())
	require.Len(t, read(t, r, first), 1000)
	size := diskUsage(t, dir)

	require.NoError(t, r.Fetch(t.Context(), first))
	require.Empty(t, front.counted(), "it is there")

	o.commit(map[string]string{"a.yaml": "1\n"})
	second := o.commit(map[string]string{"namespaces/ns-000/configmaps/cm-00000.yaml": "changed: true\n"})
	require.NoError(t, r.Fetch(t.Context(), second))
	require.Equal(t, []string{"GET refs", "POST git-upload-pack"}, front.counted())
	require.Less(t, diskUsage(t, dir)-size, int64(20<<10), "only what has changed")

	changes, err := r.Changes(first, second)
	require.NoError(t, err)
	require.Equal(t, []string{"+a.yaml", "~namespaces/ns-000/configmaps/cm-00000.yaml"}, paths(changes))
	back, err := r.Changes(second, first)
	require.NoError(t, err)
	require.Equal(t, []string{"-a.yaml", "~namespaces/ns-000/configmaps/cm-00000.yaml"}, paths(back))
	all, err := r.Changes(plumbing.ZeroHash, second)
	require.NoError(t, err)
	require.Len(t, all, 1001)
}

func TestFetchFollowsARewoundBranch(t *testing.T) {
	t.Parallel()
	for name, cached := range map[string]bool{"within what is cached": true, "before what is cached": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			old := o.commit(map[string]string{"a.yaml": "1\n", "d/b.yaml": "1\n"})
			front := o.front()
			r := o.open(by(front))
			if cached {
				require.NoError(t, r.Fetch(t.Context(), old))
			}
			next := o.commit(map[string]string{"a.yaml": "2\n", "c.yaml": "2\n"})
			require.NoError(t, r.Fetch(t.Context(), next))
			front.counted()

			o.force(old.String())
			require.NoError(t, r.Fetch(t.Context(), old))
			require.Equal(t, cached, len(front.counted()) == 0)
			require.Equal(t, manifests{"a.yaml": "1\n", "d/b.yaml": "1\n"}, read(t, r, old))

			o.git(o.work, "reset", "--quiet", "--hard", old.String())
			other := o.commit(map[string]string{"a.yaml": "3\n"})
			require.NoError(t, r.Fetch(t.Context(), other))
			require.Equal(t, manifests{"a.yaml": "3\n", "d/b.yaml": "1\n"}, read(t, r, other))
			changes, err := r.Changes(next, other)
			require.NoError(t, err)
			require.Equal(t, []string{"~a.yaml", "-c.yaml"}, paths(changes))
		})
	}
}

func TestFetchFollowsAnUnrelatedBranch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.commit(map[string]string{"a.yaml": "1\n", "d/b.yaml": "1\n"})
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), first))

	o.git(o.work, "checkout", "--quiet", "--orphan", "anew")
	for i := range 5 {
		o.commit(map[string]string{"d/b.yaml": fmt.Sprintln("again", i)})
	}
	second := o.force("HEAD")
	require.NoError(t, r.Fetch(t.Context(), second))
	require.Equal(t, manifests{"a.yaml": "1\n", "d/b.yaml": "again 4\n"}, read(t, r, second))
	related, err := r.Descends(t.Context(), second, first)
	require.NoError(t, err)
	require.False(t, related)
}

// The server has a new repository at the same address: it knows nothing of what the cache holds.
func TestFetchFollowsAReplacedRepository(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.commit(map[string]string{"a.yaml": "1\n", "d/b.yaml": "1\n"})
	front := o.front()
	r := o.open(by(front))
	require.NoError(t, r.Fetch(t.Context(), first))

	require.NoError(t, os.RemoveAll(o.bare))
	_, err := r.Tip(t.Context())
	require.ErrorIs(t, err, repo.ErrNotFound)
	require.NoError(t, stack.AddRepo(t.Context(), o.name, o.token))
	tip, err := r.Tip(t.Context())
	require.NoError(t, err)
	require.True(t, tip.IsZero())

	replaced := newOrigin(t)
	replaced.commit(map[string]string{"x.yaml": "1\n"})
	second := replaced.commit(map[string]string{"d/b.yaml": "1\n"})
	replaced.git(replaced.work, "push", "--quiet", o.bare, "HEAD:refs/heads/main")
	front.counted()
	require.NoError(t, r.Fetch(t.Context(), second))
	require.Equal(t, manifests{"x.yaml": "1\n", "d/b.yaml": "1\n"}, read(t, r, second))
	require.Equal(t, strings.Repeat("GET refs POST git-upload-pack ", 2), strings.Join(front.counted(), " ")+" ",
		"what has the server not in common is noticed, and one revision fetched alone")
	related, err := r.Descends(t.Context(), second, first)
	require.NoError(t, err)
	require.False(t, related)
}

func TestFetchOfAForeignHistoryStaysShallow(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	for i := range 20 {
		o.commit(map[string]string{"a.yaml": fmt.Sprintln(i)})
	}
	tip := o.force("HEAD")
	dir := t.TempDir()
	r := o.open(in(dir))
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Equal(t, "1", o.git(filepath.Join(dir, "0"), "rev-list", "--count", "refs/heads/last"))
	next := o.commit(map[string]string{"a.yaml": "next\n"})
	require.NoError(t, r.Fetch(t.Context(), next))
	require.Equal(t, "2", o.git(filepath.Join(dir, "0"), "rev-list", "--count", "refs/heads/last"))
	require.Empty(t, o.git(filepath.Join(dir, "0"), "fsck", "--strict", "--no-dangling"))
}

func TestFetchOfWhatIsGoneIsMoved(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.commit(map[string]string{"a.yaml": "1\n"})
	gone := o.commit(map[string]string{"a.yaml": "2\n"})
	o.force(first.String())
	o.server("reflog", "expire", "--expire=now", "--all")
	o.server("gc", "--quiet", "--prune=now")
	r := o.open()
	require.ErrorIs(t, r.Fetch(t.Context(), gone), repo.ErrMoved)
	require.NoError(t, r.Fetch(t.Context(), first))
	require.ErrorIs(t, r.Fetch(t.Context(), gone), repo.ErrMoved)
	_, err := r.Descends(t.Context(), gone, first)
	require.ErrorIs(t, err, repo.ErrMoved)

	o.server("update-ref", "-d", "refs/heads/main")
	require.ErrorIs(t, o.open().Fetch(t.Context(), first), repo.ErrMoved)
	require.Equal(t, manifests{"a.yaml": "1\n"}, read(t, r, first), "what is cached stays readable")
}

func TestDescends(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	var line []plumbing.Hash
	for i := range 6 {
		line = append(line, o.commit(map[string]string{"a.yaml": fmt.Sprintln(i)}))
	}
	o.git(o.work, "checkout", "--quiet", "-b", "side", line[2].String())
	o.write(map[string]string{"side.yaml": "1\n"})
	o.git(o.work, "add", "--all")
	o.git(o.work, "commit", "--quiet", "-m", "side")
	side := plumbing.NewHash(o.git(o.work, "rev-parse", "HEAD"))
	o.git(o.work, "checkout", "--quiet", "--detach", line[5].String())
	o.git(o.work, "merge", "--quiet", "--no-edit", "side")
	merged := o.force("HEAD")
	o.git(o.work, "checkout", "--quiet", "--detach", line[1].String())
	stray := o.commit(map[string]string{"a.yaml": "stray\n"})
	o.server("branch", "stray", "main")
	o.force(merged.String())

	front := o.front()
	tests := map[string]struct {
		revision, ancestor plumbing.Hash
		want               bool
	}{
		"itself":              {line[5], line[5], true},
		"parent":              {line[5], line[4], true},
		"first":               {merged, line[0], true},
		"merged":              {merged, side, true},
		"later":               {line[3], line[5], false},
		"beside":              {line[5], side, false},
		"rewound":             {stray, line[5], false},
		"common ancestor":     {stray, line[1], true},
		"unknown to the repo": {merged, plumbing.NewHash("1234567890123456789012345678901234567890"), false},
		"nothing":             {merged, plumbing.ZeroHash, true},
		"from nothing":        {plumbing.ZeroHash, line[0], false},
	}
	for name, test := range tests {
		for _, filter := range []string{"true", "false"} {
			o.server("config", "uploadpack.allowFilter", filter)
			r := o.open(by(front))
			got, err := r.Descends(t.Context(), test.revision, test.ancestor)
			require.NoError(t, err, name)
			require.Equal(t, test.want, got, name)
		}
	}

	o.server("config", "uploadpack.allowFilter", "true")
	r := o.open(by(front))
	require.NoError(t, r.Fetch(t.Context(), line[3]))
	require.NoError(t, r.Fetch(t.Context(), line[5]))
	front.counted()
	descends, err := r.Descends(t.Context(), line[5], line[3])
	require.NoError(t, err)
	require.True(t, descends)
	require.Empty(t, front.counted(), "what was fetched since tells")
	descends, err = r.Descends(t.Context(), line[5], line[0])
	require.NoError(t, err)
	require.True(t, descends)
	require.Len(t, front.counted(), 2)
	require.Equal(t, manifests{"a.yaml": "5\n"}, read(t, r, line[5]))
}

func TestFilesAreTheVisibleManifests(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.strange()
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Equal(t, manifests{
		"chart/old.yaml":       "old: 1\n",
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
	changes, err := r.Changes(first, second)
	require.NoError(t, err)
	one := plumbing.ComputeHash(plumbing.BlobObject, []byte("1\n"))
	require.Equal(t, []tree.Change{
		{Path: "b.yaml", From: one}, // a symbolic link isn't followed
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
	for _, filter := range []string{"true", "false"} {
		o := newOrigin(t)
		tip := o.commit(map[string]string{
			"huge.yaml": strings.Repeat("x", repo.MaxFileSize),
			"big.yaml":  strings.Repeat("x", repo.MaxFileSize-1),
		})
		o.server("config", "uploadpack.allowFilter", filter)
		r := o.open()
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
