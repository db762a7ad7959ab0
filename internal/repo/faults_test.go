package repo_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

type fault = func(http.ResponseWriter, *http.Request) bool

func answer(status int, headers ...string) fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "the server's \x1b[31mwords and "+r.Header.Get("Authorization"))
		return true
	}
}

// only lets a fault happen to some requests.
func only(path string, f fault) fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, path) && f(w, r)
	}
}

// hang never answers.
func hang(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	return true
}

// cut closes the connection without an answer, having read a part of the request.
func cut(w http.ResponseWriter, r *http.Request) bool {
	_, _ = io.CopyN(io.Discard, r.Body, 100)
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
	return true
}

// half has the real server answer, and passes on only the beginning: then it hangs or cuts.
func (f *front) half(then fault) fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		whole := httptest.NewRecorder()
		f.proxy.ServeHTTP(whole, r)
		for name, values := range whole.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(whole.Code)
		_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		return then(w, r)
	}
}

// lose has the real server do what it is asked to, and loses the answer.
func (f *front) lose(w http.ResponseWriter, r *http.Request) bool {
	f.proxy.ServeHTTP(httptest.NewRecorder(), r)
	return cut(w, r)
}

func TestSilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(many(200, "1"))
	front := o.front()
	for _, fault := range []fault{
		hang,
		only("git-upload-pack", hang),
		only("git-upload-pack", front.half(hang)),
		only("info/refs", front.half(hang)),
	} {
		dir := t.TempDir()
		r := o.open(by(front), in(dir), after(1500*time.Millisecond))
		front.spoil(fault)
		require.ErrorIs(t, r.Fetch(t.Context(), tip), repo.ErrUnreachable)
		_, err := r.Push(t.Context(), manifests{}.push(tip))
		require.ErrorIs(t, err, repo.ErrUnreachable)
		require.ErrorContains(t, err, "silent for 1.5s")
		front.spoil(nil)
		require.NoError(t, r.Fetch(t.Context(), tip))
		require.Len(t, read(t, r, tip), 200)
		require.Empty(t, o.leftovers(dir))
	}
}

func TestSlowServerIsNotGivenUpWhileItSends(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(many(200, "1"))
	front := o.front()
	r := o.open(by(front), after(1500*time.Millisecond))
	began := time.Now()
	front.spoil(only("git-upload-pack", func(w http.ResponseWriter, r *http.Request) bool {
		whole := httptest.NewRecorder()
		front.proxy.ServeHTTP(whole, r)
		w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for rest, step := whole.Body.Bytes(), whole.Body.Len()/10+1; len(rest) > 0; <-tick.C {
			n := min(step, len(rest))
			_, _ = w.Write(rest[:n])
			_ = http.NewResponseController(w).Flush()
			rest = rest[n:]
		}
		return true
	}))
	require.NoError(t, r.Fetch(t.Context(), tip))
	require.Greater(t, time.Since(began), 2*time.Second)
}

func TestCancelledContextStopsAtOnce(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(many(200, "1"))
	front := o.front()
	r := o.open(by(front))
	reason := fmt.Errorf("the worker stops")
	for _, fault := range []fault{hang, only("git-upload-pack", front.half(hang)), only("git-receive-pack", hang)} {
		ctx, cancel := context.WithCancelCause(t.Context())
		front.spoil(func(w http.ResponseWriter, r *http.Request) bool {
			return fault(w, r.WithContext(notify{r.Context(), func() { cancel(reason) }}))
		})
		_, err := r.Push(ctx, manifests{"b.yaml": "1\n"}.push(tip))
		require.ErrorIs(t, err, reason)
		cancel(nil)
	}
	front.spoil(nil)
	o.push(r, manifests{"b.yaml": "1\n"}.push(tip))

	busy := make(chan struct{})
	free := make(chan struct{})
	front.spoil(func(http.ResponseWriter, *http.Request) bool { close(busy); <-free; front.spoil(nil); return false })
	done := make(chan error)
	next := o.commit(map[string]string{"c.yaml": "1\n"})
	go func() { done <- r.Fetch(t.Context(), next) }()
	<-busy
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Fetch(ctx, tip), context.Canceled, "also while waiting for another call")
	_, err := r.Files(tip)
	require.NoError(t, err, "reading goes on")
	close(free)
	require.NoError(t, <-done)
}

