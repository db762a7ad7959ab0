package roundtrip

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// imitateControllers does what those do that a cluster has besides kube-controller-manager.
func (s *side) imitateControllers(t *testing.T, objects table) {
	t.Helper()
	s.inject(t, objects)
	// The controller of a project puts a finalizer on what it looks after.
	s.edit(t, "prometheus-operator", objects["namespaces/shop/prometheuses.monitoring.coreos.com/main.yaml"], func(obj map[string]any) {
		set(obj, []any{"monitoring.coreos.com/status-cleanup"}, "metadata", "finalizers")
	})
	s.edit(t, "cert-manager", objects["namespaces/shop/certificates.cert-manager.io/cart.yaml"], func(obj map[string]any) {
		set(obj, map[string]any{"revision": int64(1), "nextPrivateKeySecretName": "cart-x7k2p"}, "status")
	}, "status")

	bare := s.get(t, objects["namespaces/shop/configmaps/bare.yaml"])
	s.own(t, objects["namespaces/shop/configmaps/dependent.yaml"], bare, false)
	s.own(t, objects["namespaces/shop/configmaps/controlled.yaml"], bare, true)

	// The scheduler, the kubelet, and somebody who looks into a running Pod.
	s.bind(t, objects["namespaces/shop/pods/plain.yaml"])
	s.edit(t, "kubelet", objects["namespaces/shop/pods/finished.yaml"], func(obj map[string]any) {
		set(obj, "Succeeded", "status", "phase")
	}, "status")
	s.edit(t, "kubectl-debug", objects["namespaces/shop/pods/plain.yaml"], func(obj map[string]any) {
		set(obj, []any{map[string]any{"name": "debugger", "image": "registry.example.com/debug:1"}}, "spec", "ephemeralContainers")
	}, "ephemeralcontainers")
}

// inject writes certificate authorities as cert-manager does where an annotation asks for it, and as an
// operator does for its own webhooks.
func (s *side) inject(t *testing.T, objects table) {
	t.Helper()
	for _, i := range injections {
		s.edit(t, i.manager, objects[i.path], func(obj map[string]any) {
			at(obj, i.client...).(map[string]any)["caBundle"] = injectedCA(objects)
		})
	}
}

// requireInjected: what was injected into this cluster is still there.
func (s *side) requireInjected(t *testing.T, objects table) {
	t.Helper()
	for _, i := range injections {
		require.Equal(t, injectedCA(objects), at(s.get(t, objects[i.path]), append(i.client, "caBundle")...), i.path)
	}
}

// injections are the objects that get a certificate authority, where, and from whom.
var injections = []struct {
	path    string
	client  []any
	manager string
}{
	{"cluster/validatingwebhookconfigurations.admissionregistration.k8s.io/ca-injected.yaml", []any{"webhooks", 0, "clientConfig"}, "cainjector"},
	{"cluster/mutatingwebhookconfigurations.admissionregistration.k8s.io/operator-injected.yaml", []any{"webhooks", 0, "clientConfig"}, "defaults-operator"},
	{"cluster/customresourcedefinitions.apiextensions.k8s.io/factories.example.com.yaml", []any{"spec", "conversion", "webhook", "clientConfig"}, "cainjector"},
	{"cluster/apiservices.apiregistration.k8s.io/v1.injected.example.com.yaml", []any{"spec"}, "cainjector"},
}

// injectedCA is a certificate authority, in the form that a caBundle has.
func injectedCA(objects table) any {
	return at(objects["cluster/validatingwebhookconfigurations.admissionregistration.k8s.io/own-ca.yaml"].written, "webhooks", 0, "clientConfig", "caBundle")
}

// own makes one object the owner of another.
func (s *side) own(t *testing.T, o object, owner map[string]any, controller bool) {
	t.Helper()
	s.edit(t, "some-controller", o, func(obj map[string]any) {
		set(obj, []any{map[string]any{
			"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": controller,
			"name": at(owner, "metadata", "name"), "uid": at(owner, "metadata", "uid"),
		}}, "metadata", "ownerReferences")
	})
}

// bind puts a Pod on the one node, as the scheduler does.
func (s *side) bind(t *testing.T, pod object) {
	t.Helper()
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Binding",
		"metadata": map[string]any{"name": pod.id.Name, "namespace": pod.id.Namespace},
		"target":   map[string]any{"apiVersion": "v1", "kind": "Node", "name": "node-1"},
	}}
	_, err := s.of(pod).Create(t.Context(), binding, metav1.CreateOptions{FieldManager: "kube-scheduler"}, "binding")
	require.NoError(t, err)
}

