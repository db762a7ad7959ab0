package repo_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

// strange commits a tree with each kind of entry that a push must live with.
func (o *origin) strange() plumbing.Hash {
	o.Helper()
	o.write(map[string]string{
		"README.md":            "hello\n",
		"run.sh":               "#!/bin/sh\n",
		"windows.txt":          "a\r\nb\r\n",
		"windows.yaml":         "a: 1\r\n",
		"chart/values.json":    "{}",
		"chart/old.yaml":       "old: 1\n",
		"docs/guide.md":        "guide\n",
		"docs/deep/note.txt":   "note\n",
		".github/ci.yaml":      "on: push\n",
		".hidden.yaml":         "h: 1\n",
		"exec.yaml":            "e: 1\n",
		"ignored/secret.yaml":  "kept: 1\n",
		"ignored/other.yaml":   "gone: 1\n",
		"place":                "a file where a directory is wanted\n",
		"place.yaml/inner.yml": "inner: 1\n",
		"place.yaml/notes":     "notes\n",
	})
	o.git(o.work, "config", "core.autocrlf", "false")
	for _, name := range []string{"run.sh", "exec.yaml"} {
		require.NoError(o, os.Chmod(filepath.Join(o.work, name), 0o755))
	}
	for name, target := range map[string]string{"link": "README.md", "link.yaml": "exec.yaml", "linked.yaml": "run.sh"} {
		require.NoError(o, os.Symlink(target, filepath.Join(o.work, name)))
	}
	o.git(o.work, "add", "--all")
	some := "1234567890123456789012345678901234567890"
	o.git(o.work, "update-index", "--add", "--cacheinfo", "160000,"+some+",vendored")
	o.git(o.work, "update-index", "--add", "--cacheinfo", "160000,"+some+",module.yaml")
	o.git(o.work, "commit", "--quiet", "-m", "strange")
	return o.force("HEAD")
}

func TestPushOwnsManifestsAndNothingElse(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.strange()
	r := o.open()
	p := manifests{
		"exec.yaml":     "e: 1\n", // the same content, but executable
		"linked.yaml":   "l: 1\n", // a symbolic link
		"module.yaml":   "m: 1\n", // a submodule
		"place/x.yaml":  "x: 1\n", // a file in the way of a directory
		"place.yaml":    "p: 1\n", // a directory in the way of a file
		"chart/new.yml": "n: 1\n",
	}.push(tip)
	p.Keep = func(path string) bool { return path == "ignored/secret.yaml" }
	p.Files = map[string][]byte{".cluster-sync.yaml": []byte("cluster: a\n")}
	pushed := o.push(r, p)

	require.ElementsMatch(t, []string{
		".cluster-sync.yaml",
		".github/ci.yaml",
		".hidden.yaml",
		"README.md",
		"chart/new.yml",
		"chart/values.json",
		"docs/deep/note.txt",
		"docs/guide.md",
		"exec.yaml",
		"ignored/secret.yaml",
		"link 120000",
		"link.yaml 120000",
		"linked.yaml",
		"module.yaml",
		"place.yaml",
		"place/x.yaml",
		"run.sh 100755",
		"vendored 160000",
		"windows.txt",
	}, o.files())
	require.ElementsMatch(t, []string{
		"+chart/new.yml",
		"+linked.yaml",
		"+module.yaml",
		"+place.yaml",
		"+place/x.yaml",
		"-chart/old.yaml",
		"-ignored/other.yaml",
		"-place.yaml/inner.yml",
		"-windows.yaml",
		"~exec.yaml",
	}, paths(pushed.Changes))
	for _, same := range []string{"docs", ".github", "windows.txt", "link", "run.sh", "vendored"} {
		require.Equal(t, o.server("rev-parse", tip.String()+":"+same), o.server("rev-parse", "main:"+same), same)
	}

	again, err := r.Push(t.Context(), repo.Push{Parent: pushed.Revision, Desired: p.Desired, Keep: p.Keep, Files: p.Files})
	require.NoError(t, err)
	require.Equal(t, repo.Pushed{Revision: pushed.Revision}, again)
}

func TestPushLeavesLineEndingsAlone(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open()
	o.push(r, manifests{"a.yaml": "a: 1\r\nb: 2\r\n"}.push(plumbing.ZeroHash))
	require.Equal(t, "a: 1\r\nb: 2\r", o.server("cat-file", "blob", "main:a.yaml"))
}

func TestPushBelowAPathLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"top.yaml": "1\n", "deep/beside.yaml": "1\n", "deep/dir/old.yaml": "1\n", "deep-er.yaml": "1\n"})
	r := o.open(at("/deep/./dir/"))

	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Equal(t, manifests{"old.yaml": "1\n"}, read(t, r, tip))

	first := o.push(r, manifests{"a/new.yaml": "2\n"}.push(tip))
	require.Equal(t, []string{"+a/new.yaml", "-old.yaml"}, sorted(paths(first.Changes)))
	require.Equal(t, []string{"deep-er.yaml", "deep/beside.yaml", "deep/dir/a/new.yaml", "top.yaml"}, o.files())

	second := o.push(r, manifests{}.push(first.Revision))
	require.Equal(t, []string{"deep-er.yaml", "deep/beside.yaml", "top.yaml"}, o.files())

	o.push(r, manifests{"back.yaml": "3\n"}.push(second.Revision))
	require.Equal(t, []string{"deep-er.yaml", "deep/beside.yaml", "deep/dir/back.yaml", "top.yaml"}, o.files())

	fresh := newOrigin(t)
	fresh.push(fresh.open(at("x/y")), manifests{"a.yaml": "1\n"}.push(plumbing.ZeroHash))
	require.Equal(t, []string{"x/y/a.yaml"}, fresh.files())
}

func TestPathThatIsNoDirectoryIsAnError(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"deep": "a file\n"})
	r := o.open(at("deep/dir"))
	require.NoError(t, r.Fetch(t.Context(), tip))
	_, err := r.Files(tip)
	require.ErrorContains(t, err, "deep in revision")
	require.ErrorContains(t, err, "not a directory")
	_, err = r.Push(t.Context(), manifests{"a.yaml": "1\n"}.push(tip))
	require.ErrorContains(t, err, "not a directory")
	occupied, err := r.Occupied(tip)
	require.NoError(t, err)
	require.Equal(t, []string{"deep/dir"}, occupied)
	require.Equal(t, []string{"deep"}, o.files())
}

func TestPushRefusesNamesThatGitForbids(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open()
	for _, path := range []string{".git/config.yaml", "a/../b.yaml", "a/.GIT/b.yaml", "a//b.yaml"} {
		_, err := r.Push(t.Context(), manifests{path: "1\n"}.push(plumbing.ZeroHash))
		require.ErrorContains(t, err, "can't be the name of a file in Git", path)
	}
}

// Whatever is pushed after whatever, Git's own idea of the tree is the desired one.
func TestPushMakesTheTreeThatGitMakes(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open()
	name := rapid.SampledFrom([]string{"a", "a-b", "a.b", "a0", "b", "B", "ä", "a b", "%2e"})
	file := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "path"), "/") + ".yaml"
	})
	var tip plumbing.Hash
	rapid.Check(t, func(rt *rapid.T) {
		m := manifests(rapid.MapOfN(file, rapid.SampledFrom([]string{"1\n", "2\n", ""}), 0, 8).Draw(rt, "files"))
		pushed, err := r.Push(t.Context(), m.push(tip))
		require.NoError(rt, err)
		if tip = pushed.Revision; tip.IsZero() {
			return
		}
		require.Equal(rt, o.writeTree(m), o.server("rev-parse", "main^{tree}"))
	})
	o.sound()
}

// writeTree has git make a tree of files whose content the bare repository holds.
func (o *origin) writeTree(m manifests) string {
	o.Helper()
	var index strings.Builder
	for path, content := range m {
		fmt.Fprintf(&index, "100644 %s\t%s\n", plumbing.ComputeHash(plumbing.BlobObject, []byte(content)), path)
	}
	file := filepath.Join(o.TempDir(), "index")
	list := exec.Command("git", "update-index", "--index-info")
	list.Stdin = strings.NewReader(index.String())
	write := exec.Command("git", "write-tree")
	for _, cmd := range []*exec.Cmd{list, write} {
		cmd.Dir = o.bare
		cmd.Env = append(os.Environ(), "GIT_INDEX_FILE="+file)
	}
	out, err := list.CombinedOutput()
	require.NoError(o, err, "%s", out)
	out, err = write.CombinedOutput()
	require.NoError(o, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
