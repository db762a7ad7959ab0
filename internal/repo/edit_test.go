package repo_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

// text is content for an edit.
func text(s string) []byte { return []byte(s) }

func TestEditChangesSingleFilesAndNothingElse(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.strange()
	r := o.open()
	when := time.Date(2025, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	edited := o.edit(r, repo.Edit{
		Parent: tip,
		Files: map[string][]byte{
			"windows.yaml":          text("a: 2\r\n"),
			"exec.yaml":             text("e: 2\n"), // stays executable
			"chart/old.yaml":        nil,
			"chart/none.yaml":       nil, // isn't there
			"ignored/other.yaml":    nil,
			"ignored/secret.yaml":   nil,            // the last of its directory
			"docs/guide.md":         text("more\n"), // not a manifest
			".cluster-sync.yaml":    text("cluster: a\n"),
			"new/deep/er/file.yaml": {},
			"README.md":             text("hello\n"), // as it was
			"link/below.yaml":       nil,             // there is nothing below a link
		},
		Message: "sync(primary): 2 updated\n\nCluster: primary\n",
		Author:  repo.Author{Name: "Bob", Email: "bob@example.com"},
		When:    when,
	})
	require.Equal(t, "Bob <bob@example.com> "+fmt.Sprint(when.Unix())+" sync(primary): 2 updated",
		o.server("log", "-1", "--format=%cn <%ce> %ct %s", "main"))
	require.Equal(t, tip.String(), o.server("rev-parse", "main^"))
	want := []string{
		"A\t.cluster-sync.yaml",
		"A\tnew/deep/er/file.yaml",
		"D\tchart/old.yaml",
		"D\tignored/other.yaml",
		"D\tignored/secret.yaml",
		"M\tdocs/guide.md",
		"M\texec.yaml",
		"M\twindows.yaml",
	}
	require.Equal(t, want, sorted(strings.Split(o.server("diff", "--name-status", "--no-renames", "main^", "main"), "\n")))
	require.ElementsMatch(t, []string{
		"+.cluster-sync.yaml", "+new/deep/er/file.yaml", "-chart/old.yaml", "-ignored/other.yaml", "-ignored/secret.yaml",
		"~docs/guide.md", "~exec.yaml", "~windows.yaml",
	}, paths(edited.Changes))
	require.Contains(t, o.files(), "exec.yaml 100755")
	require.Equal(t, "a: 2\r", o.server("show", "main:windows.yaml"))
	require.Equal(t, "chart\ndocs", o.server("ls-tree", "-d", "--name-only", "main", "chart", "docs", "ignored"))
	for _, same := range []string{"docs/deep", ".github", "windows.txt", "link", "run.sh", "vendored", "place.yaml"} {
		require.Equal(t, o.server("rev-parse", tip.String()+":"+same), o.server("rev-parse", "main:"+same), same)
	}

	front := o.front()
	again, err := o.open(by(front)).Edit(t.Context(), repo.Edit{Parent: edited.Revision, Files: map[string][]byte{"exec.yaml": text("e: 2\n"), "none.yaml": nil}})
	require.NoError(t, err)
	require.Equal(t, repo.Pushed{Revision: edited.Revision}, again)
	require.NotContains(t, front.counted(), "POST git-receive-pack", "nothing has changed")
}

func TestEditCreatesTheBranch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open(at("clusters/a"))
	none, err := r.Edit(t.Context(), repo.Edit{Files: map[string][]byte{"a.yaml": nil}})
	require.NoError(t, err)
	require.Equal(t, repo.Pushed{}, none, "a branch isn't made for nothing")

	first := o.edit(r, repo.Edit{Files: map[string][]byte{"a.yaml": text("1\n"), "d/b.yaml": text("1\n")}})
	require.Equal(t, []string{"clusters/a/a.yaml", "clusters/a/d/b.yaml"}, o.files())
	require.Equal(t, "active-cluster-sync sync", o.server("log", "--format=%an %B", "main"))

	second := o.edit(r, repo.Edit{Parent: first.Revision, Files: map[string][]byte{"a.yaml": nil, "d/b.yaml": nil}})
	require.Empty(t, o.files())
	third := o.edit(r, repo.Edit{Parent: second.Revision, Files: map[string][]byte{"a.yaml": text("2\n")}})
	require.Equal(t, manifests{"a.yaml": "2\n"}, read(t, r, third.Revision))
	require.Equal(t, "3", o.server("rev-list", "--count", "main"))
}

