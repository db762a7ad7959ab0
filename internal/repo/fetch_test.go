package repo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

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

	changes := differing(t, r, first, second)
	require.Equal(t, []string{"+a.yaml", "~namespaces/ns-000/configmaps/cm-00000.yaml"}, paths(changes))
	back := differing(t, r, second, first)
	require.Equal(t, []string{"-a.yaml", "~namespaces/ns-000/configmaps/cm-00000.yaml"}, paths(back))
	all := differing(t, r, plumbing.ZeroHash, second)
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
			changes := differing(t, r, next, other)
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
		for _, server := range []fault{nil, front.unfiltered} {
			front.spoil(server)
			r := o.open(by(front))
			got, err := r.Descends(t.Context(), test.revision, test.ancestor)
			require.NoError(t, err, name)
			require.Equal(t, test.want, got, name)
		}
	}

	front.spoil(nil)
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
