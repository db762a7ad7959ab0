package repo_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

// commitAs commits files as somebody, and pushes the branch.
func (o *origin) commitAs(name, subject string, files map[string]string) plumbing.Hash {
	o.Helper()
	o.write(files)
	o.git(o.work, "add", "--all")
	o.git(o.work, "commit", "--quiet", "--allow-empty", "-m", subject, "--author", name+" <"+strings.ToLower(name)+"@example.com>",
		"--date", "2025-03-01T12:00:00+02:00")
	return o.force("HEAD")
}

// who is the answer of LastChanges in short.
func who(t testing.TB, r *repo.Repository, from, to plumbing.Hash, paths ...string) map[string]string {
	t.Helper()
	found, err := r.LastChanges(t.Context(), from, to, paths)
	require.NoError(t, err)
	said := map[string]string{}
	for path, a := range found {
		said[path] = a.Author.Name + ": " + a.Subject
	}
	return said
}

func TestLastChangesTellWhoChangedAFile(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	o.commitAs("Zoe", "before", map[string]string{"old.yaml": "1\n"})
	from := o.commitAs("Ann", "base", map[string]string{"a.yaml": "1\n", "b.yaml": "1\n", "d/e/c.yaml": "1\n", "d/gone.yaml": "1\n", "same.yaml": "1\n"})
	incremental := o.open(by(front))
	require.NoError(t, incremental.Fetch(t.Context(), from))
	bob := o.commitAs("Bob", "first edit", map[string]string{"a.yaml": "2\n", "d/e/c.yaml": "2\n"})
	o.git(o.work, "rm", "--quiet", "d/gone.yaml")
	o.commitAs("Cid", "taken away", nil)
	o.commitAs("Dan", "second edit\n\nwith a body", map[string]string{"a.yaml": "3\n", "new.yaml": "1\n", "back.yaml": "1\n"})
	o.git(o.work, "rm", "--quiet", "back.yaml")
	to := o.commitAs("Eve", "unrelated", map[string]string{"x.txt": "1\n"})

	want := map[string]string{
		"a.yaml":      "Dan: second edit",
		"d/e/c.yaml":  "Bob: first edit",
		"d/gone.yaml": "Cid: taken away",
		"new.yaml":    "Dan: second edit",
		"back.yaml":   "Eve: unrelated", // who took it away again
	}
	all := []string{"a.yaml", "b.yaml", "d/e/c.yaml", "d/gone.yaml", "same.yaml", "new.yaml", "back.yaml", "old.yaml", "none.yaml", "d/e", "../x"}
	alone := o.open(by(front))
	require.NoError(t, alone.Fetch(t.Context(), to))
	for name, r := range map[string]*repo.Repository{"fetched since": incremental, "fetched alone": alone, "not fetched": o.open(by(front))} {
		require.Equal(t, want, who(t, r, from, to, all...), name)
		require.NoError(t, r.Fetch(t.Context(), to))
		require.Equal(t, want, who(t, r, from, to, all...), name)
		require.Empty(t, who(t, r, to, to, all...), name)
		require.Empty(t, who(t, r, from, to), name)
		require.Empty(t, who(t, r, to, from, all...), "%s: a rewound branch has nothing new", name)
	}
	front.counted()
	require.Equal(t, want, who(t, incremental, from, to, all...))
	require.Empty(t, front.counted(), "what was fetched since tells")

	found, err := incremental.LastChanges(t.Context(), from, to, []string{"d/e/c.yaml"})
	require.NoError(t, err)
	require.Equal(t, map[string]repo.Authorship{"d/e/c.yaml": {
		Revision: bob, Author: repo.Author{Name: "Bob", Email: "bob@example.com"},
		When: time.Date(2025, 3, 1, 10, 0, 0, 0, time.UTC), Subject: "first edit",
	}}, found)

	below := o.open(at("d"))
	require.Equal(t, map[string]string{"e/c.yaml": "Bob: first edit", "gone.yaml": "Cid: taken away"}, who(t, below, from, to, "e/c.yaml", "gone.yaml", "a.yaml"))
	want["old.yaml"], want["same.yaml"] = "Zoe: before", "Ann: base"
	delete(want, "back.yaml")
	require.Equal(t, want, who(t, o.open(), plumbing.ZeroHash, to, "a.yaml", "d/e/c.yaml", "d/gone.yaml", "new.yaml", "old.yaml", "same.yaml"), "of a branch that wasn't there")
}