func TestEditTellsWhatIsInTheWayOfAFile(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.strange()
	front := o.front()
	r := o.open(by(front))
	tests := map[string]struct {
		files map[string][]byte
		path  string // of the error
		why   string
	}{
		"a file where a directory is needed":    {map[string][]byte{"a.yaml": text("1"), "place/x/y.yaml": text("1")}, "place/x/y.yaml", "place is in the way, which is a file"},
		"a directory where a file is needed":    {map[string][]byte{"place.yaml": text("1")}, "place.yaml", "a directory of this name is in the way"},
		"a directory that isn't emptied":        {map[string][]byte{"place.yaml": text("1"), "place.yaml/inner.yml": nil}, "place.yaml", "a directory of this name"},
		"a link":                                {map[string][]byte{"linked.yaml": text("1")}, "linked.yaml", "a symbolic link of this name is in the way"},
		"a path through a link":                 {map[string][]byte{"link/x.yaml": text("1")}, "link/x.yaml", "link is in the way, which is a symbolic link"},
		"a submodule":                           {map[string][]byte{"module.yaml": text("1")}, "module.yaml", "a submodule of this name is in the way"},
		"a path through a submodule":            {map[string][]byte{"vendored/x.yaml": text("1")}, "vendored/x.yaml", "vendored is in the way, which is a submodule"},
		"a hidden directory":                    {map[string][]byte{".github/x.yaml": text("1")}, ".github/x.yaml", "hidden directory"},
		"a hidden directory that isn't there":   {map[string][]byte{"x/.y/z.yaml": text("1")}, "x/.y/z.yaml", "hidden directory"},
		"taking away from a hidden directory":   {map[string][]byte{".github/ci.yaml": nil}, ".github/ci.yaml", "hidden directory"},
		"the same as a file and as a directory": {map[string][]byte{"new": text("1"), "new/x.yaml": text("1")}, "new", "a directory of this name"},
		"Git's own directory":                   {map[string][]byte{"a/.GIT/x.yaml": text("1")}, "a/.GIT/x.yaml", "can't be the name of a file in Git"},
		"a path upwards":                        {map[string][]byte{"a/../x.yaml": nil}, "a/../x.yaml", "can't be the name"},
		"an empty name":                         {map[string][]byte{"a//x.yaml": text("1")}, "a//x.yaml", "can't be the name"},
		"a directory's path":                    {map[string][]byte{"chart/": text("1")}, "chart/", "can't be the name"},
		"no name":                               {map[string][]byte{"": text("1")}, "", "can't be the name"},
		"a name that Windows can't have":        {map[string][]byte{`chart\x.yaml`: text("1")}, `chart\x.yaml`, "Windows"},
	}
	for name, test := range tests {
		for _, e := range []repo.Edit{
			{Parent: tip, Files: test.files},
			{Parent: tip, Files: map[string][]byte{"a.yaml": text("1")}, Aside: &repo.Aside{Files: test.files}},
		} {
			edited, err := r.Edit(t.Context(), e)
			var failed *repo.FileError
			require.ErrorAs(t, err, &failed, name)
			require.Equal(t, test.path, failed.Path, name)
			require.ErrorContains(t, err, test.why, name)
			require.Empty(t, edited.Changes)
		}
	}
	require.NotContains(t, front.counted(), "POST git-receive-pack")

	below := o.open(at("link"))
	_, err := below.Edit(t.Context(), repo.Edit{Parent: tip, Files: map[string][]byte{"a.yaml": text("1")}})
	require.ErrorContains(t, err, "a symbolic link, not a directory")
	require.Equal(t, tip.String(), o.server("rev-parse", "main"))
}

