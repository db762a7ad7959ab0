package repo_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

func TestRefusalsAreToldApart(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	tip := o.commit(map[string]string{"a.yaml": "1\n"})
	front := o.front()
	date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	never := [2]time.Duration{}
	tests := map[string]struct {
		fault fault
		want  error
		after [2]time.Duration
		says  string
	}{
		"wrong token":            {answer(401), repo.ErrAuth, never, "check that the token is right"},
		"forbidden":              {answer(403), repo.ErrAuth, never, "must be allowed to read and to write"},
		"not found":              {answer(404), repo.ErrNotFound, never, "check the address"},
		"error":                  {answer(500, "Content-Type", "text/plain"), repo.ErrUnreachable, never, "HTTP status 500; it says: the server's [31mwords"},
		"bad gateway":            {answer(502), repo.ErrUnreachable, never, "HTTP status 502"},
		"login page":             {answer(200, "Content-Type", "text/html"), repo.ErrNotFound, never, "not as a Git server"},
		"garbage":                {answer(200, "Content-Type", "application/x-git-upload-pack-advertisement"), repo.ErrUnreachable, never, ""},
		"cut":                    {cut, repo.ErrUnreachable, never, ""},
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

func TestWhoMayOnlyReadIsToldBeforeAPush(t *testing.T) {
	t.Parallel()
	for _, tip := range []string{"empty", "with a commit"} {
		o := newOrigin(t)
		if tip != "empty" {
			o.commit(map[string]string{"a.yaml": "1\n"})
		}
		front := o.front()
		r := o.open(by(front))
		require.NoError(t, r.MayPush(t.Context()), tip)
		require.Len(t, front.counted(), 1, tip)
		front.spoil(func(w http.ResponseWriter, request *http.Request) bool {
			return request.URL.Query().Get("service") == "git-receive-pack" && answer(403)(w, request)
		})
		require.ErrorIs(t, r.MayPush(t.Context()), repo.ErrAuth, tip)
		_, err := r.Tip(t.Context())
		require.NoError(t, err, "reading is allowed")
	}
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

func TestTheServersClockIsKnownFromItsAnswers(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	front := o.front()
	r := o.open(by(front))
	_, known := r.Clock()
	require.False(t, known)
	_, err := r.Tip(t.Context())
	require.NoError(t, err)
	ahead, known := r.Clock()
	require.True(t, known)
	require.Less(t, ahead.Abs(), time.Minute)
	front.spoil(func(w http.ResponseWriter, request *http.Request) bool {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		return answer(401)(w, request)
	})
	_, err = r.Tip(t.Context())
	require.ErrorIs(t, err, repo.ErrAuth)
	ahead, _ = r.Clock()
	require.InDelta(t, time.Hour, -ahead, float64(time.Minute), "a refusal tells the time, too")
}
