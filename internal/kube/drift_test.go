package kube_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// applyAs is a server-side apply.
func applyAs(t testing.TB, manager, text string) {
	t.Helper()
	u := object(t, text)
	_, err := of(u).Apply(t.Context(), u.GetName(), u, metav1.ApplyOptions{FieldManager: manager, Force: true})
	require.NoError(t, err)
}

func annotate(key, value string) func(obj map[string]any) {
	return func(obj map[string]any) {
		_ = unstructured.SetNestedField(obj, value, "metadata", "annotations", key)
	}
}

func TestAdditionsOfControllersStayAndThoseOfPeopleGo(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	git := func() kube.Write { return wanted(t, index, deployment(ns, "cart", 2)) }
	written(t, index, git())
	u := object(t, deployment(ns, "cart", 2))

	// A controller by server-side apply and one by update; a person in between.
	applyAs(t, "mesh", fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: %s, labels: {mesh: "on"}}
spec: {template: {spec: {containers: [{name: proxy, image: "registry.example.com/proxy:1", env: [{name: MESH, value: a}]}]}}}
`, ns))
	editAs(t, "cloud-controller-manager", u, annotate("example.com/cloud", "theirs"))
	editAs(t, "kubectl-edit", u, func(obj map[string]any) {
		annotate("example.com/hand", "mine")(obj)
		_ = unstructured.SetNestedField(obj, int64(9), "spec", "replicas")
		for _, c := range containers(obj) {
			container := c.(map[string]any)
			env, _ := container["env"].([]any)
			container["env"] = append(env, map[string]any{"name": "DEBUG", "value": "1"})
		}
		setContainers(obj, append(containers(obj), map[string]any{"name": "spy", "image": "registry.example.com/spy:1"}))
	})

	result := written(t, index, git())
	require.Equal(t, kube.Updated, result.Action)
	now := read(t, u)
	require.Equal(t, "theirs", now.GetAnnotations()["example.com/cloud"])
	require.NotContains(t, now.GetAnnotations(), "example.com/hand")
	require.Equal(t, map[string]string{"mesh": "on"}, now.GetLabels())
	var names []string
	for _, c := range containers(now.Object) {
		container := c.(map[string]any)
		names = append(names, container["name"].(string))
		for _, e := range asList(container["env"]) {
			require.NotEqual(t, "DEBUG", e.(map[string]any)["name"])
		}
	}
	require.Equal(t, []string{"cart", "proxy"}, names)
	require.Len(t, asList(containers(now.Object)[1].(map[string]any)["env"]), 1)
	replicas, _, _ := unstructured.NestedInt64(now.Object, "spec", "replicas")
	require.Equal(t, int64(2), replicas)

	again := written(t, index, git())
	require.Equal(t, kube.Unchanged, again.Action)
	require.Equal(t, result.Hash, again.Hash)
	require.Equal(t, now.GetGeneration(), read(t, u).GetGeneration())
	require.Contains(t, managers(now), "mesh", "what was adopted stays theirs")

	// What the controller takes away again is gone.
	applyAs(t, "mesh", fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart, namespace: %s}", ns))
	require.Equal(t, kube.Unchanged, written(t, index, git()).Action)
	require.Len(t, containers(read(t, u).Object), 1)
}

func asList(value any) []any {
	list, _ := value.([]any)
	return list
}

func managers(u *unstructured.Unstructured) (names []string) {
	for _, entry := range u.GetManagedFields() {
		names = append(names, entry.Manager)
	}
	return names
}

// What the watch told of a drifted object is all that undoing the drift takes.
func TestDriftIsUndoneWithoutReadingTheObject(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startIndex(t, g.cluster())
	snapshot(t, index)
	ns := namespace(t)
	git := func() kube.Write { return wanted(t, index, configMap(ns, "a", "1")) }
	first := written(t, index, git())
	u := object(t, configMap(ns, "a", "1"))
	undo := func() (asked []string) {
		t.Helper()
		editAs(t, "kubectl-edit", u, annotate("example.com/hand", "mine"))
		until(t, "the index knows", func() bool {
			e, _ := index.Lookup(first.Path)
			return e.ResourceVersion == read(t, u).GetResourceVersion()
		})
		g.requests()
		result := written(t, index, git())
		require.Equal(t, kube.Updated, result.Action)
		require.Equal(t, first.Hash, result.Hash)
		require.Equal(t, "kubectl-edit", result.Overwrote.Manager)
		require.Empty(t, read(t, u).GetAnnotations())
		path := " /api/v1/namespaces/" + ns + "/configmaps/a"
		for _, request := range g.requests() { // definitions of other tests make this index look around
			if verb, ours := strings.CutSuffix(request, path); ours {
				asked = append(asked, verb)
			}
		}
		return asked
	}
	require.Equal(t, []string{"PUT"}, undo())

	late := sync.OnceFunc(func() { editAs(t, "kubectl-edit", u, annotate("example.com/late", "mine")) })
	g.refusing(func(request string) int {
		if strings.HasPrefix(request, "PUT ") {
			late()
		}
		return 0
	})
	require.Equal(t, []string{"PUT", "GET", "PUT"}, undo(), "what the index doesn't know yet is not overwritten unseen")
}

func TestWhatGitNoLongerDeclaresGoes(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	full := strings.Replace(configMap(ns, "a", "1"), "metadata: {", "metadata: {labels: {old: x}, ", 1)
	written(t, index, wanted(t, index, full))
	require.Equal(t, kube.Updated, written(t, index, wanted(t, index, configMap(ns, "a", "1"))).Action)
	require.Empty(t, read(t, object(t, full)).GetLabels())
}

// An addition that Git's new content has no room for doesn't keep that from being applied.
func TestAnAdditionThatDoesntGoWithGitGivesWay(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	first := deployment(ns, "cart", 1)
	written(t, index, wanted(t, index, first))
	u := object(t, first)
	editAs(t, "rollout-operator", u, func(obj map[string]any) {
		_ = unstructured.SetNestedField(obj, "10%", "spec", "strategy", "rollingUpdate", "maxSurge")
	})
	second := strings.Replace(first, "spec:\n  replicas", "spec:\n  strategy: {type: Recreate}\n  replicas", 1)
	require.NotEqual(t, first, second)
	require.Equal(t, kube.Updated, written(t, index, wanted(t, index, second)).Action)
	strategy, _, _ := unstructured.NestedMap(read(t, u).Object, "spec", "strategy")
	require.Equal(t, map[string]any{"type": "Recreate"}, strategy)
}

// Who owns a field by right may change it: that isn't written back, and costs no write at the next look.
func TestRightsOfOthersAreNoDrift(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	ca := base64.StdEncoding.EncodeToString(certificateAuthority(t))
	for name, c := range map[string]struct {
		before, git string // what Git holds
		owner       string
		right       func(obj map[string]any) // what a controller does that this cluster hasn't
		owned       []any                    // where it is
	}{
		"replicas of an autoscaler": {
			before: fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: cart, namespace: %s}
spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}}
`, ns),
			git: deployment(ns, "cart", 2), owner: "kube-controller-manager",
			right: func(obj map[string]any) { _ = unstructured.SetNestedField(obj, int64(7), "spec", "replicas") },
			owned: []any{"spec", "replicas"},
		},
		"an injected bundle": {
			git: fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %s, annotations: {cert-manager.io/inject-ca-from: a/b}}
