package repo_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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

func TestRefusalsAreToldApart(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	front := o.front()
	date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	tests := map[string]struct {
		fault fault
		want  error
		after [2]time.Duration
		says  string
	}{
		"wrong token":            {answer(401), repo.ErrAuth, [2]time.Duration{}, "check that the token is right"},
		"forbidden":              {answer(403), repo.ErrAuth, [2]time.Duration{}, "must be allowed to read and to write"},
		"not found":              {answer(404), repo.ErrNotFound, [2]time.Duration{}, "check the address"},
		"error":                  {answer(500, "Content-Type", "text/plain"), repo.ErrUnreachable, [2]time.Duration{}, "HTTP status 500; it says: the server's [31mwords"},
		"bad gateway":            {answer(502), repo.ErrUnreachable, [2]time.Duration{}, "HTTP status 502"},
		"login page":             {answer(200, "Content-Type", "text/html"), repo.ErrNotFound, [2]time.Duration{}, "not as a Git server"},
		"garbage":                {answer(200, "Content-Type", "application/x-git-upload-pack-advertisement"), repo.ErrUnreachable, [2]time.Duration{}, ""},
		"cut":                    {cut, repo.ErrUnreachable, [2]time.Duration{}, ""},
		"too many":               {answer(429), nil, [2]time.Duration{time.Minute, time.Minute}, "limits the rate"},
		"too many, with seconds": {answer(429, "Retry-After", "7"), nil, [2]time.Duration{7 * time.Second, 7 * time.Second}, "7s"},
		"too many, with a date":  {answer(429, "Retry-After", date), nil, [2]time.Duration{80 * time.Second, 91 * time.Second}, ""},
		"GitHub's limit":         {answer(403, "X-RateLimit-Remaining", "0"), nil, [2]time.Duration{time.Minute, time.Minute}, ""},
		"GitHub's other limit":   {answer(403, "Retry-After", "9"), nil, [2]time.Duration{9 * time.Second, 9 * time.Second}, ""},
	}
	for name, test := range tests {
		front.spoil(test.fault)
		r := o.open(by(front))
		_, tipErr := r.Tip(t.Context())
		_, pushErr := r.Push(t.Context(), manifests{"b.yaml": "1\n"}.push(plumbing.ZeroHash))
		_, descendsErr := r.Descends(t.Context(), tip, plumbing.NewHash("1234567890123456789012345678901234567890"))
		for _, err := range []error{tipErr, r.Fetch(t.Context(), tip), pushErr, descendsErr} {
			require.Error(t, err, name)
			require.ErrorContains(t, err, test.says, name)
			require.NotContains(t, err.Error(), o.token)
			require.NotContains(t, err.Error(), "Basic Z2l0O", "no credentials in an error")
			require.NotContains(t, err.Error(), "\x1b", name)
			if test.want != nil {
				require.ErrorIs(t, err, test.want, name)
				continue
			}
			var limited *repo.RateLimitedError
			require.ErrorAs(t, err, &limited, name)
			require.GreaterOrEqual(t, limited.RetryAfter, test.after[0], name)
			require.LessOrEqual(t, limited.RetryAfter, test.after[1], name)
		}
		front.spoil(nil)
		got, err := r.Tip(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, tip, got)
	}
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
		r := o.open(by(front), in(dir), after(300*time.Millisecond))
		front.spoil(fault)
		require.ErrorIs(t, r.Fetch(t.Context(), tip), repo.ErrUnreachable)
		_, err := r.Push(t.Context(), manifests{}.push(tip))
		require.ErrorIs(t, err, repo.ErrUnreachable)
		require.ErrorContains(t, err, "silent for 300ms")
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
	r := o.open(by(front), after(400*time.Millisecond))
	began := time.Now()
	front.spoil(only("git-upload-pack", func(w http.ResponseWriter, r *http.Request) bool {
		whole := httptest.NewRecorder()
		front.proxy.ServeHTTP(whole, r)
		w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
		tick := time.NewTicker(100 * time.Millisecond)
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
	require.Greater(t, time.Since(began), 800*time.Millisecond)
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

func TestRotatedTokenWorksAtOnce(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	token := o.token
	r := o.open(func(options *repo.Options) {
		options.Credentials = func(context.Context) (repo.Credentials, error) {
			return repo.Credentials{Password: token}, nil
		}
	})
	_, err := r.Tip(t.Context())
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(stack.TokenFile(o.name), []byte("another-token"), 0o600))
	_, err = r.Tip(t.Context())
	require.ErrorIs(t, err, repo.ErrAuth)
	require.ErrorIs(t, r.Fetch(t.Context(), tip), repo.ErrAuth)
	_, err = r.Push(t.Context(), manifests{"b.yaml": "1\n"}.push(plumbing.ZeroHash))
	require.ErrorIs(t, err, repo.ErrAuth)

	token = "another-token"
	require.NoError(t, r.Fetch(t.Context(), tip))
	o.push(r, manifests{"b.yaml": "1\n"}.push(tip))

	token = ""
	_, err = r.Tip(t.Context())
	require.ErrorIs(t, err, repo.ErrAuth)
	require.ErrorContains(t, err, "wants a user name and a token")
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.commit(map[string]string{"a.yaml": "1\n"})
	var seen atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || strings.Contains(fmt.Sprint(r.Header), o.token) {
			seen.Add(1)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer elsewhere.Close()
	front := o.front()
	r := o.open(by(front))
	front.spoil(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, elsewhere.URL+r.URL.RequestURI(), http.StatusMovedPermanently)
		return true
	})
	_, err := r.Tip(t.Context())
	require.ErrorIs(t, err, repo.ErrAuth)
	_, err = r.Push(t.Context(), manifests{"a.yaml": "1\n"}.push(plumbing.ZeroHash))
	require.ErrorIs(t, err, repo.ErrAuth)
	require.Zero(t, seen.Load())
}

func TestRenamedRepositoryIsFollowed(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	front := o.front()
	old := "/group%20a/old%2Bname.git"
	u, err := url.Parse(front.url)
	require.NoError(t, err)
	name := u.Path
	front.spoil(func(w http.ResponseWriter, r *http.Request) bool {
		if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), old); ok {
			http.Redirect(w, r, name+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return true
		}
		return false
	})
	r := o.open(func(options *repo.Options) { options.URL = u.Scheme + "://" + u.Host + old + "/" })
	require.NoError(t, r.Fetch(t.Context(), tip))
	o.push(r, manifests{"b.yaml": "1\n"}.push(tip))
}

func TestAddressWithEscapesIsSentAsItIs(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	front := o.front()
	u, err := url.Parse(front.url)
	require.NoError(t, err)
	written := "/My%20Project/_git"
	front.spoil(func(w http.ResponseWriter, r *http.Request) bool {
		if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), written); ok {
			r.URL.Path, r.URL.RawPath = u.Path+rest, ""
			return false
		}
		return answer(404)(w, r)
	})
	r := o.open(func(options *repo.Options) { options.URL = u.Scheme + "://" + u.Host + written })
	require.NoError(t, r.Fetch(t.Context(), tip))
	o.push(r, manifests{"b.yaml": "1\n"}.push(tip))
}

