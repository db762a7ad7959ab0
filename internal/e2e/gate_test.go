package e2e

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

// gated is a cluster as a worker sees it through a gate.
func gated(t *testing.T, on *cluster) (*cluster, *stacktest.Gate) {
	t.Helper()
	config, err := stack.Config(on.context)
	require.NoError(t, err)
	transport, err := rest.TransportFor(config)
	require.NoError(t, err)
	gate := stacktest.NewGate(t, config.Host, transport, nil)
	file := clientcmdapi.NewConfig()
	file.Clusters[on.context] = &clientcmdapi.Cluster{Server: gate.URL()}
	file.AuthInfos[on.context] = &clientcmdapi.AuthInfo{}
	file.Contexts[on.context] = &clientcmdapi.Context{Cluster: on.context, AuthInfo: on.context}
	through := *on
	through.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*file, through.kubeconfig))
	return &through, gate
}