func TestEditPutsFilesInThePlaceOfWhatItTakesAway(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.strange()
	r := o.open()
	edited := o.edit(r, repo.Edit{Parent: tip, Files: map[string][]byte{
		"place":                nil, // a file
		"place/x/y.yaml":       text("1\n"),
		"place.yaml/inner.yml": nil, // a directory
		"place.yaml/notes":     nil,
		"place.yaml":           text("1\n"),
		"link":                 nil, // a symbolic link
		"link/x.yaml":          text("1\n"),
		"vendored":             nil, // a submodule
		"vendored/x.yaml":      text("1\n"),
		"docs":                 nil, // a directory isn't a file, and stays
	}})
	files := o.files()
	for _, path := range []string{"place/x/y.yaml", "place.yaml", "link/x.yaml", "vendored/x.yaml", "docs/guide.md", "docs/deep/note.txt"} {
		require.Contains(t, files, path)
	}
	require.ElementsMatch(t, []string{
		"-place", "+place/x/y.yaml", "-place.yaml/inner.yml", "-place.yaml/notes", "+place.yaml",
		"-link", "+link/x.yaml", "-vendored", "+vendored/x.yaml",
	}, paths(edited.Changes))
}

func TestWhatIsPutAsideStaysInTheHistory(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	base := o.commit(map[string]string{"a.yaml": "replicas: 1\n", "d/b.yaml": "1\n"})
	front, dir := o.front(), t.TempDir()
	r := o.open(by(front), in(dir))
	other := o.open()
	require.NoError(t, other.Fetch(t.Context(), base))
	require.NoError(t, r.Fetch(t.Context(), base))
	front.counted()

	e := repo.Edit{
		Parent: base,
		Files:  map[string][]byte{"d/b.yaml": text("2\n")},
		Aside: &repo.Aside{
			Files:   map[string][]byte{"a.yaml": text("replicas: 5\n"), "d/b.yaml": nil, "lost/c.yaml": text("3\n")},
			Message: "conflict(primary): what the cluster had\n\nCluster: primary",
			Author:  repo.Author{Name: "Alice", Email: "alice@example.com"},
		},
		Message: "sync(primary): 1 updated",
	}
	edited := o.edit(r, e)
	require.Equal(t, []string{"GET refs", "POST git-receive-pack"}, front.counted(), "one push")
	require.Equal(t, []string{"~d/b.yaml"}, paths(edited.Changes), "of the tip")
	require.Equal(t, "sync(primary): 1 updated|active-cluster-sync\nconflict(primary): what the cluster had|Alice\nby hand|A Person",
		o.server("log", "--format=%s|%an", "main"))
	require.Equal(t, base.String(), o.server("rev-parse", "main~2"))
	require.Equal(t, "replicas: 5", o.server("show", "main~1:a.yaml"))
	require.Equal(t, "3", o.server("show", "main~1:lost/c.yaml"))
	require.Equal(t, []string{"a.yaml", "d/b.yaml"}, o.files())
	require.Equal(t, "M\td/b.yaml", o.server("diff", "--name-status", base.String(), "main"))
	require.Contains(t, o.server("log", "--all", "-S", "replicas: 5", "--format=%s", "--", "a.yaml"), "conflict(primary)")
	require.Equal(t, o.server("log", "-1", "--format=%ct", "main"), o.server("log", "-1", "--format=%ct", "main~1"))
	aside := plumbing.NewHash(o.server("rev-parse", "main~1"))

	for name, reader := range map[string]*repo.Repository{"that has pushed it": r, "that fetches it": other, "that is new": o.open()} {
		require.NoError(t, reader.Fetch(t.Context(), edited.Revision), name)
		require.Equal(t, manifests{"a.yaml": "replicas: 1\n", "d/b.yaml": "2\n"}, read(t, reader, edited.Revision), name)
		for _, ancestor := range []plumbing.Hash{base, aside} {
			descends, err := reader.Descends(t.Context(), edited.Revision, ancestor)
			require.NoError(t, err, name)
			require.True(t, descends, name)
		}
		require.NoError(t, reader.Fetch(t.Context(), aside), name)
		require.NoError(t, reader.Fetch(t.Context(), base), name)
		require.Equal(t, []string{"~d/b.yaml"}, paths(differing(t, reader, base, edited.Revision)), name)
		require.Equal(t, []string{"~a.yaml", "-d/b.yaml", "+lost/c.yaml"}, paths(differing(t, reader, base, aside)), name)
		data, err := reader.ReadFile(aside, "a.yaml")
		require.NoError(t, err, name)
		require.Equal(t, "replicas: 5\n", string(data), name)
	}

	// The tip changes nothing, and undoes the aside.
	e.Parent, e.Files = edited.Revision, nil
	undone := o.edit(r, e)
	require.Empty(t, undone.Changes)
	require.NotEqual(t, edited.Revision, undone.Revision)
	require.Equal(t, o.server("rev-parse", "main~2^{tree}"), o.server("rev-parse", "main^{tree}"))
	require.Equal(t, "replicas: 5", o.server("show", "main~1:a.yaml"))

	// Putting aside what the parent holds is putting aside nothing.
	same, err := r.Edit(t.Context(), repo.Edit{Parent: undone.Revision, Aside: &repo.Aside{Files: map[string][]byte{"a.yaml": text("replicas: 1\n")}}})
	require.NoError(t, err)
	require.Equal(t, repo.Pushed{Revision: undone.Revision}, same)
	o.edit(r, repo.Edit{Parent: undone.Revision, Files: map[string][]byte{"a.yaml": nil}, Aside: &repo.Aside{Files: map[string][]byte{"a.yaml": text("replicas: 1\n")}}})
	require.Equal(t, undone.Revision.String(), o.server("rev-parse", "main^"), "one commit")
}

