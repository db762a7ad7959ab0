package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScopeIgnores(t *testing.T) {
	scope := Scope{IgnoredNamespaces: []string{"kube-system", "con"}}
	for path, ignored := range map[string]bool{
		"namespaces/kube-system/services/dns.yaml":                        true,
		"namespaces/kube-system-2/services/dns.yaml":                      false,
		"namespaces/shop/services/kube-system.yaml":                       false,
		"namespaces/shop/services/active-cluster-sync.yaml":               false,
		"namespaces/active-cluster-sync/secrets/x.yaml":                   true,
		"cluster/namespaces/active-cluster-sync.yaml":                     true,
		"cluster/namespaces/kube-system.yaml":                             true,
		"cluster/namespaces/shop.yaml":                                    false,
		"cluster/namespaces.example.com/kube-system.yaml":                 false,
		"cluster/clusterroles.rbac.authorization.k8s.io/kube-system.yaml": false,
		Path(services, "con", "a"):                                        true,
		Path(namespaces, "", "con"):                                       true,
		".cluster-sync.yaml":                                              false,
		"kube-system":                                                     false,
	} {
		require.Equal(t, ignored, scope.Ignores(path), path)
	}
	require.True(t, Scope{}.Ignores("namespaces/active-cluster-sync/secrets/git-credentials.yaml"))
	require.False(t, Scope{}.Ignores("namespaces/kube-system/services/dns.yaml"))
}