// Of a branch that was begun before, the commits count that were merged since.
func TestLastChangesFollowMerges(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	fork := o.commitAs("Ann", "fork", map[string]string{"side.yaml": "1\n", "main.yaml": "1\n", "both.yaml": "1\n", "two.yaml": "1\n", "kept.yaml": "1\n"})
	o.git(o.work, "checkout", "--quiet", "-b", "side")
	o.commitAs("Sue", "on the side", map[string]string{"side.yaml": "2\n", "both.yaml": "side\n", "two.yaml": "2\n"})
	o.commitAs("Sam", "on the side again", map[string]string{"two.yaml": "3\n"})
	o.git(o.work, "checkout", "--quiet", "-b", "trunk", fork.String())
	from := o.commitAs("Max", "base", map[string]string{"kept.yaml": "2\n"})
	fetched := o.open()
	require.NoError(t, fetched.Fetch(t.Context(), from))
	o.commitAs("Mia", "on the main line", map[string]string{"main.yaml": "2\n", "both.yaml": "main\n"})
	merge := exec.Command("git", "merge", "--quiet", "--no-commit", "side")
	merge.Dir = o.work
	_ = merge.Run() // it conflicts
	to := o.commitAs("Meg", "merge", map[string]string{"both.yaml": "merged\n"})
	require.Equal(t, "2", fmt.Sprint(len(strings.Fields(o.server("show", "-s", "--format=%P", "main")))))
	want := map[string]string{
		"side.yaml": "Sue: on the side",
		"two.yaml":  "Sam: on the side again",
		"main.yaml": "Mia: on the main line",
		"both.yaml": "Meg: merge",
	}
	for name, r := range map[string]*repo.Repository{"fetched since": fetched, "not fetched": o.open()} {
		require.Equal(t, want, who(t, r, from, to, "side.yaml", "two.yaml", "main.yaml", "both.yaml", "kept.yaml"), name)
		for path, said := range want {
			name, _, _ := strings.Cut(said, ":")
			require.Equal(t, name, o.server("log", "-1", "--format=%an", from.String()+".."+to.String(), "--", path), "as for git")
		}
	}
}

func TestLastChangesOfWhatWasPutAside(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	base := o.commitAs("Ann", "base", map[string]string{"a.yaml": "1\n", "b.yaml": "1\n"})
	r := o.open()
	edited := o.edit(r, repo.Edit{
		Parent: base, Files: map[string][]byte{"b.yaml": text("2\n")}, Message: "sync",
		Aside: &repo.Aside{Files: map[string][]byte{"a.yaml": text("lost\n"), "b.yaml": text("2\n")}, Message: "aside", Author: repo.Author{Name: "Bob"}},
	})
	want := map[string]string{"a.yaml": "active-cluster-sync: sync", "b.yaml": "Bob: aside"}
	require.Equal(t, want, who(t, r, base, edited.Revision, "a.yaml", "b.yaml"))
	require.Equal(t, want, who(t, o.open(), base, edited.Revision, "a.yaml", "b.yaml"))
}

func TestLastChangesFetchNoMoreThanTheyNeed(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	from := o.commit(many(2000, "1"))
	o.commitAs("Bob", "edit", map[string]string{"namespaces/ns-003/configmaps/cm-00150.yaml": "changed: true\n"})
	large := make(map[string]string)
	for i := range 300 {
		large[fmt.Sprintf("large/%d.yaml", i)] = strings.Repeat(fmt.Sprint(i*7919), 3000)
	}
	to := o.commitAs("Cid", "large", large)
	front := o.front()
	alone := o.open(by(front))
	require.NoError(t, alone.Fetch(t.Context(), to))
	require.NoError(t, alone.Fetch(t.Context(), from))
	require.NoError(t, alone.Fetch(t.Context(), to))
	front.counted()
	var size int
	front.spoil(only("git-upload-pack", func(w http.ResponseWriter, r *http.Request) bool {
		front.proxy.ServeHTTP(counter{w, &size}, r)
		return true
	}))
	require.Equal(t, map[string]string{"namespaces/ns-003/configmaps/cm-00150.yaml": "Bob: edit"},
		who(t, alone, from, to, "namespaces/ns-003/configmaps/cm-00150.yaml"))
	require.Equal(t, []string{"GET refs", "POST git-upload-pack"}, front.counted())
	require.NotZero(t, size)
	require.Less(t, size, 20<<10, "two commits and the directories that they change")
}