func TestTheFirstCommitMayBeOnePutAside(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open()
	first := o.edit(r, repo.Edit{Aside: &repo.Aside{Files: map[string][]byte{"a.yaml": text("lost\n")}}})
	require.Empty(t, o.files())
	require.Equal(t, "lost", o.server("show", "main^:a.yaml"))
	o.edit(r, repo.Edit{Parent: first.Revision, Files: map[string][]byte{"a.yaml": text("1\n")}})

	emptied := newOrigin(t)
	tip := emptied.commit(map[string]string{"a.yaml": "1\n"})
	emptied.edit(emptied.open(), repo.Edit{Parent: tip, Files: map[string][]byte{"b.yaml": text("1\n")}, Aside: &repo.Aside{Files: map[string][]byte{"a.yaml": nil}}})
	require.Equal(t, []string{"a.yaml", "b.yaml"}, emptied.files())
	require.Empty(t, emptied.server("ls-tree", "main^"))
}

func TestEditThatLosesTheRaceLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, aside := range map[string]*repo.Aside{"alone": nil, "with an aside": {Files: map[string][]byte{"a.yaml": text("aside\n")}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			base := o.commit(map[string]string{"a.yaml": "1\n"})
			front, dir := o.front(), t.TempDir()
			r := o.open(by(front), in(dir))
			e := repo.Edit{Parent: base, Files: map[string][]byte{"a.yaml": text("2\n")}, Aside: aside}
			require.NoError(t, r.Fetch(t.Context(), base))

			theirs := o.commit(map[string]string{"a.yaml": "by hand\n"})
			_, err := r.Edit(t.Context(), e)
			require.ErrorIs(t, err, repo.ErrMoved, "before it is sent")
			_, err = r.Edit(t.Context(), repo.Edit{Files: e.Files, Aside: aside})
			require.ErrorIs(t, err, repo.ErrMoved, "the branch was to be created")

			e.Parent = theirs
			moved := false
			front.spoil(only("git-receive-pack", func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost && !moved {
					moved = true
					theirs = o.commit(map[string]string{"a.yaml": "again\n"})
				}
				return false
			}))
			_, err = r.Edit(t.Context(), e)
			require.ErrorIs(t, err, repo.ErrMoved, "while it is sent")
			require.True(t, moved)
			require.Equal(t, theirs.String(), o.server("rev-parse", "main"))
			require.Equal(t, "3", o.server("rev-list", "--count", "--all"), "by hand, all of them")
			require.Empty(t, o.leftovers(dir))

			e.Parent = theirs
			o.edit(r, e)
			require.Equal(t, []string{"a.yaml"}, o.files())
		})
	}
}

