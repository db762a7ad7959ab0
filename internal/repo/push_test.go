package repo_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

func TestPushCreatesBranchInEmptyRepository(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	r := o.open(by(front))

	tip, err := r.Tip(t.Context())
	require.NoError(t, err)
	require.True(t, tip.IsZero())

	m := manifests{"cluster/namespaces/shop.yaml": "a: 1\n", "namespaces/shop/services/cart.yaml": "b: 2\n"}
	p := m.push(plumbing.ZeroHash)
	p.When = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	p.Message = func(changes []tree.Change) string {
		require.ElementsMatch(t, []string{"+cluster/namespaces/shop.yaml", "+namespaces/shop/services/cart.yaml"}, paths(changes))
		return "sync(primary): 2 added\n\nCluster: primary"
	}
	front.counted()
	pushed := o.push(r, p)
	require.Equal(t, []string{"GET refs", "POST git-receive-pack"}, front.counted())
	require.Len(t, pushed.Changes, 2)

	require.Equal(t, []string{"cluster/namespaces/shop.yaml", "namespaces/shop/services/cart.yaml"}, o.files())
	require.Equal(t, "a: 1", o.server("show", "main:cluster/namespaces/shop.yaml"))
	require.Equal(t, "sync(primary): 2 added\n\nCluster: primary", o.server("log", "-1", "--format=%B", "main"))
	require.Equal(t, "active-cluster-sync <noreply@active-cluster-sync.io> 1740830400",
		o.server("log", "-1", "--format=%an <%ae> %at", "main"))
	require.Equal(t, o.server("rev-parse", "main^{tree}"), m.tree().Hash().String(), "the tree is the desired one")

	require.NoError(t, r.Fetch(t.Context(), pushed.Revision))
	require.Empty(t, front.counted(), "our own commit needs no fetch")
}

func TestPushOfNothingNewSendsNothing(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	r := o.open(by(front))

	pushed, err := r.Push(t.Context(), manifests{}.push(plumbing.ZeroHash))
	require.NoError(t, err)
	require.Equal(t, repo.Pushed{}, pushed, "a branch isn't made for nothing")

	m := manifests{"a.yaml": "1\n"}
	first := o.push(r, m.push(plumbing.ZeroHash))
	front.counted()
	p := m.push(first.Revision)
	p.Content = func(context.Context, []tree.Change) (map[string][]byte, error) {
		return nil, errors.New("must not be asked")
	}
	again := o.push(r, p)
	require.Equal(t, repo.Pushed{Revision: first.Revision}, again)
	require.Empty(t, front.counted())
	require.Equal(t, "1", o.server("rev-list", "--count", "main"))
}

func TestPushAsksOnlyForContentThatIsNowhere(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open()
	var asked []string
	ask := func(m manifests, parent plumbing.Hash) repo.Pushed {
		t.Helper()
		p := m.push(parent)
		p.Content = func(ctx context.Context, missing []tree.Change) (map[string][]byte, error) {
			asked = append(asked, paths(missing)...)
			return m.content(ctx, missing)
		}
		asked = nil
		return o.push(r, p)
	}
	first := ask(manifests{"a.yaml": "1\n", "b.yaml": "1\n", "d/c.yaml": "3\n"}, plumbing.ZeroHash)
	require.Equal(t, []string{"+a.yaml", "+d/c.yaml"}, asked, "the same content is asked for once")
	second := ask(manifests{"a.yaml": "2\n", "b.yaml": "1\n", "e/c.yaml": "3\n"}, first.Revision)
	require.Equal(t, []string{"~a.yaml"}, asked, "what has moved is known")
	require.ElementsMatch(t, []string{"~a.yaml", "+e/c.yaml", "-d/c.yaml"}, paths(second.Changes))
	ask(manifests{"a.yaml": "1\n"}, second.Revision)
	require.Empty(t, asked, "what has been there is known")
}

func TestPushRefusesContentThatIsNotWhatWasPlanned(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	r := o.open(by(front))
	for name, content := range map[string]manifests{"changed": {"a.yaml": "2\n"}, "gone": {}} {
		p := manifests{"a.yaml": "1\n"}.push(plumbing.ZeroHash)
		p.Content = content.content
		_, err := r.Push(t.Context(), p)
		require.ErrorIs(t, err, repo.ErrStale, name)
		require.ErrorContains(t, err, "a.yaml")
	}
	require.NotContains(t, front.counted(), "POST git-receive-pack")
	require.Empty(t, o.server("for-each-ref"))
}

func TestPushLosesToWhoeverMovedTheBranch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	base := o.commit(map[string]string{"a.yaml": "1\n"})
	r := o.open()

	theirs := o.commit(map[string]string{"a.yaml": "by hand\n"})
	_, err := r.Push(t.Context(), manifests{"a.yaml": "2\n"}.push(base))
	require.ErrorIs(t, err, repo.ErrMoved)
	require.Equal(t, theirs.String(), o.server("rev-parse", "main"))

	_, err = r.Push(t.Context(), manifests{"a.yaml": "2\n"}.push(plumbing.ZeroHash))
	require.ErrorIs(t, err, repo.ErrMoved, "the branch was to be created")

	o.server("update-ref", "-d", "refs/heads/main")
	_, err = r.Push(t.Context(), manifests{"a.yaml": "2\n"}.push(base))
	require.ErrorIs(t, err, repo.ErrMoved, "a deleted branch isn't brought back by accident")
	require.Empty(t, o.server("for-each-ref"))
}

