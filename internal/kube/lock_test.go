package kube_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
)

var (
	policies = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	bindings = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
)

const breakGlass = "rescuers"

func lockFor(cluster string) kube.Lock {
	return kube.Lock{
		Cluster: cluster, Repository: "https://jane:s3cret@git.example.com/ops/demo.git", Branch: "main", Path: "clusters/demo",
		BreakGlassGroup: breakGlass, Namespaces: []string{"active-cluster-sync", "kube-system"},
	}
}

// putUp locks the cluster until the test ends.
func putUp(t *testing.T, c *kube.Cluster, l kube.Lock) kube.PutLock {
	t.Helper()
	put, err := c.EnsureLock(t.Context(), l)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.RemoveLock(context.Background(), l.Cluster)) })
	return put
}

// as is the API as somebody else sees it, who may do anything.
func as(t *testing.T, user string, groups ...string) dynamic.Interface {
	t.Helper()
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:masters")}
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// relabel is an edit that changes nothing but itself.
func relabel(t *testing.T, api dynamic.Interface, u *unstructured.Unstructured) error {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata": {"labels": {"edit": "%d"}}}`, counter.Add(1))
	_, err := api.Resource(resourceOf(u).GVR()).Namespace(u.GetNamespace()).Patch(t.Context(), u.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-label"})
	return err
}

// takesEffect waits until the API server knows of the lock, which takes it a moment.
func takesEffect(t *testing.T, api dynamic.Interface, u *unstructured.Unstructured) {
	t.Helper()
	until(t, "the lock takes effect", func() bool { return kube.RefusedByLock(relabel(t, api, u)) })
}

// locked are objects of each sort that the sync wrote.
type locked struct{ deployment, configMap, clusterRole, pod *unstructured.Unstructured }

func syncObjects(t *testing.T, ns string) locked {
	t.Helper()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	var l locked
	for object, text := range map[**unstructured.Unstructured]string{
		&l.deployment:  fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart, namespace: %s}\nspec: {replicas: 1, selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: c, image: 'cart:1'}]}}}", ns),
		&l.configMap:   configMap(ns, "synced", "1"),
		&l.clusterRole: "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: lock-" + ns + "}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]",
		&l.pod:         "apiVersion: v1\nkind: Pod\nmetadata: {name: single, namespace: " + ns + "}\nspec: {containers: [{name: c, image: 'c:1'}]}",
	} {
		w := wanted(t, index, text)
		require.NoError(t, apply(t, index, w)[0].Err)
		*object = &unstructured.Unstructured{Object: w.Object}
	}
	t.Cleanup(func() {
		_ = of(l.clusterRole).Delete(context.Background(), l.clusterRole.GetName(), metav1.DeleteOptions{})
	})
	return l
}

