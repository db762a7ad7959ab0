package repo_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

// obstacles are those of a revision, by path, in the first words of why.
func obstacles(t testing.TB, r *repo.Repository, revision plumbing.Hash) map[string]string {
	t.Helper()
	files, err := r.Files(revision)
	require.NoError(t, err)
	found := map[string]string{}
	for _, f := range files {
		if f.Obstacle != "" {
			found[f.Path], _, _ = strings.Cut(f.Obstacle, ",")
		}
	}
	return found
}

const (
	isLink   = "it is a symbolic link"
	isModule = "it is a submodule"
)

func (o *origin) link(name, target string) {
	o.Helper()
	path := filepath.Join(o.work, name)
	require.NoError(o, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(o, os.RemoveAll(path))
	require.NoError(o, os.Symlink(target, path))
}

// submodule adds a real one, at the first commit of another repository.
func (o *origin) submodule(path string) {
	o.Helper()
	other := newOrigin(o.TB)
	other.commit(map[string]string{"inner.yaml": "inner: 1\n"})
	o.git(o.work, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "--force", other.bare, path)
}

// What isn't followed is told rather than passed over, where a person may take it for manifests.
func TestLinksAndSubmodulesAreObstacles(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.write(map[string]string{"README.md": "x\n", "docs/README.md": "x\n", "base/app.yaml": "a: 1\n", "apps/web/app.yaml": "a: 1\n", "run": "x\n"})
	for name, target := range map[string]string{
		"linked.yaml":          "base/app.yaml",
		"apps/linked.yml":      "../base/app.yaml",
		"apps/linked.json":     "nowhere.json",
		"apps/base":            "../base",         // a directory
		"apps/up":              "..",              // its own parent
		"apps/top":             "../",             // the root of the repository
		"apps/out":             "../../elsewhere", // another repository
		"apps/absolute":        "/etc/kubernetes",
		"apps/dangling":        "nowhere",
		"apps/README.md":       "../docs/README.md", // a file that nobody takes for manifests
		"apps/run":             "../run",
		"apps/.hidden.yaml":    "../base/app.yaml",
		".github/linked.yaml":  "../base/app.yaml",
		"apps/beyond-a-file":   "../run/x",
		"apps/through-a-link":  "base/app.yaml",
		"apps/web/of-the-same": "app.yaml",
	} {
		o.link(name, target)
	}
	o.submodule("vendored")
	o.submodule("apps/module.yaml")
	tip := o.commit(nil)

	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Equal(t, manifests{"base/app.yaml": "a: 1\n", "apps/web/app.yaml": "a: 1\n"}, read(t, r, tip))
	require.Equal(t, map[string]string{
		"linked.yaml": isLink, "apps/linked.yml": isLink, "apps/linked.json": isLink, "apps/base": isLink, "apps/up": isLink,
		"apps/top": isLink, "apps/out": isLink, "apps/absolute": isLink, "apps/dangling": isLink, "apps/beyond-a-file": isLink,
		"apps/through-a-link": isLink, "vendored": isModule, "apps/module.yaml": isModule,
	}, obstacles(t, r, tip))

	below := o.open(at("apps"))
	require.NoError(t, below.Fetch(t.Context(), tip))
	require.Equal(t, map[string]string{
		"linked.yml": isLink, "linked.json": isLink, "base": isLink, "up": isLink, "top": isLink, "out": isLink, "absolute": isLink,
		"dangling": isLink, "beyond-a-file": isLink, "through-a-link": isLink, "module.yaml": isModule,
	}, obstacles(t, below, tip), "of links, the place counts that they lead to in the repository")
	require.Equal(t, manifests{"web/app.yaml": "a: 1\n"}, read(t, below, tip))
}

// A file or a directory that becomes an obstacle is a change of that path, so that nobody takes what was there
// for removed.
func TestWhatBecomesAnObstacleIsAChange(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.commit(map[string]string{
		"a.yaml": "b.yaml", "b.yaml": "1\n", "dir/c.yaml": "1\n", "mod/d.yaml": "1\n", "plain.json": "{}",
	})
	o.link("a.yaml", "b.yaml") // the same blob
	require.NoError(t, os.RemoveAll(filepath.Join(o.work, "dir")))
	o.link("dir", "elsewhere")
	o.git(o.work, "rm", "-r", "--quiet", "mod")
	o.submodule("mod")
	second := o.commit(nil)
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), first))
	require.NoError(t, r.Fetch(t.Context(), second))

	there := func(from, to plumbing.Hash) map[string]string {
		found, err := r.Changes(from, to)
		require.NoError(t, err)
		said := map[string]string{}
		for _, c := range found {
			said[c.Path], _, _ = strings.Cut(c.Obstacle, ",")
			if c.To.IsZero() {
				said[c.Path] = "gone"
			}
		}
		return said
	}
	require.Equal(t, map[string]string{"a.yaml": isLink, "dir": isLink, "dir/c.yaml": "gone", "mod": isModule, "mod/d.yaml": "gone"}, there(first, second))
	require.Equal(t, map[string]string{"a.yaml": "", "dir": "gone", "dir/c.yaml": "", "mod": "gone", "mod/d.yaml": ""}, there(second, first))
}