func set(obj map[string]any, value any, path ...string) {
	last := len(path) - 1
	for _, field := range path[:last] {
		below, ok := obj[field].(map[string]any)
		if !ok {
			below = map[string]any{}
			obj[field] = below
		}
		obj = below
	}
	obj[path[last]] = value
}

// awaitControllers waits until kube-controller-manager has done its part with the objects of the table.
func (s *side) awaitControllers(t *testing.T) {
	t.Helper()
	type fields = []any
	phase := fields{"status", "phase"}
	for _, c := range []struct {
		resource, namespace, name string
		at                        fields
		is                        func(value any) bool
	}{
		{"v1/persistentvolumeclaims", "shop", "data", phase, equals("Bound")},
		{"v1/persistentvolumeclaims", "shop", "chosen", phase, equals("Bound")},
		{"v1/persistentvolumeclaims", "shop", "waiting", phase, equals("Pending")},
		{"v1/persistentvolumes", "", "static-1", phase, equals("Bound")},
		{"v1/persistentvolumes", "", "static-2", phase, equals("Bound")},
		{"v1/persistentvolumes", "", "local-1", phase, equals("Available")},
		{"v1/persistentvolumeclaims", "shop", "data-web-1", phase, equals("Pending")},
		{"v1/persistentvolumeclaims", "shop", "data-web-2", phase, equals("Pending")},
		{"v1/persistentvolumeclaims", "shop", "logs-web-1", phase, equals("Pending")},
		{"v1/persistentvolumeclaims", "shop", "logs-web-2", phase, equals("Pending")},
		{"apps/v1/deployments", "shop", "scaled", fields{"spec", "replicas"}, equals(int64(2))},
		{"apps/v1/deployments", "shop", "scaled", fields{"status", "replicas"}, equals(int64(2))},
		{"apps/v1/deployments", "shop", "mutated", fields{"metadata", "annotations", "deployment.kubernetes.io/revision"}, equals("1")},
		{"apps/v1/statefulsets", "shop", "web", fields{"status", "replicas"}, equals(int64(2))},
		{"apps/v1/daemonsets", "shop", "agent", fields{"status", "observedGeneration"}, exists},
		{"apps/v1/replicasets", "shop", "standalone", fields{"status", "replicas"}, equals(int64(2))},
		{"v1/replicationcontrollers", "shop", "old", fields{"status", "replicas"}, equals(int64(1))},
		{"rbac.authorization.k8s.io/v1/clusterroles", "", "widgets-all", fields{"rules", 1}, exists},
		{"policy/v1/poddisruptionbudgets", "shop", "cart", fields{"status", "observedGeneration"}, exists},
		{"v1/resourcequotas", "limited", "budget", fields{"status", "used", "pods"}, exists},
		{"networking.k8s.io/v1/servicecidrs", "", "more", fields{"metadata", "finalizers", 0}, exists},
		{"v1/pods", "shop", "alone", fields{"status", "resourceClaimStatuses", 0}, exists},
		{"v1/serviceaccounts", "widgets", "default", fields{"metadata", "uid"}, exists},
		{"v1/configmaps", "widgets", "kube-root-ca.crt", fields{"data"}, exists},
		{"autoscaling/v2/horizontalpodautoscalers", "shop", "scaled", fields{"status", "conditions", 0}, exists},
	} {
		gvr := resourceAt(c.resource)
		until(t, c.resource+" "+c.name, func() bool {
			u, err := s.api.Resource(gvr).Namespace(c.namespace).Get(t.Context(), c.name, metav1.GetOptions{})
			return err == nil && c.is(at(u.Object, c.at...))
		})
	}
}

func equals(want any) func(any) bool { return func(value any) bool { return value == want } }

func exists(value any) bool { return value != nil }

// resourceAt reads "v1/pods" and "apps/v1/deployments".
func resourceAt(at string) schema.GroupVersionResource {
	version, resource := path.Split(at)
	gv, err := schema.ParseGroupVersion(strings.TrimSuffix(version, "/"))
	if err != nil {
		panic(err)
	}
	return gv.WithResource(resource)
}