// counter adds up what is answered.
type counter struct {
	http.ResponseWriter
	size *int
}

func (c counter) Write(p []byte) (int, error) {
	*c.size += len(p)
	return c.ResponseWriter.Write(p)
}

func TestLastChangesThatCannotBeToldAreMissing(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	from := o.commitAs("Ann", "base", map[string]string{"a.yaml": "1\n"})
	second := o.commitAs("Bob", "edit", map[string]string{"a.yaml": "2\n"})
	to := o.commitAs("Cid", "other", map[string]string{"b.yaml": "1\n"})

	front := o.front()
	front.spoil(front.unfiltered)
	require.Empty(t, who(t, o.open(by(front)), from, to, "a.yaml"), "a server that would send all files with it")
	r := o.open(by(front))
	require.NoError(t, r.Fetch(t.Context(), second))
	require.NoError(t, r.Fetch(t.Context(), to))
	require.Equal(t, map[string]string{"b.yaml": "Cid: other"}, who(t, r, from, to, "a.yaml", "b.yaml"), "what is here tells of one")
	front.spoil(nil)
	require.Equal(t, map[string]string{"a.yaml": "Bob: edit", "b.yaml": "Cid: other"}, who(t, r, from, to, "a.yaml", "b.yaml"))

	gone := plumbing.NewHash("1234567890123456789012345678901234567890")
	require.Empty(t, who(t, o.open(), gone, to, "a.yaml"), "since a revision that the server doesn't have")
	_, err := o.open().LastChanges(t.Context(), from, gone, []string{"a.yaml"})
	require.ErrorIs(t, err, repo.ErrMoved)

	front.spoil(only("git-upload-pack", answer(500)))
	_, err = o.open(by(front)).LastChanges(t.Context(), from, to, []string{"a.yaml"})
	require.ErrorIs(t, err, repo.ErrUnreachable)
}

// load puts many commits onto the branch, of one file each, and returns the last.
func (o *origin) load(from plumbing.Hash, commits int, commit func(i int) (name, path string)) string {
	o.Helper()
	var stream bytes.Buffer
	now := time.Now().Unix() // git looks for the ancestors of a commit among those that are not older
	parent := from.String()
	for i := range commits {
		name, path := commit(i)
		by := fmt.Sprintf("%s <x@example.com> %d +0000", name, now)
		fmt.Fprintf(&stream, "commit refs/heads/main\nmark :%d\nauthor %s\ncommitter %s\ndata 4\nedit\n", i+1, by, by)
		fmt.Fprintf(&stream, "from %s\nM 100644 inline %s\ndata <<END\nrevision: %d\nEND\n\n", parent, path, i)
		parent = fmt.Sprintf(":%d", i+1)
	}
	load := exec.Command("git", "fast-import", "--quiet")
	load.Dir, load.Stdin = o.bare, &stream
	out, err := load.CombinedOutput()
	require.NoError(o, err, "%s", out)
	return o.server("rev-parse", "main")
}