func TestTheLockIsForPeopleAndSyncedObjects(t *testing.T) {
	c, ns := connectAdmin(t), namespace(t)
	synced := syncObjects(t, ns)
	theirs := create(t, configMap(ns, "theirs", "1"))
	ignored := create(t, strings.Replace(configMap(ns, "ignored", "1"), "metadata: {", `metadata: {annotations: {active-cluster-sync.io/ignore: "true"}, `, 1))
	put := putUp(t, c, lockFor("people"))
	require.True(t, put.Shared(), "the tests act as %q", put.User)

	jane := as(t, "jane")
	takesEffect(t, jane, synced.configMap)
	refusal := relabel(t, jane, synced.configMap)
	require.True(t, apierrors.IsForbidden(refusal), "%v", refusal)
	require.ErrorContains(t, refusal, "https://git.example.com/ops/demo.git (branch main, path clusters/demo)")
	require.ErrorContains(t, refusal, breakGlass)
	require.NotContains(t, refusal.Error(), "s3cret")

	deployments, pods := resourceOf(synced.deployment).GVR(), resourceOf(synced.pod).GVR()
	patch := func(resource schema.GroupVersionResource, name, patch string, subresource ...string) func(dynamic.Interface) error {
		return func(api dynamic.Interface) error {
			_, err := api.Resource(resource).Namespace(ns).Patch(t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, subresource...)
			return err
		}
	}
	for what, do := range map[string]func(dynamic.Interface) error{
		"edit":                          func(api dynamic.Interface) error { return relabel(t, api, synced.deployment) },
		"edit of a cluster-wide object": func(api dynamic.Interface) error { return relabel(t, api, synced.clusterRole) },
		"delete": func(api dynamic.Interface) error {
			return api.Resource(deployments).Namespace(ns).Delete(t.Context(), "cart", metav1.DeleteOptions{})
		},
		"delete of all": func(api dynamic.Interface) error {
			return api.Resource(deployments).Namespace(ns).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		"scale":                         patch(deployments, "cart", `{"spec": {"replicas": 3}}`, "scale"),
		"debug":                         patch(pods, "single", `{"spec": {"ephemeralContainers": [{"name": "debug", "image": "debug:1"}]}}`, "ephemeralcontainers"),
		"resize":                        patch(pods, "single", `{"spec": {"containers": [{"name": "c"}]}}`, "resize"),
		"taking off the managed fields": patch(deployments, "cart", `{"metadata": {"managedFields": [{}]}}`),
	} {
		t.Run(what, func(t *testing.T) {
			for who, api := range map[string]dynamic.Interface{"a cluster-admin": jane, "system:admin": as(t, "system:admin")} {
				err := do(api)
				require.True(t, kube.RefusedByLock(err), "%s: %v", who, err)
			}
		})
	}
	for who, let := range map[string]dynamic.Interface{
		"the sync": api, "break-glass": as(t, "jane", breakGlass),
		"a controller":      as(t, "system:serviceaccount:flux-system:kustomize-controller", "system:serviceaccounts"),
		"a component":       as(t, "system:kube-controller-manager"),
		"a node":            as(t, "system:node:n1", "system:nodes"),
		"the control plane": as(t, "system:apiserver"),
	} {
		require.NoError(t, relabel(t, let, synced.deployment), who)
		require.NoError(t, patch(deployments, "cart", `{"spec": {"replicas": 3}}`, "scale")(let), who)
	}
	err := jane.Resource(deployments).Namespace(ns).Delete(t.Context(), "cart", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err, "whoever may not edit may still ask what would come of it")
	require.NoError(t, relabel(t, jane, theirs), "what the sync never wrote stays theirs")
	require.NoError(t, relabel(t, jane, ignored))
	require.NoError(t, patch(deployments, "cart", `{"metadata": {"labels": {"a": "b"}}}`, "status")(jane), "status is the controllers'")
	require.True(t, kube.RefusedByLock(relabel(t, jane, synced.deployment)), "after all that, it is still known to be synced")
}

func TestNothingIsLockedInIgnoredNamespacesAndExcludedResources(t *testing.T) {
	c, ns, other := connectAdmin(t), namespace(t), namespace(t)
	synced, elsewhere, jane := syncObjects(t, ns), syncObjects(t, other), as(t, "jane")
	// A namespace is ignored as an object, too.
	home := wantedNamespace(ns)
	index := startIndex(t, c)
	snapshot(t, index)
	require.NoError(t, apply(t, index, wanted(t, index, home))[0].Err)

	lock := lockFor("scope")
	lock.Namespaces = append(lock.Namespaces, ns)
	lock.Excluded = []string{"configmaps", "*.apps"}
	putUp(t, c, lock)
	takesEffect(t, jane, elsewhere.pod)
	for _, free := range []*unstructured.Unstructured{synced.pod, synced.configMap, elsewhere.configMap, elsewhere.deployment, object(t, home)} {
		// The lock of an earlier test may be in force for a moment longer.
		until(t, free.GetKind()+" "+free.GetName()+" is free", func() bool { return relabel(t, jane, free) == nil })
	}
	_, err := jane.Resource(resourceOf(elsewhere.deployment).GVR()).Namespace(other).Patch(t.Context(), "cart", types.MergePatchType, []byte(`{"spec": {"replicas": 3}}`), metav1.PatchOptions{}, "scale")
	require.NoError(t, err)
}

// wantedNamespace is one that Git declares with a label, which the sync has to write.
func wantedNamespace(name string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", labels: {team: shop}}"
}

func TestALockIsPutBackAndOtherwiseLeftAlone(t *testing.T) {
	c, lock := connectAdmin(t), lockFor("again")
	putUp(t, c, lock)
	generation := func() (sum int64) {
		for _, resource := range []schema.GroupVersionResource{policies, bindings} {
			u, err := api.Resource(resource).Get(t.Context(), kube.LockName("again"), metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, "true", u.GetAnnotations()["active-cluster-sync.io/ignore"])
			sum += u.GetGeneration()
		}
		return sum
	}
	parts := func() int {
		parts, err := c.LockParts(t.Context(), "again")
		require.NoError(t, err)
		return parts
	}
	require.Equal(t, 2, parts())
	untouched := generation()
	_, err := c.EnsureLock(t.Context(), lock)
	require.NoError(t, err)
	require.Equal(t, untouched, generation(), "nothing differed, nothing is written")

	for what, tamper := range map[string]func() error{
		"an altered policy": func() error {
			_, err := api.Resource(policies).Patch(t.Context(), kube.LockName("again"), types.MergePatchType, []byte(`{"spec": {"matchConditions": null}}`), metav1.PatchOptions{})
			return err
		},
		"an altered binding": func() error {
			_, err := api.Resource(bindings).Patch(t.Context(), kube.LockName("again"), types.MergePatchType, []byte(`{"spec": {"validationActions": ["Audit"]}}`), metav1.PatchOptions{})
			return err
		},
		"a lost annotation": func() error {
			_, err := api.Resource(policies).Patch(t.Context(), kube.LockName("again"), types.MergePatchType, []byte(`{"metadata": {"annotations": null}}`), metav1.PatchOptions{})
			return err
		},
		"a deleted binding": func() error {
			return api.Resource(bindings).Delete(t.Context(), kube.LockName("again"), metav1.DeleteOptions{})
		},
		"a deleted policy": func() error {
			return api.Resource(policies).Delete(t.Context(), kube.LockName("again"), metav1.DeleteOptions{})
		},
	} {
		require.NoError(t, tamper(), what)
		before, err := c.EnsureLock(t.Context(), lock)
		require.NoError(t, err, what)
		generation()
		after, err := c.EnsureLock(t.Context(), lock)
		require.NoError(t, err, what)
		require.Equal(t, before.Binding, after.Binding, what)
		policy, err := api.Resource(policies).Get(t.Context(), kube.LockName("again"), metav1.GetOptions{})
		require.NoError(t, err)
		conditions, _, _ := unstructured.NestedSlice(policy.Object, "spec", "matchConditions")
		require.Len(t, conditions, 4, what)
		binding, err := api.Resource(bindings).Get(t.Context(), kube.LockName("again"), metav1.GetOptions{})
		require.NoError(t, err)
		actions, _, _ := unstructured.NestedStringSlice(binding.Object, "spec", "validationActions")
		require.Equal(t, []string{"Deny"}, actions, what)
	}
	require.NoError(t, api.Resource(bindings).Delete(t.Context(), kube.LockName("again"), metav1.DeleteOptions{}))
	require.Equal(t, 1, parts())
	require.NoError(t, c.RemoveLock(t.Context(), "again"))
	require.NoError(t, c.RemoveLock(t.Context(), "again"), "it is gone already")
	require.Zero(t, parts())
	_, err = api.Resource(policies).Get(t.Context(), kube.LockName("again"), metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err))
}

