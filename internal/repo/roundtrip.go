package repo

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RoundTrip is the http.RoundTripper of one exchange. Beside sending, it does what go-git leaves out:
// it turns a refusal into an error while its headers are still known, notices a server that has gone
// silent, and sees to it that each body is read to its end and closed, without which the connection
// can't be used again.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	x.quiet.Reset(x.remote.timeout)
	if req.Body != nil {
		req = req.Clone(req.Context())
		req.Body = &progress{ReadCloser: req.Body, exchange: x}
	}
	began := time.Now()
	res, err := x.client.Transport.RoundTrip(req)
	x.remote.observe(kindOf(req), codeOf(res), time.Since(began))
	if err != nil {
		x.quiet.Stop()
		x.broken = true
		return nil, err
	}
	x.remote.readClock(res.Header)
	body := &progress{ReadCloser: res.Body, exchange: x, answer: true}
	x.bodies = append(x.bodies, body)
	res.Body = body
	if res.StatusCode >= http.StatusBadRequest {
		x.broken = true
		return nil, newRefusal(res)
	}
	if kind := res.Header.Get("Content-Type"); res.StatusCode == http.StatusOK &&
		!strings.HasPrefix(kind, "application/x-git-") {
		x.broken = true
		return nil, &notGitError{kind}
	}
	return res, nil
}

// readClock compares the server's clock with the one here.
func (r *remote) readClock(header http.Header) {
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock, r.dated = time.Until(at), true
}

// Clock is how far the server's clock was ahead of the one here at its last answer, with an error of a second and
// the time that the answer took. It is not known before the first one, or when the server doesn't tell.
func (r *Repository) Clock() (ahead time.Duration, known bool) {
	r.remote.mu.Lock()
	defer r.remote.mu.Unlock()
	return r.remote.clock, r.remote.dated
}

// kindOf is what a request is for.
func kindOf(req *http.Request) string {
	switch {
	case strings.HasSuffix(req.URL.Path, "/git-upload-pack"):
		return "fetch"
	case strings.HasSuffix(req.URL.Path, "/git-receive-pack"):
		return "push"
	}
	return "refs"
}

func codeOf(res *http.Response) string {
	if res == nil {
		return "error"
	}
	return strconv.Itoa(res.StatusCode)
}

// progress is a body; as long as bytes flow, the server isn't silent.
type progress struct {
	io.ReadCloser
	exchange *exchange
	answer   bool
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	switch {
	case err != nil && p.answer:
		p.exchange.quiet.Stop()
		p.exchange.broken = p.exchange.broken || err != io.EOF
	case n > 0:
		p.exchange.quiet.Reset(p.exchange.remote.timeout)
	}
	return n, err
}

// maxDrain is what is read of an answer's rest to save the connection. Git's answers end where go-git
// stops reading, up to a few bytes.
const maxDrain = 64 << 10

func (p *progress) Close() error {
	if p.answer {
		_, _ = io.CopyN(io.Discard, p, maxDrain)
		p.exchange.quiet.Stop()
	}
	return p.ReadCloser.Close()
}

// refusal is an answer with an HTTP status of 400 or more.
type refusal struct {
	status  int
	limited bool
	after   time.Duration
	text    string
}

const (
	maxRefusalText    = 4 << 10
	defaultRetryAfter = time.Minute
)

func newRefusal(res *http.Response) *refusal {
	e := &refusal{status: res.StatusCode, after: defaultRetryAfter}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		text, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusalText))
		e.text = string(text)
	}
	_ = res.Body.Close()
	after, stated := retryAfter(res.Header.Get("Retry-After"), time.Now())
	if stated {
		e.after = after
	}
	// GitHub limits with 403 too: by Retry-After or by a spent quota.
	e.limited = res.StatusCode == http.StatusTooManyRequests ||
		res.StatusCode == http.StatusForbidden && (stated || res.Header.Get("X-RateLimit-Remaining") == "0")
	return e
}

func (e *refusal) Error() string { return fmt.Sprintf("HTTP status %d", e.status) }

// notGitError is a successful answer of something that isn't a Git server, such as a login page.
type notGitError struct{ contentType string }

func (e *notGitError) Error() string {
	return fmt.Sprintf("the answer is of the type %q", e.contentType)
}

// retryAfter reads the header's two forms, seconds and a date (RFC 9110, 10.2.3).
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(header); err == nil {
		return max(0, date.Sub(now).Round(time.Second)), true
	}
	return 0, false
}
