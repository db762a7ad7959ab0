package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

func TestBondsKeepObjectsThatNobodyLeftBehind(t *testing.T) {
	type fields = map[string]any
	written := func(manager, subresource string) any {
		return fields{"manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": fields{"f:spec": fields{}}}
	}
	configMaps := manifest.Resource{Version: "v1", Name: "configmaps", Kind: "ConfigMap", Namespaced: true}
	accounts := manifest.Resource{Version: "v1", Name: "serviceaccounts", Kind: "ServiceAccount", Namespaced: true}
	claims := manifest.Resource{Version: "v1", Name: "persistentvolumeclaims", Kind: "PersistentVolumeClaim", Namespaced: true}
	namespaces := manifest.Resource{Version: "v1", Name: "namespaces", Kind: "Namespace"}
	bindings := manifest.Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Name: "clusterrolebindings", Kind: "ClusterRoleBinding"}
	for name, c := range map[string]struct {
		resource manifest.Resource
		metadata fields
		want     manifest.Bond
		// declared and stray: whether it stays in the cluster, when Git declared it once and when it never did.
		declared, stray bool
	}{
		"a person's":         {configMaps, fields{"name": "a", "managedFields": []any{written("kubectl", "")}}, manifest.Unbound, false, false},
		"without managers":   {configMaps, fields{"name": "a"}, manifest.Unbound, false, false},
		"protected":          {configMaps, fields{"name": "a", "annotations": fields{"active-cluster-sync.io/prune": "disabled"}}, manifest.Protected, true, true},
		"another value":      {configMaps, fields{"name": "a", "annotations": fields{"active-cluster-sync.io/prune": "enabled"}}, manifest.Unbound, false, false},
		"on its way out":     {configMaps, fields{"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}, manifest.Leaving, true, true},
		"owned":              {configMaps, fields{"name": "a", "ownerReferences": []any{fields{"kind": "Widget"}}}, manifest.Dependent, false, true},
		"namespace default":  {namespaces, fields{"name": "default"}, manifest.Immortal, true, true},
		"the leases' one":    {namespaces, fields{"name": "kube-node-lease"}, manifest.Native, false, true},
		"a namespace":        {namespaces, fields{"name": "shop"}, manifest.Unbound, false, false},
		"account default":    {accounts, fields{"name": "default"}, manifest.Native, false, true},
		"an account":         {accounts, fields{"name": "cart"}, manifest.Unbound, false, false},
		"kubeadm's":          {bindings, fields{"name": "kubeadm:cluster-admins"}, manifest.Native, false, true},
		"the worker's":       {bindings, fields{"name": "active-cluster-sync-worker"}, manifest.Own, false, true},
		"the worker's label": {bindings, fields{"name": "w", "labels": fields{"app.kubernetes.io/part-of": "active-cluster-sync"}}, manifest.Own, false, true},
		"of a StatefulSet": {
			claims, fields{"name": "data-db-0", "managedFields": []any{written("kube-controller-manager", ""), written("kube-controller-manager", "status")}},
			manifest.Produced, false, true,
		},
		"touched by a controller": {
			claims, fields{"name": "data", "managedFields": []any{written("kubectl-create", ""), written("kube-scheduler", ""), written("kube-controller-manager", "status")}},
			manifest.Unbound, false, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := manifest.BondOf(c.resource, fields{"metadata": c.metadata})
			require.Equal(t, c.want, got)
			require.Equal(t, c.declared, got.Holds(false))
			require.Equal(t, c.stray, got.Holds(true))
			require.NotEmpty(t, got.String())
		})
	}
}