func TestLastChangesLookAtABoundedNumberOfCommits(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	from := o.commitAs("Ann", "base", map[string]string{"a.yaml": "1\n", "b.yaml": "1\n"})
	to := plumbing.NewHash(o.load(from, 300, func(i int) (name, path string) {
		switch i {
		case 0:
			return "Early", "a.yaml"
		case 150:
			return "Late", "b.yaml"
		}
		return "Other", "noise.yaml"
	}))
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), from))
	require.NoError(t, r.Fetch(t.Context(), to))
	for name, r := range map[string]*repo.Repository{"fetched since": r, "not fetched": o.open()} {
		require.Equal(t, map[string]string{"b.yaml": "Late: edit"}, who(t, r, from, to, "a.yaml", "b.yaml"), name)
	}
	require.Equal(t, map[string]string{"b.yaml": "Late: edit"}, who(t, o.open(), plumbing.ZeroHash, to, "a.yaml", "b.yaml"))
}

// What a rewound branch has lost was changed by none of its commits.
func TestLastChangesOfARewoundBranch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	fork := o.commitAs("Ann", "fork", map[string]string{"a.yaml": "1\n", "b.yaml": "1\n", "c.yaml": "1\n"})
	from := o.commitAs("Bob", "to be lost", map[string]string{"a.yaml": "2\n"})
	o.server("branch", "kept", "main")
	r := o.open()
	require.NoError(t, r.Fetch(t.Context(), from))
	o.git(o.work, "reset", "--quiet", "--hard", fork.String())
	o.commitAs("Cid", "first", map[string]string{"b.yaml": "2\n"})
	to := o.commitAs("Dan", "second", map[string]string{"c.yaml": "2\n"})
	for name, r := range map[string]*repo.Repository{"that has the lost one": r, "that is new": o.open()} {
		require.Equal(t, map[string]string{"c.yaml": "Dan: second"}, who(t, r, from, to, "a.yaml", "c.yaml"), name)
	}
}

func TestLastChangesTakeABoundedAmountOfMemory(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	large := map[string]string{"a.yaml": "1\n"}
	for i := range 3000 {
		large[fmt.Sprintf("%04d-%s.yaml", i, strings.Repeat("long", 50))] = ""
	}
	from := o.commit(large)
	to := plumbing.NewHash(o.load(from, 150, func(i int) (string, string) { return "Many", "a.yaml" }))
	require.Empty(t, who(t, o.open(), from, to, "a.yaml"), "150 directories of 600 KiB")
}

// What others write into a commit is cut to what can be shown anywhere.
func TestLastChangesShowNamesSafely(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	from := o.commit(map[string]string{"a.yaml": "1\n"})
	o.write(map[string]string{"a.yaml": "2\n"})
	o.git(o.work, "add", "--all")
	tree := o.git(o.work, "write-tree")
	for when, valid := range map[string]bool{"1740830400 +0000": true, "99999999999999 +9959": false} {
		raw := "tree " + tree + "\nparent " + from.String() +
			"\nauthor Eve \x1b[31m\u202e\x07" + strings.Repeat("e\u0301v\u00e9", 200) + " <eve\x00\x1b@example.com" + strings.Repeat("m", 1000) + "> " + when +
			"\ncommitter C <c@example.com> 1740830400 +0000\n\n\n  fix \x1b]8;;http://evil\x07 https://bob:secret@example.com/x" + strings.Repeat(" long", 500) + "\n\nbody\n"
		raw = strings.ReplaceAll(raw, "\x00", "")
		o.git(o.work, "push", "--quiet", "--force", "origin", o.hash(o.work, "commit", []byte(raw))+":refs/heads/main")
		to := plumbing.NewHash(o.server("rev-parse", "main"))
		found, err := o.open().LastChanges(t.Context(), from, to, []string{"a.yaml"})
		require.NoError(t, err)
		require.Len(t, found, 1)
		a := found["a.yaml"]
		for _, shown := range []string{a.Author.Name, a.Author.Email, a.Subject} {
			require.NotEmpty(t, shown)
			require.LessOrEqual(t, len(shown), 210)
			require.NotContains(t, shown, "secret")
			for _, c := range []string{"\x1b", "\x07", "\u202e", "\n"} {
				require.NotContains(t, shown, c)
			}
		}
		require.Equal(t, valid, !a.When.IsZero())
		require.True(t, strings.HasPrefix(a.Subject, "fix"), a.Subject)
		_, err = a.When.MarshalJSON()
		require.NoError(t, err)
	}
}
