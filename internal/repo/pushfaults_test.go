package repo_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
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

// TestPushThroughAnyFaultMovesTheBranchOnceOrNot: whatever happens to a push, the branch is where it was or
// holds exactly the one new commit, and the next try ends it.
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
		t.Run("before it "+name, func(t *testing.T) {
			t.Parallel()
			pushThrough(t, "info/refs", spoil)
		})
	}
	all["gets half, then cuts"] = func(f *front) fault { return f.starve(cut) }
	all["gets half, then hangs"] = func(f *front) fault { return f.starve(hang) }
	all["gets half, answers 500"] = func(f *front) fault { return f.starve(answer(500)) }
	all["takes it, then cuts"] = func(f *front) fault { return f.lose }
	for name, spoil := range all {
		t.Run("server "+name, func(t *testing.T) {
			t.Parallel()
			pushThrough(t, "git-receive-pack", spoil)
		})
	}
}

func pushThrough(t *testing.T, in string, spoil func(*front) fault) {
	o := newOrigin(t)
	tip := o.commit(map[string]string{"notes.md": "kept\n"})
	front, dir := o.front(), t.TempDir()
	r := o.open(by(front), func(options *repo.Options) { options.Dir, options.Timeout = dir, 2*time.Second })
	require.NoError(t, r.Fetch(t.Context(), tip))
	m := many(200, "1")
	for try := range 2 {
		front.spoil(only(in, spoil(front)))
		m["a.yaml"] = fmt.Sprintf("try: %d\n", try)
		before := plumbing.NewHash(o.server("rev-parse", "main"))
		pushed, err := r.Push(t.Context(), m.push(before))
		now := plumbing.NewHash(o.server("rev-parse", "main"))
		if err != nil {
			require.ErrorIs(t, err, repo.ErrUnreachable)
		} else {
			require.Equal(t, pushed.Revision, now)
		}
		if now != before {
			require.Equal(t, before.String(), o.server("rev-parse", "main^"))
			require.Len(t, o.files(), len(m)+1)
		}
	}
	front.spoil(nil)
	before := plumbing.NewHash(o.server("rev-parse", "main"))
	m["a.yaml"] = "last\n"
	pushed := o.push(r, m.push(before))
	require.Equal(t, before.String(), o.server("rev-parse", "main^"))
	require.Len(t, o.files(), len(m)+1)
	require.True(t, maps.Equal(m, read(t, r, pushed.Revision)), "the local store is usable")
	require.Empty(t, o.leftovers(dir))
}
