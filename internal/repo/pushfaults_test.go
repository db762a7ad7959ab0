package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

// starve has the real server see only the first half of what is sent to it: then it hangs or cuts.
func (f *front) starve(then fault) fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		half := r.Clone(r.Context())
		half.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{}))
		f.proxy.ServeHTTP(httptest.NewRecorder(), half)
		return then(w, r)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

// moves are the ways to bring files to a branch, and how many commits each makes.
var moves = map[string]struct {
	commits int
	move    func(ctx context.Context, r *repo.Repository, parent plumbing.Hash, m manifests) (repo.Pushed, error)
}{
	"push": {1, func(ctx context.Context, r *repo.Repository, parent plumbing.Hash, m manifests) (repo.Pushed, error) {
		return r.Push(ctx, m.push(parent))
	}},
	"edit": {1, func(ctx context.Context, r *repo.Repository, parent plumbing.Hash, m manifests) (repo.Pushed, error) {
		return r.Edit(ctx, repo.Edit{Parent: parent, Files: m.files()})
	}},
	"edit with something put aside": {2, func(ctx context.Context, r *repo.Repository, parent plumbing.Hash, m manifests) (repo.Pushed, error) {
		return r.Edit(ctx, repo.Edit{Parent: parent, Files: m.files(), Aside: &repo.Aside{Files: map[string][]byte{"a.yaml": []byte("aside of " + parent.String())}}})
	}},
}

// TestPushThroughAnyFaultMovesTheBranchOnceOrNot: whatever happens to a push, the branch is where it was or
// holds exactly what is new, and the next try ends it.
func TestPushThroughAnyFaultMovesTheBranchOnceOrNot(t *testing.T) {
	t.Parallel()
	all := map[string]func(*front) fault{
		"answers 500":            func(*front) fault { return answer(500) },
		"answers 503":            func(*front) fault { return answer(503) },
		"hangs":                  func(*front) fault { return hang },
		"cuts":                   func(*front) fault { return cut },
		"gives half, then cuts":  func(f *front) fault { return f.half(cut) },
		"gives half, then hangs": func(f *front) fault { return f.half(hang) },
	}
	for name, spoil := range all {
		for move := range moves {
			t.Run("before "+move+" it "+name, func(t *testing.T) {
				t.Parallel()
				pushThrough(t, move, "info/refs", spoil)
			})
		}
	}
	all["gets half, then cuts"] = func(f *front) fault { return f.starve(cut) }
	all["gets half, then hangs"] = func(f *front) fault { return f.starve(hang) }
	all["gets half, answers 500"] = func(f *front) fault { return f.starve(answer(500)) }
	all["takes it, then cuts"] = func(f *front) fault { return f.lose }
	for name, spoil := range all {
		for move := range moves {
			t.Run(move+" and the server "+name, func(t *testing.T) {
				t.Parallel()
				pushThrough(t, move, "git-receive-pack", spoil)
			})
		}
	}
}

func pushThrough(t *testing.T, way, in string, spoil func(*front) fault) {
	o := newOrigin(t)
	tip := o.commit(map[string]string{"notes.md": "kept\n"})
	front, dir := o.front(), t.TempDir()
	r := o.open(by(front), func(options *repo.Options) { options.Dir, options.Timeout = dir, 2*time.Second })
	require.NoError(t, r.Fetch(t.Context(), tip))
	m := many(200, "1")
	commits, move := moves[way].commits, moves[way].move
	movedOnce := func(before plumbing.Hash) {
		t.Helper()
		require.Equal(t, before.String(), o.server("rev-parse", fmt.Sprintf("main~%d", commits)))
		require.Len(t, o.files(), len(m)+1)
		require.Equal(t, strings.TrimSpace(m["a.yaml"]), o.server("show", "main:a.yaml"))
	}
	for try := range 2 {
		front.spoil(only(in, spoil(front)))
		m["a.yaml"] = fmt.Sprintf("try: %d\n", try)
		before := plumbing.NewHash(o.server("rev-parse", "main"))
		pushed, err := move(t.Context(), r, before, m)
		now := plumbing.NewHash(o.server("rev-parse", "main"))
		if err != nil {
			require.ErrorIs(t, err, repo.ErrUnreachable)
		} else {
			require.Equal(t, pushed.Revision, now)
		}
		if now != before {
			movedOnce(before)
		}
	}
	front.spoil(nil)
	before := plumbing.NewHash(o.server("rev-parse", "main"))
	m["a.yaml"] = "last\n"
	pushed, err := move(t.Context(), r, before, m)
	require.NoError(t, err)
	require.Equal(t, pushed.Revision.String(), o.server("rev-parse", "main"))
	movedOnce(before)
	o.sound()
	require.True(t, maps.Equal(m, read(t, r, pushed.Revision)), "the local store is usable")
	require.Empty(t, o.leftovers(dir))
}