webhooks:
- name: a.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {service: {name: a, namespace: b}}
`, ns),
			owner: "cert-manager-cainjector",
			right: func(obj map[string]any) { at(obj, "webhooks", 0, "clientConfig").(map[string]any)["caBundle"] = ca },
			owned: []any{"webhooks", 0, "clientConfig", "caBundle"},
		},
		"rules of an aggregated role": {
			before: fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %s-part, labels: {part-of: %s}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
`, ns, ns),
			git: fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %s}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {part-of: %s}}]}
`, ns, ns),
			owned: []any{"rules", 0},
		},
		"what is allocated for a Service, and a load balancer's annotation": {
			git: fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: %s}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]}
`, ns),
			owner: "cloud-controller-manager", right: annotate("example.com/lb", "lb-1"),
			owned: []any{"spec", "healthCheckNodePort"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			scaled := strings.Contains(c.before, "HorizontalPodAutoscaler")
			git := func() kube.Write {
				w := wanted(t, index, c.git)
				w.Scaled = scaled
				manifest.Normalise(w.Resource, w.Object, manifest.Surroundings{Scaled: scaled})
				return w
			}
			if c.before != "" {
				written(t, index, wanted(t, index, c.before))
			}
			written(t, index, git())
			u := object(t, c.git)
			if c.right != nil {
				editAs(t, c.owner, u, c.right)
			}
			until(t, "the owner has done its part", func() bool { return at(read(t, u).Object, c.owned...) != nil })
			before := stored(read(t, u))
			require.Equal(t, kube.Unchanged, written(t, index, git()).Action)
			require.Equal(t, before, stored(read(t, u)))

			// Nor is it written back when something else is.
			editAs(t, "kubectl-label", u, func(obj map[string]any) {
				_ = unstructured.SetNestedField(obj, "x", "metadata", "labels", "by-hand")
			})
			require.Equal(t, kube.Updated, written(t, index, git()).Action)
			require.Equal(t, before, stored(read(t, u)))
			require.Equal(t, kube.Unchanged, written(t, index, git()).Action)
		})
	}
}