func TestAPathThroughALinkOrASubmoduleIsAnError(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.write(map[string]string{"base/a.yaml": "a: 1\n"})
	o.link("prod", "base")
	o.submodule("vendored")
	tip := o.commit(nil)
	for path, why := range map[string]string{"prod": "a symbolic link", "prod/x": "a symbolic link", "vendored": "a submodule", "base/a.yaml": "a file"} {
		r := o.open(at(path))
		require.NoError(t, r.Fetch(t.Context(), tip))
		_, err := r.Files(tip)
		require.ErrorContains(t, err, why+", not a directory", path)
	}
	for _, path := range []string{"../x", "a/../../x", "a/./../..", ".git", "a/.git/b", `a\b`} {
		_, err := repo.Open(repo.Options{URL: o.url, Path: path, Credentials: o.options().Credentials})
		require.Error(t, err, path)
	}
}

// Names that differ in case only are two files, whatever a checkout makes of them.
func TestNamesThatDifferInCaseOnlyAreTwoFiles(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	one, two := o.blob("case: lower\n"), o.blob("case: upper\n")
	for path, blob := range map[string]string{"app.yaml": one, "App.yaml": two, "Dir/x.yaml": one, "dir/x.yaml": two, "x.YAML": one} {
		o.git(o.work, "update-index", "--add", "--cacheinfo", "100644,"+blob+","+path)
	}
	o.git(o.work, "commit", "--quiet", "-m", "twins")
	tip := o.force("HEAD")
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Equal(t, manifests{
		"app.yaml": "case: lower\n", "App.yaml": "case: upper\n", "Dir/x.yaml": "case: lower\n", "dir/x.yaml": "case: upper\n",
	}, read(t, r, tip), "of extensions, case counts, as for kubectl")
}

// blob puts content into the clone.
func (o *origin) blob(content string) string {
	o.Helper()
	return o.hash(o.work, "blob", []byte(content))
}

func (o *origin) hash(dir, kind string, content []byte) string {
	o.Helper()
	cmd := exec.Command("git", "hash-object", "-t", kind, "-w", "--literally", "--stdin")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(content)
	out, err := cmd.CombinedOutput()
	require.NoError(o, err, "%s", out)
	return strings.TrimSpace(string(out))
}

// A tree can be made with names that git itself never writes. Such a name is never a path.
func TestNamesThatGitForbidsAreNoPaths(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	one, other := o.hash(o.bare, "blob", []byte("one: 1\n")), o.hash(o.bare, "blob", []byte("other: 1\n"))
	dir := o.hash(o.bare, "tree", entry("100644", "b.yaml", one))
	root := o.hash(o.bare, "tree", bytes.Join([][]byte{
		entry("40000", "..", dir),
		entry("100644", "../../etc/x.yaml", other),
		entry("40000", ".git", dir),
		entry("40000", "a", dir),
		entry("100644", "a/b.yaml", other), // passes for the file in the directory
		entry("40000", "c/d", dir),
		entry("100644", `e\f.yaml`, one),
	}, nil))
	commit := o.hash(o.bare, "commit", []byte("tree "+root+"\nauthor A <a@example.com> 1700000000 +0000\ncommitter A <a@example.com> 1700000000 +0000\n\nodd\n"))
	o.server("update-ref", "refs/heads/main", commit)
	tip := plumbing.NewHash(commit)
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Equal(t, manifests{"a/b.yaml": "one: 1\n", `e\f.yaml`: "one: 1\n"}, read(t, r, tip))
	const why = "its name is one that Git forbids: commit it anew under another name"
	require.Equal(t, map[string]string{"a%2Fb.yaml": why, "c%2Fd": why}, obstacles(t, r, tip))
}

// entry is one of a tree, as Git stores it.
func entry(mode, name, hash string) []byte {
	raw, _ := hex.DecodeString(hash)
	return append([]byte(mode+" "+name+"\x00"), raw...)
}
