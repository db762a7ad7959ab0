package kube_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// tampering passes the bodies of answers through a function.
func (g *gate) tampering(body func(request string, body io.ReadCloser) io.ReadCloser) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.body = body
}

func (g *gate) tamper(r *http.Response) {
	g.mu.Lock()
	body := g.body
	g.mu.Unlock()
	if body == nil || r.StatusCode != http.StatusOK {
		return
	}
	r.Body = body(describe(r.Request), r.Body)
	r.ContentLength = -1
	r.Header.Del("Content-Length")
}

// event is one line of a watch.
type event struct {
	Type   string
	Object struct {
		Metadata struct{ Namespace, Name string }
	}
}

// swallowed is a watch that lacks the events that a condition holds for.
type swallowed struct {
	io.Closer
	source *bufio.Reader
	lacks  func(event) bool
	rest   bytes.Reader
}

func swallow(body io.ReadCloser, lacks func(event) bool) io.ReadCloser {
	return &swallowed{Closer: body, source: bufio.NewReader(body), lacks: lacks}
}

func (s *swallowed) Read(p []byte) (int, error) {
	for s.rest.Len() == 0 {
		line, err := s.source.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		var e event
		if json.Unmarshal(line, &e) == nil && s.lacks(e) {
			continue
		}
		s.rest.Reset(line)
	}
	return s.rest.Read(p)
}

// delayed is a watch whose events arrive late.
type delayed struct {
	io.Closer
	lines chan late
	rest  bytes.Reader
}

type late struct {
	line []byte
	due  time.Time
}

func delay(body io.ReadCloser, by time.Duration) io.ReadCloser {
	d := &delayed{Closer: body, lines: make(chan late, 10_000)}
	go func() {
		defer close(d.lines)
		for source := bufio.NewReader(body); ; {
			line, err := source.ReadBytes('\n')
			if err != nil {
				return
			}
			d.lines <- late{line, time.Now().Add(by)}
		}
	}()
	return d
}

func (d *delayed) Read(p []byte) (int, error) {
	if d.rest.Len() == 0 {
		next, ok := <-d.lines
		if !ok {
			return 0, io.EOF
		}
		<-time.After(time.Until(next.due))
		d.rest.Reset(next.line)
	}
	return d.rest.Read(p)
}

// torn is a body that something happens to in the middle.
type torn struct {
	io.ReadCloser
	left   int // bytes until then
	happen func() error
}

func (b *torn) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if err := b.happen(); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}