// stored is what of an object isn't bookkeeping of the server or status.
func stored(u *unstructured.Unstructured) map[string]any {
	metadata := u.Object["metadata"].(map[string]any)
	for _, field := range []string{"resourceVersion", "generation", "managedFields"} {
		delete(metadata, field)
	}
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", "deployment.kubernetes.io/revision")
	for _, field := range []string{"labels", "annotations"} {
		if fields, _ := metadata[field].(map[string]any); len(fields) == 0 {
			delete(metadata, field)
		}
	}
	delete(u.Object, "status")
	return u.Object
}

// at is what stands at a path of names and indexes, nil where there is nothing.
func at(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			fields, _ := value.(map[string]any)
			value = fields[step]
		case int:
			list := asList(value)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

// certificateAuthority is that of the test's API server, as good as any.
func certificateAuthority(t testing.TB) []byte {
	t.Helper()
	config := rest.CopyConfig(admin)
	require.NoError(t, rest.LoadTLSFiles(config))
	require.NotEmpty(t, config.CAData)
	return config.CAData
}

func TestIgnoredFieldsAreTheClusters(t *testing.T) {
	t.Parallel()
	selection := manifest.Selection{}
	for _, text := range []string{"deployments.apps:/spec/replicas", "deployments.apps:/spec/template/spec/containers/0/image", "deployments.apps:/metadata/annotations/example.com~1x"} {
		field, err := manifest.ParseIgnoredField(text)
		require.NoError(t, err)
		selection.IgnoreFields = append(selection.IgnoreFields, field)
	}
	index := startWith(t, connectAdmin(t), kube.IndexOptions{Selection: selection})
	snapshot(t, index)
	ns := namespace(t)
	git := deployment(ns, "cart", 3)
	first := written(t, index, wanted(t, index, git))
	u := object(t, git)
	replicas, _, _ := unstructured.NestedInt64(read(t, u).Object, "spec", "replicas")
	require.Equal(t, int64(3), replicas, "Git's value, for a new object")

	edit(t, u, func(obj map[string]any) {
		_ = unstructured.SetNestedField(obj, int64(9), "spec", "replicas")
		containers(obj)[0].(map[string]any)["image"] = "registry.example.com/cart:9"
		annotate("example.com/x", "by hand")(obj)
	})
	edited := stored(read(t, u))
	until(t, "the index has seen it", func() bool {
		e, _ := index.Lookup(pathOf(u))
		return e.ResourceVersion == read(t, u).GetResourceVersion()
	})
	e, _ := index.Lookup(pathOf(u))
	contents, err := index.Content(t.Context(), []tree.Change{{Path: pathOf(u), To: e.Hash}})
	require.NoError(t, err)
	for _, ignored := range []string{"replicas", "image:", "by hand"} {
		require.NotContains(t, string(contents[pathOf(u)]), ignored)
	}
	require.Contains(t, string(contents[pathOf(u)]), "name: cart")

	require.Equal(t, kube.Unchanged, written(t, index, wanted(t, index, git)).Action)
	require.Equal(t, edited, stored(read(t, u)))

	// Another change of Git is applied, and these fields stay.
	changed := strings.Replace(git, "metadata: {", "metadata: {labels: {v: two}, ", 1)
	result := written(t, index, wanted(t, index, changed))
	require.Equal(t, kube.Updated, result.Action)
	require.NotEqual(t, first.Hash, result.Hash)
	now := read(t, u)
	replicas, _, _ = unstructured.NestedInt64(now.Object, "spec", "replicas")
	require.Equal(t, int64(9), replicas)
	require.Equal(t, "registry.example.com/cart:9", containers(now.Object)[0].(map[string]any)["image"])
	require.Equal(t, "by hand", now.GetAnnotations()["example.com/x"])
	require.Equal(t, "two", now.GetLabels()["v"])
}
