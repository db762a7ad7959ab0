package repo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// remote is the far end. It keeps connections alive between exchanges, and nothing else: no
// credentials and no state of the repository.
type remote struct {
	url         *url.URL
	credentials func(context.Context) (Credentials, error)
	timeout     time.Duration
	observe     func(kind, code string, took time.Duration)

	mu     sync.Mutex
	client *http.Client
	ca     []byte // what client trusts beside the system's CAs
	clock  time.Duration
	dated  bool // clock is known
}

func newRemote(o Options) (*remote, error) {
	u, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	return &remote{url: u, credentials: o.Credentials, timeout: o.Timeout, observe: o.Observe}, nil
}

// clientFor returns the client for a CA bundle. It is built again only when the bundle has changed.
func (r *remote) clientFor(ca []byte) (*http.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil && bytes.Equal(r.ca, ca) {
		return r.client, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(ca) {
			return nil, errors.New("the ca.crt of the Git credentials holds no certificate in PEM")
		}
		config.RootCAs = pool
	}
	if r.client != nil {
		r.client.CloseIdleConnections()
	}
	dialer := &net.Dialer{Timeout: min(r.timeout, 15*time.Second), KeepAlive: 30 * time.Second}
	r.ca = bytes.Clone(ca)
	r.client = &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   min(r.timeout, 15*time.Second),
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4,
		// Longer than the longest interval between ticks that is usual.
		IdleConnTimeout: 2 * time.Minute,
	}}
	return r.client, nil
}

func (r *remote) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil {
		r.client.CloseIdleConnections()
	}
}

// exchange is one conversation with the remote: one or two requests with one set of credentials.
type exchange struct {
	remote  *remote
	client  *http.Client
	auth    githttp.AuthMethod
	secrets []string

	caller context.Context
	ctx    context.Context // ends with the caller's, and when the server is silent for too long
	cancel context.CancelCauseFunc
	quiet  *time.Timer // runs while a request is under way; each byte sets it back
	bodies []*progress
	broken bool // a request failed below Git's protocol

	endpoint *transport.Endpoint
}

// errSilent ends an exchange whose server doesn't answer.
var errSilent = errors.New("no answer")

func (r *remote) exchange(ctx context.Context) (*exchange, error) {
	var c Credentials
	if r.credentials != nil {
		var err error
		if c, err = r.credentials(ctx); err != nil {
			return nil, fmt.Errorf("read the Git credentials: %w", err)
		}
	}
	client, err := r.clientFor(c.CA)
	if err != nil {
		return nil, err
	}
	x := &exchange{
		remote:   r,
		client:   client,
		auth:     c.auth(),
		secrets:  c.secrets(),
		caller:   ctx,
		endpoint: endpoint(r.url),
	}
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	x.quiet = time.AfterFunc(r.timeout, func() { x.cancel(errSilent) })
	x.quiet.Stop()
	return x, nil
}

// limit bounds the time of the whole exchange.
func (x *exchange) limit(d time.Duration) {
	timer := time.AfterFunc(d, func() { x.cancel(errSilent) })
	context.AfterFunc(x.ctx, func() { timer.Stop() })
}

// abandon gives up an answer that isn't wanted any more.
func (x *exchange) abandon() { x.cancel(context.Canceled) }

// end closes what go-git has left open.
func (x *exchange) end() {
	for _, body := range x.bodies {
		_ = body.Close()
	}
	x.quiet.Stop()
	x.cancel(context.Canceled)
}

func (x *exchange) uploadSession() (transport.UploadPackSession, error) {
	s, err := x.transport().NewUploadPackSession(x.endpoint, x.auth)
	return s, x.explain(err)
}

func (x *exchange) receiveSession() (transport.ReceivePackSession, error) {
	s, err := x.transport().NewReceivePackSession(x.endpoint, x.auth)
	return s, x.explain(err)
}

// transport is go-git's HTTP transport with this exchange below it. Its redirect policy holds: only the
// first request is redirected, and credentials go to the URL's own scheme, host and port alone.
func (x *exchange) transport() transport.Transport {
	return githttp.NewClient(&http.Client{Transport: x})
}

// advertised asks for the references and capabilities of the remote.
func (x *exchange) advertised(s transport.Session) (*packp.AdvRefs, error) {
	refs, err := s.AdvertisedReferencesContext(x.ctx)
	// go-git follows a redirect by setting the endpoint's path, decoded; it is sent as it stands.
	x.endpoint.Path = (&url.URL{Path: x.endpoint.Path}).EscapedPath()
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return packp.NewAdvRefs(), err
	}
	return refs, x.explain(err)
}

// explain turns an error of go-git or net/http into one of this package. Foreign errors are not wrapped
// but quoted, because their texts may hold what must not be shown.
func (x *exchange) explain(err error) error {
	if err == nil {
		return nil
	}
	if x.caller.Err() != nil {
		return fmt.Errorf("%s: %w", x.remote.url, context.Cause(x.caller))
	}
	if errors.Is(context.Cause(x.ctx), errSilent) {
		return fmt.Errorf("%w: %s has been silent for %s", ErrUnreachable, x.remote.url, x.remote.timeout)
	}
	err = unwrap(err)
	var refused *refusal
	if errors.As(err, &refused) {
		return x.refused(refused)
	}
	var notGit *notGitError
	if errors.As(err, &notGit) {
		return fmt.Errorf("%w: something answers at %s, but not as a Git server does (%s): check the address",
			ErrNotFound, x.remote.url, words(notGit.Error(), x.secrets))
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w: %s has a certificate of an unknown authority: put the authority's "+
			"certificate into ca.crt of the Git credentials", ErrUnreachable, x.remote.url)
	}
	return fmt.Errorf("%w: %s: %s", ErrUnreachable, x.remote.url, words(err.Error(), x.secrets))
}

func (x *exchange) refused(r *refusal) error {
	said := ""
	if text := words(r.text, x.secrets); text != "" {
		said = "; it says: " + text
	}
	switch {
	case r.limited:
		return &RateLimitedError{RetryAfter: r.after}
	case r.status == http.StatusUnauthorized && x.auth == nil:
		return fmt.Errorf("%w: %s wants a user name and a token, and there are none", ErrAuth, x.remote.url)
	case r.status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s (HTTP 401): check that the token is right and hasn't expired%s",
			ErrAuth, x.remote.url, said)
	case r.status == http.StatusForbidden:
		return fmt.Errorf("%w: %s (HTTP 403): the token must be allowed to read and to write this repository%s",
			ErrAuth, x.remote.url, said)
	case r.status == http.StatusNotFound || r.status == http.StatusGone:
		return fmt.Errorf("%w: %s (HTTP %d): check the address, and that the token may see the repository%s",
			ErrNotFound, x.remote.url, r.status, said)
	}
	return fmt.Errorf("%w: %s answers with HTTP status %d%s", ErrUnreachable, x.remote.url, r.status, said)
}

// unwrap takes off go-git's wrappers, which errors.As doesn't see through.
func unwrap(err error) error {
	var unexpected *plumbing.UnexpectedError
	var permanent *plumbing.PermanentError
	for {
		switch {
		case errors.As(err, &unexpected):
			err = unexpected.Err
		case errors.As(err, &permanent):
			err = permanent.Err
		default:
			return err
		}
	}
}
