package kube_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
)

func TestClusterIsIdentifiedByKubeSystem(t *testing.T) {
	t.Parallel()
	namespaces := api.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	system, err := namespaces.Get(t.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(t, err)
	uid, err := connectAdmin(t).UID(t.Context())
	require.NoError(t, err)
	require.Equal(t, string(system.GetUID()), uid)
}

func TestPermissionsNameWhatIsMissing(t *testing.T) {
	t.Parallel()
	missing, err := connectAdmin(t).Permissions(t.Context(), kube.PullVerbs...)
	require.NoError(t, err)
	require.Empty(t, missing)

	c, _ := restricted(t, "configmaps")
	missing, err = c.Permissions(t.Context(), kube.PushVerbs...)
	require.NoError(t, err)
	require.Equal(t, kube.PushVerbs, missing)
	_, err = c.UID(t.Context())
	require.ErrorIs(t, err, kube.ErrForbidden)
}

func TestRequestsDontShareTheConnectionOfWatches(t *testing.T) {
	t.Parallel()
	transport, err := rest.TransportFor(admin)
	require.NoError(t, err)
	upstream, err := url.Parse(admin.Host)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }, Transport: transport, FlushInterval: -1,
	}
	var mu sync.Mutex
	seen := map[bool]map[string]bool{true: {}, false: {}} // by whether it was a watch
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.URL.Query().Has("watch")][r.Proto] = true
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	index := startIndex(t, connect(t, &clientcmdapi.Cluster{Server: server.URL, CertificateAuthorityData: certificate}, &clientcmdapi.AuthInfo{}))
	snapshot(t, index)
	written(t, index, wanted(t, index, configMap(namespace(t), "a", "1")))
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[bool]map[string]bool{true: {"HTTP/2.0": true}, false: {"HTTP/1.1": true}}, seen)
}

func TestConnectionErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := kube.Connect(filepath.Join(t.TempDir(), "absent"), "")
	require.ErrorContains(t, err, "read kubeconfig")
	_, err = kube.Connect(kubeconfig, "absent")
	require.ErrorContains(t, err, `context "absent" does not exist`)
	_, err = kube.Connect("", "")
	require.ErrorContains(t, err, "name a kubeconfig with --kubeconfig")

	nobody := connect(t, &clientcmdapi.Cluster{Server: "https://127.0.0.1:1"}, &clientcmdapi.AuthInfo{})
	_, err = nobody.UID(t.Context())
	require.ErrorIs(t, err, kube.ErrUnreachable)
	stranger := connect(t, adminCluster(), &clientcmdapi.AuthInfo{Token: "wrong"})
	_, err = stranger.UID(t.Context())
	require.ErrorIs(t, err, kube.ErrUnauthorized)
	_, err = stranger.Permissions(t.Context(), "list")
	require.ErrorIs(t, err, kube.ErrUnauthorized)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = connectAdmin(t).UID(ended)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, kube.ErrUnreachable)
}

func TestSecretIsWrittenKeyByKey(t *testing.T) {
	t.Parallel()
	c := connectAdmin(t)
	ns := fmt.Sprintf("made-%d", counter.Add(1))
	_, err := c.ReadSecret(t.Context(), ns, "git-credentials")
	require.ErrorIs(t, err, kube.ErrNoCredentials)

	require.NoError(t, c.WriteSecret(t.Context(), ns, "git-credentials", map[string][]byte{"username": []byte("u"), "password": []byte("p1")}, nil))
	require.NoError(t, c.WriteSecret(t.Context(), ns, "git-credentials", map[string][]byte{"password": []byte("p2")}, map[string]string{"team": "a"}))
	data, err := c.ReadSecret(t.Context(), ns, "git-credentials")
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"username": []byte("u"), "password": []byte("p2")}, data)
	secret, err := api.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(ns).Get(t.Context(), "git-credentials", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"app.kubernetes.io/managed-by": "active-cluster-sync", "team": "a"}, secret.GetLabels())

	require.NoError(t, c.DeleteSecret(t.Context(), ns, "git-credentials"))
	require.NoError(t, c.DeleteSecret(t.Context(), ns, "git-credentials"))
	_, err = c.ReadSecret(t.Context(), ns, "git-credentials")
	require.ErrorIs(t, err, kube.ErrNoCredentials)
}

func TestWatchedSecretIsReadWithoutRequests(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	c, ns := g.cluster(), namespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := c.WatchSecret(ctx, ns, "git-credentials")
	_, err := w.Get(t.Context())
	require.ErrorIs(t, err, kube.ErrNoCredentials)

	has := func(token string) func() bool {
		return func() bool {
			data, err := w.Get(t.Context())
			return err == nil && string(data["password"]) == token
		}
	}
	admin := connectAdmin(t)
	require.NoError(t, admin.WriteSecret(t.Context(), ns, "git-credentials", map[string][]byte{"password": []byte("one")}, nil))
	until(t, "the token is there", has("one"))
	require.NoError(t, admin.WriteSecret(t.Context(), ns, "other", map[string][]byte{"password": []byte("other")}, nil))
	require.NoError(t, admin.WriteSecret(t.Context(), ns, "git-credentials", map[string][]byte{"password": []byte("two")}, nil))
	until(t, "the new token is there", has("two"))
	g.requests()
	for range 50 {
		require.True(t, has("two")())
	}
	require.Empty(t, g.requests())

	require.NoError(t, admin.DeleteSecret(t.Context(), ns, "git-credentials"))
	until(t, "it is gone", func() bool { _, err := w.Get(t.Context()); return strings.Contains(fmt.Sprint(err), "no credentials") })
}

func TestASecretThatTheWatchHasNotToldOfYetIsRead(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	var listed atomic.Bool
	g.tampering(func(request string, body io.ReadCloser) io.ReadCloser {
		if !strings.HasPrefix(request, "STREAM ") && !strings.HasPrefix(request, "WATCH ") {
			return body
		}
		return swallow(body, func(e event) bool {
			listed.Store(listed.Load() || e.Type == "BOOKMARK")
			return e.Object.Metadata.Name == "git-credentials"
		})
	})
	c, ns := g.cluster(), namespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := c.WatchSecret(ctx, ns, "git-credentials")
	until(t, "the watch is up", listed.Load)
	require.NoError(t, connectAdmin(t).WriteSecret(t.Context(), ns, "git-credentials", map[string][]byte{"password": []byte("one")}, nil))
	for range 50 { // a request each, in whose time the bookmark gets to the watch
		data, err := w.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, "one", string(data["password"]))
	}
}

func TestSecretThatMayNotBeWatchedIsRead(t *testing.T) {
	t.Parallel()
	c, role := restricted(t, "configmaps")
	ns := namespace(t)
	edit(t, role, func(obj map[string]any) {
		obj["rules"] = []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"secrets"}, "verbs": []any{"get"}}}
	})
	require.NoError(t, connectAdmin(t).WriteSecret(t.Context(), ns, "git-credentials", map[string][]byte{"password": []byte("one")}, nil))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := c.WatchSecret(ctx, ns, "git-credentials")
	until(t, "it is read", func() bool { data, err := w.Get(t.Context()); return err == nil && string(data["password"]) == "one" })
}
