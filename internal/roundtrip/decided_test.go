package roundtrip

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requireDecided: what Git holds at the places that somebody besides the person writes to.
func requireDecided(t *testing.T, objects table, stored git) {
	t.Helper()
	type place = []any
	for _, c := range []struct {
		path string
		at   place
		want any // nil: nothing
	}{
		{"namespaces/shop/services/headless.yaml", place{"spec", "clusterIP"}, "None"},
		{"namespaces/shop/services/cart.yaml", place{"spec", "clusterIP"}, nil},
		{"namespaces/shop/services/cart.yaml", place{"spec", "clusterIPs"}, nil},
		{"namespaces/shop/services/cart.yaml", place{"spec", "ipFamilies"}, nil},
		{"namespaces/shop/services/cart.yaml", place{"spec", "ipFamilyPolicy"}, "PreferDualStack"},
		{"namespaces/shop/services/fixed-address.yaml", place{"spec", "clusterIP"}, "10.96.77.77"},
		{"namespaces/shop/services/fixed-address.yaml", place{"spec", "clusterIPs", 0}, "10.96.77.77"},
		{"namespaces/shop/services/fixed-address.yaml", place{"spec", "ipFamilyPolicy"}, "SingleStack"},
		{"namespaces/shop/services/node-port-allocated.yaml", place{"spec", "ports", 0, "nodePort"}, nil},
		{"namespaces/shop/services/node-port-allocated.yaml", place{"spec", "ports", 1, "nodePort"}, nil},
		{"namespaces/shop/services/node-port-chosen.yaml", place{"spec", "ports", 0, "nodePort"}, int64(30080)},
		{"namespaces/shop/services/node-port-chosen.yaml", place{"spec", "ports", 1, "nodePort"}, nil},
		{"namespaces/shop/services/node-port-chosen.yaml", place{"spec", "ports", 2, "nodePort"}, int64(30444)},
		{"namespaces/shop/services/balanced.yaml", place{"spec", "healthCheckNodePort"}, nil},
		{"namespaces/shop/services/balanced.yaml", place{"spec", "ports", 0, "nodePort"}, nil},

		{"namespaces/shop/persistentvolumeclaims/data.yaml", place{"spec", "volumeName"}, nil},
		{"namespaces/shop/persistentvolumeclaims/data.yaml", place{"metadata", "annotations"}, nil},
		{"namespaces/shop/persistentvolumeclaims/data.yaml", place{"metadata", "finalizers"}, nil},
		{"namespaces/shop/persistentvolumeclaims/chosen.yaml", place{"spec", "volumeName"}, "static-2"},
		{"namespaces/shop/persistentvolumeclaims/waiting.yaml", place{"spec", "storageClassName"}, "fast"},
		{"namespaces/shop/persistentvolumeclaims/data-web-1.yaml", place{"spec", "storageClassName"}, "fast"},
		{"cluster/persistentvolumes/static-1.yaml", place{"spec", "claimRef"}, map[string]any{"name": "data", "namespace": "shop"}},
		{"cluster/persistentvolumes/static-1.yaml", place{"metadata", "annotations"}, nil},
		{"cluster/persistentvolumes/static-2.yaml", place{"spec", "claimRef"}, map[string]any{"name": "chosen", "namespace": "shop"}},
		{"namespaces/shop/statefulsets.apps/web.yaml", place{"spec", "volumeClaimTemplates", 0, "status"}, nil},
		{"namespaces/shop/statefulsets.apps/web.yaml", place{"spec", "volumeClaimTemplates", 0, "metadata", "annotations", "status"}, "kept"},

		{"namespaces/shop/deployments.apps/scaled.yaml", place{"spec", "replicas"}, nil},
		{"namespaces/shop/deployments.apps/scaled.yaml", place{"metadata", "annotations"}, nil},
		{"namespaces/shop/deployments.apps/cart.yaml", place{"spec", "replicas"}, int64(3)},
		{"namespaces/shop/deployments.apps/cart.yaml", place{"spec", "template", "spec", "volumes", 0, "emptyDir"}, map[string]any{}},
		{"namespaces/shop/deployments.apps/cart.yaml", place{"spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"}, "2026-01-01T00:00:00Z"},
		// What a mutating webhook or policy adds is in Git, and goes to the copy as it is.
		{"namespaces/shop/deployments.apps/mutated.yaml", place{"spec", "replicas"}, int64(0)},
		{"namespaces/shop/deployments.apps/mutated.yaml", place{"metadata", "labels", "injected"}, "yes"},
		{"namespaces/shop/deployments.apps/mutated.yaml", place{"spec", "template", "spec", "containers", 1, "image"}, sidecarImage},
		{"namespaces/shop/configmaps/stamped.yaml", place{"metadata", "annotations", "example.com/stamped-by"}, "policy"},
		{"namespaces/limited/pods/limited.yaml", place{"spec", "containers", 0, "resources", "limits", "cpu"}, "500m"},

		{"namespaces/shop/pods/plain.yaml", place{"spec", "nodeName"}, nil},
		{"namespaces/shop/pods/plain.yaml", place{"spec", "priority"}, nil},
		{"namespaces/shop/pods/plain.yaml", place{"spec", "preemptionPolicy"}, nil},
		{"namespaces/shop/pods/plain.yaml", place{"spec", "ephemeralContainers"}, nil},
		{"namespaces/shop/pods/plain.yaml", place{"spec", "imagePullSecrets"}, nil},
		{"namespaces/shop/pods/plain.yaml", place{"spec", "volumes"}, nil},
		{"namespaces/shop/pods/plain.yaml", place{"spec", "tolerations"}, nil},
		{"namespaces/shop/pods/plain.yaml", place{"spec", "containers", 0, "volumeMounts"}, nil},
		{"namespaces/shop/pods/alone.yaml", place{"spec", "overhead"}, nil},
		{"namespaces/shop/pods/alone.yaml", place{"spec", "volumes", 0, "name"}, "kube-api-access-mine"},
		{"namespaces/widgets/pods/without-token.yaml", place{"spec", "imagePullSecrets", 0, "name"}, "mine"},
		{"namespaces/widgets/pods/without-token.yaml", place{"spec", "tolerations", 0, "tolerationSeconds"}, int64(60)},

		{"cluster/validatingwebhookconfigurations.admissionregistration.k8s.io/ca-injected.yaml", place{"webhooks", 0, "clientConfig", "caBundle"}, nil},
		{"cluster/mutatingwebhookconfigurations.admissionregistration.k8s.io/operator-injected.yaml", place{"webhooks", 0, "clientConfig", "caBundle"}, nil},
		{"cluster/customresourcedefinitions.apiextensions.k8s.io/factories.example.com.yaml", place{"spec", "conversion", "webhook", "clientConfig", "caBundle"}, nil},
		{"cluster/apiservices.apiregistration.k8s.io/v1.injected.example.com.yaml", place{"spec", "caBundle"}, nil},
		{"cluster/customresourcedefinitions.apiextensions.k8s.io/widgets.example.com.yaml", place{"status"}, nil},

		{"cluster/clusterroles.rbac.authorization.k8s.io/widgets-all.yaml", place{"rules"}, nil},
		{"namespaces/shop/serviceaccounts/default.yaml", place{"imagePullSecrets", 0, "name"}, "registry"},
		{"namespaces/shop/serviceaccounts/cart.yaml", place{"secrets", 1, "name"}, "cart-token-extra"},
		{"cluster/namespaces/shop.yaml", place{"metadata", "finalizers"}, []any{"example.com/archive-first"}},
		{"cluster/namespaces/shop.yaml", place{"metadata", "labels", "kubernetes.io/metadata.name"}, nil},
		{"cluster/namespaces/shop.yaml", place{"spec"}, nil},
		{"namespaces/shop/pods/alone.yaml", place{"metadata", "finalizers"}, []any{"example.com/drain"}},
		{"namespaces/shop/prometheuses.monitoring.coreos.com/main.yaml", place{"metadata", "finalizers"}, nil},
		{"namespaces/shop/certificates.cert-manager.io/cart.yaml", place{"status"}, nil},
		{"cluster/servicecidrs.networking.k8s.io/more.yaml", place{"metadata", "finalizers"}, nil},
		{"namespaces/shop/configmaps/dependent.yaml", place{"metadata", "ownerReferences"}, nil},
		{"namespaces/shop/configmaps/generated-x7k2p.yaml", place{"metadata", "generateName"}, "generated-"},
		{"namespaces/widgets/widgets.example.com/scaled.yaml", place{"spec", "replicas"}, nil},
		{"namespaces/widgets/widgets.example.com/numbers.yaml", place{"spec", "replicas"}, int64(0)},
	} {
		if assert.Contains(t, stored, c.path) {
			assert.Equal(t, c.want, at(stored[c.path].object, c.at...), "%s: %v", c.path, c.at)
		}
	}
	requireVerbatim(t, objects, stored)
	require.False(t, t.Failed())
}

// requireVerbatim: to these parts of objects the API server adds nothing, so that they are in Git to the last
// empty value and null.
func requireVerbatim(t *testing.T, objects table, stored git) {
	t.Helper()
	for path, fields := range map[string][]string{
		"namespaces/shop/configmaps/keys.yaml":                                            {"data", "binaryData"},
		"namespaces/widgets/widgets.example.com/first.yaml":                               {"spec"},
		"cluster/factories.example.com/main.yaml":                                         {"spec", "rules", "data", "type", "numbers", "texts", "true"},
		"namespaces/shop/resourceclaims.resource.k8s.io/shared.yaml":                      {"spec"},
		"cluster/customresourcedefinitions.apiextensions.k8s.io/widgets.example.com.yaml": {"spec"},
	} {
		file := stored[path].object
		for _, field := range fields {
			assert.Contains(t, file, field, path)
			assert.Equal(t, objects[path].written[field], file[field], "%s: %s", path, field)
		}
	}
}
