package kube_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

// gate stands before the real API server: besides what every gate does, it tells what was asked, and can change
// what is asked and answered.
type gate struct {
	*stacktest.Gate
	t testing.TB

	mu     sync.Mutex
	asked  []string // "GET /api/v1/namespaces/a", or LIST, WATCH, and STREAM for a list that goes on as a watch
	refuse func(request string) int
	hidden string // a group that discovery lacks
	body   func(request string, body io.ReadCloser) io.ReadCloser
	future bool
}

func newGate(t testing.TB) *gate { return newGateTo(t, admin.Host) }

func newGateTo(t testing.TB, host string) *gate {
	transport, err := rest.TransportFor(admin)
	require.NoError(t, err)
	g := &gate{t: t, refuse: func(string) int { return 0 }}
	g.Gate = stacktest.NewGate(t, host, transport, func(proxy *httputil.ReverseProxy) {
		pass := proxy.Rewrite
		proxy.Rewrite = func(r *httputil.ProxyRequest) {
			pass(r)
			r.Out.Header.Del("Accept-Encoding") // the transport does it, and undoes it
			g.ask(r.Out)
		}
		proxy.ModifyResponse = func(r *http.Response) error { g.tamper(r); return g.hide(r) }
	})
	g.Refuse(g.note)
	return g
}

// refusing answers requests with the status that the function gives, unless that is 0.
func (g *gate) refusing(refuse func(request string) int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse = refuse
}

// askForTheFuture makes reads of single objects ask for versions that there will not be for long, as after the
// cluster was restored from a backup.
func (g *gate) askForTheFuture() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.future = true
}

func (g *gate) ask(r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if query := r.URL.Query(); g.future && query.Has("resourceVersion") && !query.Has("watch") && !isCollection(r.URL.Path) {
		query.Set("resourceVersion", "999999999999")
		r.URL.RawQuery = query.Encode()
	}
}

// rewriteDiscovery makes discovery lack a group, as that of an API server that is starting; "" for none.
func (g *gate) rewriteDiscovery(group string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hidden = group
}

func (g *gate) hide(r *http.Response) error {
	g.mu.Lock()
	group := g.hidden
	g.mu.Unlock()
	if r.Request.URL.Path != "/apis" || group == "" || r.StatusCode != http.StatusOK {
		return nil
	}
	defer r.Body.Close()
	var discovery map[string]any
	if err := json.NewDecoder(r.Body).Decode(&discovery); err != nil {
		return err
	}
	discovery["items"] = slices.DeleteFunc(discovery["items"].([]any), func(item any) bool {
		return item.(map[string]any)["metadata"].(map[string]any)["name"] == group
	})
	body, err := json.Marshal(discovery)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Del("Content-Length")
	return err
}

func (g *gate) note(r *http.Request) (status int) {
	request := describe(r)
	g.mu.Lock()
	g.asked = append(g.asked, request)
	refuse := g.refuse
	g.mu.Unlock()
	return refuse(request)
}

func describe(r *http.Request) string {
	verb, query := r.Method, r.URL.Query()
	switch {
	case query.Has("sendInitialEvents"):
		verb = "STREAM"
	case query.Has("watch"):
		verb = "WATCH"
	case query.Has("limit") || query.Has("resourceVersion") && isCollection(r.URL.Path):
		verb = "LIST"
	}
	return verb + " " + r.URL.Path
}

// isCollection tells "/api/v1/namespaces/a/pods" from "/api/v1/namespaces/a/pods/b".
func isCollection(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	prefix := 2 // api, v1
	if parts[0] == "apis" {
		prefix = 3
	}
	return (len(parts)-prefix)%2 == 1
}

// requests are those since the last call.
func (g *gate) requests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = nil
	return asked
}

func (g *gate) cluster() *kube.Cluster {
	return connect(g.t, &clientcmdapi.Cluster{Server: g.URL()}, &clientcmdapi.AuthInfo{})
}

// connect goes through a kubeconfig file, as users do.
func connect(t testing.TB, cluster *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo, options ...kube.Option) *kube.Cluster {
	config := clientcmdapi.NewConfig()
	config.Clusters["c"], config.AuthInfos["u"] = cluster, user
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, file))
	c, err := kube.Connect(file, "x", options...)
	require.NoError(t, err)
	return c
}