// The server compares: the branch moves after the client has looked, while the objects are on their way.
func TestPushIsComparedByTheServer(t *testing.T) {
	t.Parallel()
	for _, created := range []bool{false, true} {
		o := newOrigin(t)
		front := o.front()
		r := o.open(by(front))
		parent := plumbing.ZeroHash
		if !created {
			parent = o.commit(map[string]string{"a.yaml": "1\n"})
		}
		var theirs plumbing.Hash
		front.spoil(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && theirs.IsZero() && r.URL.Path[len(r.URL.Path)-len("receive-pack"):] == "receive-pack" {
				theirs = o.commit(map[string]string{"a.yaml": "by hand\n"})
			}
			return false
		})
		_, err := r.Push(t.Context(), manifests{"a.yaml": "2\n"}.push(parent))
		require.ErrorIs(t, err, repo.ErrMoved)
		require.False(t, theirs.IsZero())
		require.Equal(t, theirs.String(), o.server("rev-parse", "main"))
		o.sound()
	}
}

func TestPushersOnOneBranchLoseNothing(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.commit(map[string]string{"README": "x"})
	const pushers, each = 3, 4
	var wg sync.WaitGroup
	for i := range pushers {
		dir := string(rune('a' + i))
		r := o.open(at(dir))
		wg.Go(func() {
			m := manifests{}
			for n := range each {
				m[string(rune('0'+n))+".yaml"] = "content\n"
				for {
					tip, err := r.Tip(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					_, err = r.Push(t.Context(), m.push(tip))
					if err == nil {
						break
					}
					if !errors.Is(err, repo.ErrMoved) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	o.sound()
	require.Len(t, o.files(), 1+pushers*each)
	require.Equal(t, "13", o.server("rev-list", "--count", "--first-parent", "main"), "one commit each, in one line")
}

func TestPushReportsWhatAHookSays(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.hook("pre-receive", "echo 'No pushes on Fridays. \x1b[31m"+o.token+"' >&2; exit 1")
	r := o.open()
	_, err := r.Push(t.Context(), manifests{"a.yaml": "1\n"}.push(plumbing.ZeroHash))
	require.ErrorIs(t, err, repo.ErrRejected)
	require.ErrorContains(t, err, "No pushes on Fridays.")
	require.NotContains(t, err.Error(), o.token)
	require.NotContains(t, err.Error(), "\x1b")
}

func TestPushIntoProtectedBranchIsRejected(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	base := o.commit(map[string]string{"a.yaml": "1\n"})
	o.hook("update", `echo "refusing to update $1" >&2; exit 1`)
	r := o.open()
	_, err := r.Push(t.Context(), manifests{"a.yaml": "2\n"}.push(base))
	require.ErrorIs(t, err, repo.ErrRejected)
	require.ErrorContains(t, err, "refusing to update refs/heads/main")
	require.NotErrorIs(t, err, repo.ErrMoved)
}

func TestPushOfManyFilesAndThenOne(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open(in(t.TempDir()))
	m := many(2000, "1")
	first := o.push(r, m.push(plumbing.ZeroHash))
	require.Len(t, o.files(), 2000)
	before := o.objects()

	m["namespaces/ns-000/configmaps/cm-00000.yaml"] = "changed: true\n"
	second := o.push(r, m.push(first.Revision))
	require.Equal(t, []string{"~namespaces/ns-000/configmaps/cm-00000.yaml"}, paths(second.Changes))
	require.Equal(t, 6, o.objects()-before, "a blob, four directories and a commit")
}

func TestALargePushIsReadBackAsItWasSent(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	dir := t.TempDir()
	r := o.open(func(options *repo.Options) { options.Dir = dir })
	m := many(5000, "1")
	m["large.yaml"] = "text: " + strings.Repeat("long ", 1<<18) + "\n"
	m["empty.yaml"] = ""
	first := o.push(r, m.push(plumbing.ZeroHash))
	o.server("fsck", "--full", "--strict")
	require.True(t, maps.Equal(m, read(t, r, first.Revision)))
	packs, err := filepath.Glob(filepath.Join(dir, "*", "objects", "pack", "*.idx"))
	require.NoError(t, err)
	require.NotEmpty(t, packs)
	for _, pack := range packs {
		o.git(dir, "verify-pack", pack)
	}

	m["empty.yaml"] = "text: x\n"
	second := o.push(r, m.push(first.Revision))
	require.True(t, maps.Equal(m, read(t, r, second.Revision)))
}

func TestPushEmptiesTheBranch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open()
	first := o.push(r, manifests{"d/a.yaml": "1\n"}.push(plumbing.ZeroHash))
	second := o.push(r, manifests{}.push(first.Revision))
	require.Empty(t, o.files())
	require.Equal(t, []string{"-d/a.yaml"}, paths(second.Changes))
	third := o.push(r, manifests{"d/a.yaml": "2\n"}.push(second.Revision))
	require.Equal(t, []string{"d/a.yaml"}, o.files())
	require.Equal(t, "3", o.server("rev-list", "--count", third.Revision.String()))
}

func TestPushFromAFreshCache(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"a.yaml": "1\n", "keep.txt": "x"})
	front := o.front()
	r := o.open(by(front))
	o.push(r, manifests{"b.yaml": "2\n"}.push(tip))
	require.Equal(t, []string{"b.yaml", "keep.txt"}, o.files())
	require.Equal(t, []string{"GET refs", "POST git-upload-pack", "GET refs", "POST git-receive-pack"}, front.counted())
}

// hook installs a hook in the bare repository.
func (o *origin) hook(name, script string) {
	o.Helper()
	o.writeExecutable(o.bare+"/hooks/"+name, "#!/bin/sh\n"+script+"\n")
}