func TestCertificateOfAnOwnAuthority(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	want := o.commit(map[string]string{"a.yaml": "1\n"})
	server := httptest.NewUnstartedServer(o.front())
	server.Config.ErrorLog = silent
	server.StartTLS()
	defer server.Close()
	var ca []byte
	r := o.open(func(options *repo.Options) {
		options.URL = server.URL + "/" + o.name + ".git"
		options.Credentials = func(context.Context) (repo.Credentials, error) {
			return repo.Credentials{Username: "git", Password: o.token, CA: ca}, nil
		}
	})
	_, err := r.Tip(t.Context())
	require.ErrorIs(t, err, repo.ErrUnreachable)
	require.ErrorContains(t, err, "put the authority's certificate into ca.crt")
	ca = []byte("nonsense")
	_, err = r.Tip(t.Context())
	require.ErrorContains(t, err, "holds no certificate")
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	tip, err := r.Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, tip)
}

func TestOneConnectionServesAllRequests(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(o.front())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	r := o.open(func(options *repo.Options) { options.URL = server.URL + "/" + o.name + ".git" })
	var tip plumbing.Hash
	for i := range 5 {
		_, err := r.Tip(t.Context())
		require.NoError(t, err)
		pushed, err := r.Push(t.Context(), manifests{"a.yaml": fmt.Sprintln(i)}.push(tip))
		require.NoError(t, err)
		tip = o.commitOver(fmt.Sprintf("b-%d.txt", i))
		require.NotEqual(t, pushed.Revision, tip)
		require.NoError(t, r.Fetch(t.Context(), tip))
	}
	require.EqualValues(t, 1, opened.Load())
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	address := server.URL
	server.Close()
	r, err := repo.Open(repo.Options{URL: address + "/x.git"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	_, err = r.Tip(t.Context())
	require.ErrorIs(t, err, repo.ErrUnreachable)
	require.ErrorContains(t, err, "connection refused")
}

// commitOver adds a file to what was pushed to the branch.
func (o *origin) commitOver(name string) plumbing.Hash {
	o.Helper()
	o.catchUp()
	return o.commit(map[string]string{name: "x\n"})
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
