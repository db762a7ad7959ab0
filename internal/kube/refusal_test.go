package kube_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

func TestRefusalsSayWhatToDo(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	create(t, deployment(ns, "cart", 1))

	fails := func(w kube.Write) error {
		t.Helper()
		result := apply(t, index, w)[0]
		require.Equal(t, kube.Failed, result.Action)
		require.Error(t, result.Err)
		require.Contains(t, result.Err.Error(), manifest.IDOf(w.Object).String())
		return result.Err
	}

	var immutable *kube.ImmutableError
	err := fails(wanted(t, index, strings.ReplaceAll(deployment(ns, "cart", 1), "app: cart", "app: basket")))
	require.ErrorAs(t, err, &immutable)
	require.Equal(t, []string{"spec.selector"}, immutable.Fields)
	require.Equal(t, "Deployment.apps "+ns+"/cart: spec.selector is immutable: take the change back in Git, or delete the object to have it created anew, "+
		"or let the sync do both: set --recreate-immutable for all such objects, or the annotation active-cluster-sync.io/recreate: \"true\" in Git for this one: field is immutable", err.Error())

	err = fails(wanted(t, index, strings.ReplaceAll(deployment(ns, "bad", 1), "app: cart}}\n    spec", "app: other}}\n    spec")))
	require.Contains(t, err.Error(), "finds it invalid")
	require.NotErrorAs(t, err, &immutable)

	binding := fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
`, ns)
	create(t, binding)
	err = fails(wanted(t, index, strings.Replace(binding, "name: view", "name: edit", 1)))
	require.ErrorAs(t, err, &immutable)
	require.Equal(t, []string{"roleRef"}, immutable.Fields)

	create(t, service(ns, "web", "1"))
	err = fails(wanted(t, index, strings.Replace(service(ns, "web", "1"), "spec: {", "spec: {clusterIP: None, ", 1)))
	require.ErrorAs(t, err, &immutable)

	set := strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "spec:\n  replicas", "spec:\n  serviceName: a\n  replicas").Replace(deployment(ns, "set", 0))
	create(t, set)
	err = fails(wanted(t, index, strings.Replace(set, "serviceName: a", "serviceName: b", 1)))
	require.ErrorAs(t, err, &immutable)

	err = fails(wanted(t, index, configMap("absent", "a", "1")))
	require.Contains(t, err.Error(), "its namespace does not exist")

	doomed := namespace(t)
	create(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: %s, finalizers: [example.com/hold]}", doomed))
	remove(t, object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+doomed+"}"))
	err = fails(wanted(t, index, configMap(doomed, "b", "1")))
	require.Contains(t, err.Error(), "its namespace is being deleted")
	a := object(t, configMap(doomed, "a", "1"))
	until(t, "the namespace is emptied", func() bool { return read(t, a).GetDeletionTimestamp() != nil })
	err = fails(wanted(t, index, configMap(doomed, "a", "2")))
	require.Contains(t, err.Error(), "it is being deleted and waits for its finalizers example.com/hold")
	edit(t, a, func(obj map[string]any) { unstructured.RemoveNestedField(obj, "metadata", "finalizers") })

	unheard := kube.Write{
		Path:     "namespaces/" + ns + "/things.unheard.of/x.yaml",
		Resource: manifest.Resource{Group: "unheard.of", Version: "v1", Name: "things", Kind: "Thing", Namespaced: true},
		Object:   object(t, "apiVersion: unheard.of/v1\nkind: Thing\nmetadata: {name: x, namespace: "+ns+"}").Object,
	}
	require.ErrorIs(t, fails(unheard), kube.ErrNotServed)
}

func TestAWebhookThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	hook := create(t, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %s}
webhooks:
- name: silent.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {url: "https://127.0.0.1:1/"}
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
`, ns))
	t.Cleanup(func() {
		require.NoError(t, of(hook).Delete(context.Background(), hook.GetName(), metav1.DeleteOptions{}))
	})
	until(t, "the webhook is asked", func() bool {
		result := apply(t, index, wanted(t, index, configMap(ns, "settings", "x")))[0]
		if result.Err == nil {
			remove(t, object(t, configMap(ns, "settings", "x")))
			return false
		}
		require.ErrorContains(t, result.Err, "ConfigMap "+ns+"/settings: an admission webhook that has to be asked doesn't answer; repair the service behind it")
		require.ErrorContains(t, result.Err, "silent.example.com")
		require.NotErrorIs(t, result.Err, kube.ErrUnreachable)
		return true
	})
}