func TestEditIsRejectedByAHook(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	base := o.commit(map[string]string{"a.yaml": "1\n"})
	o.hook("update", `echo "refusing to update $1" >&2; exit 1`)
	_, err := o.open().Edit(t.Context(), repo.Edit{Parent: base, Files: map[string][]byte{"a.yaml": text("2\n")}})
	require.ErrorIs(t, err, repo.ErrRejected)
	require.ErrorContains(t, err, "refusing to update refs/heads/main")
}

func TestEditSendsWhatItChangesAndNoMore(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open(in(t.TempDir()))
	pushed, err := r.Push(t.Context(), many(10_000, "1").push(plumbing.ZeroHash))
	require.NoError(t, err)
	front := o.front()
	r = o.open(by(front))
	require.NoError(t, r.Fetch(t.Context(), pushed.Revision))
	var sent uint32
	front.spoil(only("git-receive-pack", func(_ http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if _, pack, found := bytes.Cut(body, []byte("PACK\x00\x00\x00\x02")); found {
			sent = binary.BigEndian.Uint32(pack)
		}
		return false
	}))
	edit := func(e repo.Edit) {
		t.Helper()
		e.Parent = pushed.Revision
		pushed, err = r.Edit(t.Context(), e)
		require.NoError(t, err)
	}
	// There are four directories above it, with the root, and a commit belongs to it.
	const path = "namespaces/ns-100/configmaps/cm-05000.yaml"
	edit(repo.Edit{Files: map[string][]byte{path: text("changed: 1\n")}})
	require.EqualValues(t, 1+4+1, sent)
	edit(repo.Edit{Files: map[string][]byte{path: nil}})
	require.EqualValues(t, 4+1, sent)
	edit(repo.Edit{Files: map[string][]byte{"a.yaml": text("1\n")}, Aside: &repo.Aside{Files: map[string][]byte{path: text("lost: 1\n")}}})
	require.EqualValues(t, 1+1+1+1+4+1, sent, "and with it what is put aside")
	require.Len(t, o.files(), 10_000)
	o.sound()
}

// Whatever is edited after whatever, Git's own idea of the tree is the one with these files.
func TestEditMakesTheTreeThatGitMakes(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open()
	name := rapid.SampledFrom([]string{"a", "a-b", "a.b", "a0", "b", "B", "ä", "a b", "%2e", "a.yaml"})
	file := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "path"), "/")
	})
	content := rapid.SampledFrom([]string{"", "1\n", "2\n", "none"})
	var tip plumbing.Hash
	now := manifests{}
	rapid.Check(t, func(rt *rapid.T) {
		after := maps.Clone(now)
		e := repo.Edit{Parent: tip, Files: map[string][]byte{}}
		for path, data := range rapid.MapOfN(file, content, 0, 6).Draw(rt, "files") {
			if e.Files[path] = text(data); data == "none" {
				e.Files[path] = nil
				delete(after, path)
			} else {
				after[path] = data
			}
		}
		edited, err := r.Edit(t.Context(), e)
		if after.obstructed() {
			require.ErrorAs(rt, err, new(*repo.FileError))
			return
		}
		require.NoError(rt, err)
		if tip, now = edited.Revision, after; tip.IsZero() {
			return
		}
		require.Equal(rt, o.writeTree(now), o.server("rev-parse", "main^{tree}"))
	})
	o.sound()
}

// obstructed tells whether a file is where another one needs a directory.
func (m manifests) obstructed() bool {
	for path := range m {
		for at, c := range path {
			if _, taken := m[path[:at]]; c == '/' && taken {
				return true
			}
		}
	}
	return false
}

func TestEditFromADamagedCache(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	dir := t.TempDir()
	r := o.open(in(dir))
	tip := o.commit(map[string]string{"a.yaml": "1\n", "d/b.yaml": "1\n"})
	require.NoError(t, r.Fetch(t.Context(), tip))
	found, err := filepath.Glob(filepath.Join(dir, "*", "objects", "pack", "*.pack"))
	require.NoError(t, err)
	for _, pack := range found {
		require.NoError(t, errors.Join(os.Chmod(pack, 0o600), os.Truncate(pack, 40)))
	}
	o.edit(r, repo.Edit{Parent: tip, Files: map[string][]byte{"d/b.yaml": text("2\n")}})
	require.Equal(t, []string{"a.yaml", "d/b.yaml"}, o.files())
}