// notify tells when somebody starts to wait for the end of a context.
type notify struct {
	context.Context
	waiting func()
}

func (n notify) Done() <-chan struct{} {
	n.waiting()
	return n.Context.Done()
}

func TestCutConnectionWhileFetching(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	dir := t.TempDir()
	front := o.front()
	r := o.open(by(front), in(dir))
	var last plumbing.Hash
	for i := range 3 {
		tip := o.commit(many(300, fmt.Sprint(i)))
		for _, fault := range []fault{front.half(cut), front.lose, cut} {
			front.spoil(only("git-upload-pack", fault))
			require.ErrorIs(t, r.Fetch(t.Context(), tip), repo.ErrUnreachable)
			if !last.IsZero() {
				require.Len(t, read(t, r, last), 300, "what was there is still readable")
			}
		}
		require.Empty(t, o.leftovers(dir))
		front.spoil(nil)
		require.NoError(t, r.Fetch(t.Context(), tip))
		require.Equal(t, many(300, fmt.Sprint(i)), read(t, r, tip))
		last = tip
	}
}

func TestPushWhoseRequestIsCut(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	dir := t.TempDir()
	front := o.front()
	r := o.open(by(front), in(dir), after(2*time.Second))
	m := many(300, "1")
	for _, fault := range []fault{cut, hang, answer(500), answer(413)} {
		front.spoil(only("git-receive-pack", fault))
		_, err := r.Push(t.Context(), m.push(tip))
		require.ErrorIs(t, err, repo.ErrUnreachable)
		require.Equal(t, tip.String(), o.server("rev-parse", "main"))
	}
	front.spoil(nil)
	o.push(r, m.push(tip))
	require.Len(t, o.files(), 300)
	require.Empty(t, o.leftovers(dir))
}

func TestPushWhoseAnswerIsLostIsFound(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	r := o.open(by(front))
	for i, fault := range []fault{front.lose, front.half(cut), func(w http.ResponseWriter, r *http.Request) bool {
		front.proxy.ServeHTTP(httptest.NewRecorder(), r)
		return answer(504)(w, r)
	}} {
		tip, err := r.Tip(t.Context())
		require.NoError(t, err)
		front.spoil(only("git-receive-pack", fault))
		pushed := o.push(r, manifests{"a.yaml": fmt.Sprintln(i)}.push(tip))
		front.spoil(nil)
		front.counted()
		require.NoError(t, r.Fetch(t.Context(), pushed.Revision))
		require.Empty(t, front.counted())
	}
}

func TestPushOfUnknownOutcomeIsSettledByTheNextRun(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	front := o.front()
	r := o.open(by(front))
	lost := false
	front.spoil(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "git-receive-pack") && r.Method == http.MethodPost {
			lost = true
			return front.lose(w, r)
		}
		return lost && cut(w, r)
	})
	m := manifests{"a.yaml": "2\n"}
	_, err := r.Push(t.Context(), m.push(tip))
	require.ErrorIs(t, err, repo.ErrUnreachable)

	front.spoil(nil)
	now, err := r.Tip(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, tip, now, "the server had taken it")
	pushed := o.push(r, m.push(now))
	require.Equal(t, repo.Pushed{Revision: now}, pushed)
	require.Equal(t, "2", o.server("rev-list", "--count", "main"))
}

// leftovers are files in a cache that belong to nothing.
func (o *origin) leftovers(dir string) []string {
	o.Helper()
	var all []string
	for _, pattern := range []string{"*/incoming/*", "*/objects/pack/tmp_*", "*.next"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(o, err)
		all = append(all, found...)
	}
	return all
}
