package kube_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
)

func TestEachRequestIsToldWithItsVerb(t *testing.T) {
	var mu sync.Mutex
	told := map[string]int{}
	c, err := kube.Connect(kubeconfig, "", kube.Observed(func(verb, code string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		told[verb+" "+code]++
	}))
	require.NoError(t, err)
	index := startIndex(t, c)
	_, err = index.Snapshot(t.Context(), func(string) {})
	require.NoError(t, err)
	_, err = c.UID(t.Context())
	require.NoError(t, err)
	_, err = c.Permissions(t.Context(), "get")
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, told["get 200"], "the namespace kube-system: %v", told)
	require.Equal(t, 1, told["create 201"], "the review: %v", told)
	require.Greater(t, told["watch 200"], 20, "%v", told)
	require.Greater(t, told["discovery 200"], 1, "%v", told)
}

func TestServerThatIsNotThereIsToldAsError(t *testing.T) {
	var told []string
	c := connect(t, &clientcmdapi.Cluster{Server: "http://127.0.0.1:1"}, &clientcmdapi.AuthInfo{},
		kube.Observed(func(verb, code string, _ time.Duration) { told = append(told, verb+" "+code) }))
	_, err := c.UID(t.Context())
	require.Error(t, err)
	require.Contains(t, told, "get error")
}
