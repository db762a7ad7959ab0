package e2e

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// relay stands before a server. It can be shut, and can refuse requests.
type relay struct {
	t       *testing.T
	address string
	handler http.Handler

	mu     sync.Mutex
	server *http.Server
	refuse func(*http.Request) int // the status to answer with, 0 to pass the request on
}

func newRelay(t *testing.T, to string, transport http.RoundTripper) *relay {
	t.Helper()
	upstream, err := url.Parse(to)
	require.NoError(t, err)
	r := &relay{t: t, address: "127.0.0.1:0"}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(upstream) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	r.handler = http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		refuse := r.refuse
		r.mu.Unlock()
		if refuse != nil {
			if status := refuse(request); status != 0 {
				w.WriteHeader(status)
				return
			}
		}
		proxy.ServeHTTP(w, request)
	})
	r.open()
	t.Cleanup(r.shut)
	return r
}

// open lets clients in, at the same address as before.
func (r *relay) open() {
	listener, err := net.Listen("tcp", r.address)
	require.NoError(r.t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.address = listener.Addr().String()
	r.server = &http.Server{Handler: r.handler} //nolint:gosec // for the worker of a test
	go func(s *http.Server) { _ = s.Serve(listener) }(r.server)
}

// shut cuts all connections and refuses new ones.
func (r *relay) shut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.server.Close()
}

func (r *relay) refusing(refuse func(*http.Request) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

// relayed is a cluster as a worker sees it through a relay.
func relayed(t *testing.T, on *cluster) (*cluster, *relay) {
	t.Helper()
	config, err := stack.Config(on.context)
	require.NoError(t, err)
	transport, err := rest.TransportFor(config)
	require.NoError(t, err)
	r := newRelay(t, config.Host, transport)
	file := clientcmdapi.NewConfig()
	file.Clusters[on.context] = &clientcmdapi.Cluster{Server: "http://" + r.address}
	file.AuthInfos[on.context] = &clientcmdapi.AuthInfo{}
	file.Contexts[on.context] = &clientcmdapi.Context{Cluster: on.context, AuthInfo: on.context}
	through := *on
	through.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*file, through.kubeconfig))
	return &through, r
}