func TestALockThatIsNotPermittedIsNoPassingError(t *testing.T) {
	c, _ := restricted(t, "configmaps")
	put, err := c.EnsureLock(t.Context(), lockFor("unpermitted"))
	require.ErrorIs(t, err, kube.ErrNoLock)
	require.ErrorContains(t, err, "validatingadmissionpolicies")
	require.Empty(t, put.Policy)
	require.False(t, put.Shared(), "a service account is nobody's own")
	require.ErrorIs(t, c.RemoveLock(t.Context(), "unpermitted"), kube.ErrNoLock)
	missing, err := c.LockPermissions(t.Context())
	require.NoError(t, err)
	require.Contains(t, missing, "create validatingadmissionpolicies")
	require.Len(t, missing, 8)
	missing, err = connectAdmin(t).LockPermissions(t.Context())
	require.NoError(t, err)
	require.Empty(t, missing)
}

func TestAUserOfTheSyncsNameIsItsOwn(t *testing.T) {
	for user, shared := range map[string]bool{"active-cluster-sync": false, "jane": true, "system:admin": true} {
		c := connect(t, adminCluster(), &clientcmdapi.AuthInfo{
			ClientCertificateData: admin.CertData, ClientKeyData: admin.KeyData, ClientCertificate: admin.CertFile, ClientKey: admin.KeyFile,
			Impersonate: user, ImpersonateGroups: []string{"system:masters"},
		})
		put, err := c.EnsureLock(t.Context(), lockFor("own"))
		require.NoError(t, err)
		require.Equal(t, shared, put.Shared(), user)
		require.NoError(t, c.RemoveLock(t.Context(), "own"))
	}
}

