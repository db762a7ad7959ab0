package stacktest

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Gate stands before a real server. It can be shut, and can refuse requests.
type Gate struct {
	t       testing.TB
	address string
	handler http.Handler

	mu     sync.Mutex
	server *http.Server
	refuse func(*http.Request) int
}

// NewGate lets everything through to the server, over the transport, until the test ends. A test that wants to
// change requests or answers on the way says so by adjust, which may be nil.
func NewGate(t testing.TB, server string, transport http.RoundTripper, adjust func(*httputil.ReverseProxy)) *Gate {
	t.Helper()
	upstream, err := url.Parse(server)
	require.NoError(t, err)
	g := &Gate{t: t, address: "127.0.0.1:0"}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	if adjust != nil {
		adjust(proxy)
	}
	g.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := g.refusal(r); status != 0 {
			w.WriteHeader(status)
			return
		}
		proxy.ServeHTTP(w, r)
	})
	g.Open()
	t.Cleanup(g.Shut)
	return g
}

// URL is where clients find the gate.
func (g *Gate) URL() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return "http://" + g.address
}

// Open lets clients in, at the same address as before.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	listener, err := net.Listen("tcp", g.address)
	require.NoError(g.t, err)
	g.address = listener.Addr().String()
	g.server = &http.Server{Handler: g.handler} //nolint:gosec // its clients are those of a test
	go func(s *http.Server) { _ = s.Serve(listener) }(g.server)
}

// Shut cuts all connections and refuses new ones.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.server.Close()
}

// Refuse answers requests with the status that the function gives, unless that is 0; nil lets all through.
func (g *Gate) Refuse(refuse func(*http.Request) int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse = refuse
}

func (g *Gate) refusal(r *http.Request) int {
	g.mu.Lock()
	refuse := g.refuse
	g.mu.Unlock()
	if refuse == nil {
		return 0
	}
	return refuse(r)
}