func TestAnUnreachableClusterDoesNotCountAsOneWithoutALock(t *testing.T) {
	g := newGate(t)
	c := g.cluster()
	g.Shut()
	_, err := c.EnsureLock(t.Context(), lockFor("unreachable"))
	require.ErrorIs(t, err, kube.ErrUnreachable)
	require.NotErrorIs(t, err, kube.ErrNoLock)
	require.ErrorIs(t, c.RemoveLock(t.Context(), "unreachable"), kube.ErrUnreachable)
}

func TestAServerWithoutPoliciesIsNoPassingError(t *testing.T) {
	g := newGate(t)
	g.refusing(func(request string) int {
		if strings.Contains(request, "/validatingadmissionpolic") {
			return http.StatusNotFound
		}
		return 0
	})
	c := g.cluster()
	_, err := c.EnsureLock(t.Context(), lockFor("old"))
	require.ErrorIs(t, err, kube.ErrNoLock)
	require.ErrorContains(t, err, "Kubernetes 1.30")
	require.NoError(t, c.RemoveLock(t.Context(), "old"))
}

func TestAnObjectThatWasRightAllAlongIsLockedOnceAValueWasSetBack(t *testing.T) {
	c, ns := connectAdmin(t), namespace(t)
	theirs, synced, jane := create(t, configMap(ns, "right", "1")), syncObjects(t, ns), as(t, "jane")
	index := startIndex(t, c)
	snapshot(t, index)
	setBack := func() kube.Action {
		result := apply(t, index, wanted(t, index, configMap(ns, "right", "1")))[0]
		require.NoError(t, result.Err)
		return result.Action
	}
	require.Equal(t, kube.Unchanged, setBack())
	putUp(t, c, lockFor("right"))
	takesEffect(t, jane, synced.configMap)

	require.NoError(t, relabel(t, jane, theirs))
	require.Equal(t, kube.Updated, setBack())
	require.NoError(t, relabel(t, jane, theirs), "what was only taken away leaves no mark")
	_, err := jane.Resource(resourceOf(theirs).GVR()).Namespace(ns).Patch(t.Context(), "right", types.MergePatchType, []byte(`{"data": {"value": "2"}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Equal(t, kube.Updated, setBack())
	require.True(t, kube.RefusedByLock(relabel(t, jane, theirs)))
}
