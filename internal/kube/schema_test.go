package kube_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/merge"
)

// TestServerTakesWhatItsOwnSchemasMerge: complete objects of the real API server are merged by its schemas, and
// it stores the result as it is.
func TestServerTakesWhatItsOwnSchemasMerge(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	index := connectAdmin(t).NewIndex(kube.IndexOptions{})
	for _, c := range []struct {
		name, base string
		git, live  []string // texts of base, each followed by what replaces it
		conflicts  []string
		then       []string // what the fields are that base has, in the same form
	}{
		{
			name: "Deployment",
			base: `
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: NS, labels: {app: cart}}
spec:
  replicas: 1
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      tolerations: [{key: a, operator: Exists}]
      volumes: [{name: data, emptyDir: {}}]
      containers:
      - {name: app, image: "app:1", args: [serve], env: [{name: A, value: "1"}, {name: B, value: "1"}], ports: [{containerPort: 53, protocol: TCP}, {containerPort: 53, protocol: UDP}]}
      - {name: log, image: "log:1", volumeMounts: [{name: data, mountPath: /data}]}
`,
			git:       []string{"app:1", "app:2", `{name: A, value: "1"}`, `{name: A, value: "2"}`, "emptyDir: {}", "emptyDir: {sizeLimit: 1Gi}", "serve", "serve, -q", "protocol: TCP", "name: dns-tcp, protocol: TCP", "{key: a,", "{key: b,"},
			live:      []string{"log:1", "log:2", `{name: B, value: "1"}`, `{name: B, value: "2"}, {name: C, value: "3"}`, "serve", "serve, -v", "protocol: UDP", "name: dns, protocol: UDP", "{name: data, mountPath: /data}", "{name: data, mountPath: /data}, {name: data, mountPath: /more}"},
			conflicts: []string{"/spec/template/spec/containers/0/args"},
			then:      []string{"app:1", "app:2", `{name: A, value: "1"}`, `{name: A, value: "2"}`, "emptyDir: {}", "emptyDir: {sizeLimit: 1Gi}", "serve", "serve, -q", "protocol: TCP", "name: dns-tcp, protocol: TCP", "{key: a,", "{key: b,", "log:1", "log:2", `{name: B, value: "1"}`, `{name: B, value: "2"}, {name: C, value: "3"}`, "protocol: UDP", "name: dns, protocol: UDP", "{name: data, mountPath: /data}", "{name: data, mountPath: /data}, {name: data, mountPath: /more}"},
		},
		{
			name: "Service",
			base: `
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: NS}
spec:
  selector: {app: dns}
  ports: [{name: tcp, port: 53, protocol: TCP}, {name: udp, port: 53, protocol: UDP}]
`,
			git:  []string{"port: 53, protocol: TCP", "port: 53, protocol: TCP, targetPort: 5353"},
			live: []string{"port: 53, protocol: UDP", "port: 53, protocol: UDP, targetPort: 5354", "[{name", "[{name: web, port: 80}, {name"},
			then: []string{"port: 53, protocol: TCP", "port: 53, protocol: TCP, targetPort: 5353", "port: 53, protocol: UDP", "port: 53, protocol: UDP, targetPort: 5354", "[{name", "[{name: web, port: 80}, {name"},
		},
		{
			name:      "ConfigMap",
			base:      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: NS}\ndata: {a: a1, b: b1, c: c1}",
			git:       []string{"a1", "a2", "c1", "c2"},
			live:      []string{"b1", "b2", "c1", "c3, d: d3"},
			conflicts: []string{"/data/c"},
			then:      []string{"a1", "a2", "b1", "b2", "c1", "c2, d: d3"},
		},
		{
			name:      "ClusterRole",
			base:      `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: NS}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`,
			git:       []string{"pods", "pods, services"},
			live:      []string{"get", "get, list", "name: NS", "name: NS, labels: {a: b}"},
			conflicts: []string{"/rules"},
			then:      []string{"pods", "pods, services", "name: NS", "name: NS, labels: {a: b}"},
		},
		{
			name: "HorizontalPodAutoscaler",
			base: `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: cart, namespace: NS}
spec:
  minReplicas: 1
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: absent}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
`,
			git:       []string{"maxReplicas: 3", "maxReplicas: 4", "80", "70"},
			live:      []string{"minReplicas: 1", "minReplicas: 2", "80", "60"},
			conflicts: []string{"/spec/metrics"},
			then:      []string{"maxReplicas: 3", "maxReplicas: 4", "80", "70", "minReplicas: 1", "minReplicas: 2"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.ReplaceAll(c.base, "NS", ns)
			changed := func(replaced []string) *unstructured.Unstructured {
				return object(t, strings.NewReplacer(replaced...).Replace(text))
			}
			base := create(t, text)
			typ, err := index.MergeType(t.Context(), resourceOf(base))
			require.NoError(t, err)
			git := put(t, changed(c.git), metav1.DryRunAll)
			want := put(t, changed(c.then), metav1.DryRunAll)
			live := put(t, changed(c.live))

			merged, conflicts, err := merge.ThreeWay(typ, normal(base), normal(git), normal(live), merge.Git)
			require.NoError(t, err)
			require.Equal(t, c.conflicts, conflicts)
			require.Equal(t, normal(want), merged)

			write := manifest.Denormalise(resourceOf(base), merged, live.Object, manifest.Surroundings{})
			stored := put(t, &unstructured.Unstructured{Object: write})
			require.Equal(t, merged, normal(stored))
		})
	}
}

// put writes an object that exists, or tries to.
func put(t testing.TB, u *unstructured.Unstructured, dryRun ...string) *unstructured.Unstructured {
	t.Helper()
	now, err := of(u).Update(t.Context(), u, metav1.UpdateOptions{DryRun: dryRun, FieldManager: manifest.FieldManager})
	require.NoError(t, err)
	return now
}

// normal is a live object as it would be in Git.
func normal(u *unstructured.Unstructured) map[string]any {
	obj := u.DeepCopy().Object
	manifest.Normalise(resourceOf(u), obj, manifest.Surroundings{})
	return obj
}

func TestKeyThatAManifestLeavesToItsDefaultIsFoundByTheServersSchema(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	index := connectAdmin(t).NewIndex(kube.IndexOptions{})
	text := "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: " + ns + "}\nspec: {selector: {app: web}, ports: [{port: 80}]}"
	from := create(t, text)
	edit(t, from, func(obj map[string]any) {
		ports, _, _ := unstructured.NestedSlice(obj, "spec", "ports")
		ports[0].(map[string]any)["targetPort"] = int64(8080)
		_ = unstructured.SetNestedSlice(obj, ports, "spec", "ports")
	})
	typ, err := index.MergeType(t.Context(), resources["Service"])
	require.NoError(t, err)
	carried, err := merge.Carry(typ, object(t, text).Object, normal(from), normal(read(t, from)))
	require.NoError(t, err)
	require.Equal(t, object(t, strings.Replace(text, "port: 80", "port: 80, targetPort: 8080", 1)).Object, carried)
}

// widgetsWith is a definition whose spec has a list of parts of some type, and what its schema leaves open.
func widgetsWith(t testing.TB, group, listType string) *unstructured.Unstructured {
	definition := object(t, widgets(group, "v1"))
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	require.NoError(t, err)
	version := versions[0].(map[string]any)
	version["schema"] = object(t, `
apiVersion: v1
kind: Schema
openAPIV3Schema:
  type: object
  properties:
    spec:
      type: object
      properties:
        parts: {type: array, `+listType+`, items: {type: object, required: [name], properties: {name: {type: string}, size: {type: integer}}}}
        tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
        free: {type: object, x-kubernetes-preserve-unknown-fields: true}
`).Object
	delete(version["schema"].(map[string]any), "apiVersion")
	delete(version["schema"].(map[string]any), "kind")
	require.NoError(t, unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions"))
	return definition
}

func TestSchemaOfACustomResourceIsFollowedWhereItChanges(t *testing.T) {
	t.Parallel()
	g := group()
	text := widgetsWith(t, g, "x-kubernetes-list-type: atomic")
	definition, err := of(text).Create(t.Context(), text, metav1.CreateOptions{})
	require.NoError(t, err)
	served(t, definition)
	index := connectAdmin(t).NewIndex(kube.IndexOptions{})
	r := manifest.Resource{Group: g, Version: "v1", Name: "widgets", Kind: "Widget", Namespaced: true}
	spec := func(text string) map[string]any {
		return object(t, "apiVersion: "+g+"/v1\nkind: Widget\nmetadata: {name: a, namespace: b}\nspec: "+text).Object
	}
	merged := func() (map[string]any, []string) {
		typ, err := index.MergeType(t.Context(), r)
		require.NoError(t, err)
		merged, conflicts, err := merge.ThreeWay(typ,
			spec(`{parts: [{name: a, size: 1}, {name: b, size: 1}], tags: [a, b], free: {a: 1, b: [1]}}`),
			spec(`{parts: [{name: a, size: 2}, {name: b, size: 1}], tags: [b], free: {a: 2, b: [1]}}`),
			spec(`{parts: [{name: a, size: 1}, {name: b, size: 2}], tags: [a, b, c], free: {a: 1, b: [2]}}`), merge.Git)
		require.NoError(t, err)
		return merged, conflicts
	}
	until(t, "its schema is published", func() bool { _, conflicts := merged(); return len(conflicts) == 1 })
	now, conflicts := merged()
	require.Equal(t, []string{"/spec/parts"}, conflicts)
	require.Equal(t, spec(`{parts: [{name: a, size: 2}, {name: b, size: 1}], tags: [b, c], free: {a: 2, b: [2]}}`), now)

	edit(t, definition, func(obj map[string]any) {
		obj["spec"] = widgetsWith(t, g, "x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name]").Object["spec"]
	})
	until(t, "the change of its schema is known", func() bool { _, conflicts := merged(); return len(conflicts) == 0 })
	now, _ = merged()
	require.Equal(t, spec(`{parts: [{name: a, size: 2}, {name: b, size: 2}], tags: [b, c], free: {a: 2, b: [2]}}`), now)

	remove(t, definition)
	until(t, "it has no schema any more", func() bool {
		typ, err := index.MergeType(t.Context(), r)
		require.NoError(t, err)
		return typ == merge.Type{}
	})
}

func TestSchemasAreAskedForOnce(t *testing.T) {
	t.Parallel()
	gate := newGate(t)
	index := gate.cluster().NewIndex(kube.IndexOptions{})
	var merges errgroup.Group
	for range 50 {
		for _, kind := range []string{"Deployment", "StatefulSet", "Service"} {
			merges.Go(func() error {
				typ, err := index.MergeType(t.Context(), resources[kind])
				if err == nil && typ == (merge.Type{}) {
					err = fmt.Errorf("%s has no schema", kind)
				}
				return err
			})
		}
	}
	require.NoError(t, merges.Wait())
	asked := map[string]int{}
	for _, request := range gate.requests() {
		asked[request]++
	}
	require.Equal(t, 1, asked["GET /openapi/v3/apis/apps/v1"])
	require.Equal(t, 1, asked["GET /openapi/v3/api/v1"])
	require.Len(t, asked, 3, "what no merge asked for isn't read: %v", asked)
}

func TestKindWithoutASchemaMergesAllTheSame(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]string{
		"the API server serves no schemas":         "GET /openapi/v3",
		"the one of an extension API server isn't": "GET /openapi/v3/apis/apps/v1",
	} {
		t.Run(name, func(t *testing.T) {
			gate := newGate(t)
			gate.refusing(func(request string) int {
				if request == refused {
					return http.StatusNotFound
				}
				return 0
			})
			typ, err := gate.cluster().NewIndex(kube.IndexOptions{}).MergeType(t.Context(), resources["Deployment"])
			require.NoError(t, err)
			require.Equal(t, merge.Type{}, typ)
		})
	}
	t.Run("its schema isn't one to merge by", func(t *testing.T) {
		gate := newGate(t)
		gate.tampering(func(request string, body io.ReadCloser) io.ReadCloser {
			defer body.Close()
			text, err := io.ReadAll(body)
			if err == nil && strings.HasPrefix(request, "GET /openapi/v3/") {
				text = bytes.ReplaceAll(text, []byte(`"x-kubernetes-list-type":"map"`), []byte(`"x-kubernetes-list-type":"odd"`))
			}
			return io.NopCloser(bytes.NewReader(text))
		})
		typ, err := gate.cluster().NewIndex(kube.IndexOptions{}).MergeType(t.Context(), resources["Deployment"])
		require.NoError(t, err)
		require.Equal(t, merge.Type{}, typ)
	})
	t.Run("nobody serves it", func(t *testing.T) {
		index := connectAdmin(t).NewIndex(kube.IndexOptions{})
		for _, r := range []manifest.Resource{
			{Group: "apps", Version: "v1", Name: "widgets", Kind: "Widget"},
			{Group: "example.com", Version: "v1", Name: "widgets", Kind: "Widget"},
		} {
			typ, err := index.MergeType(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, merge.Type{}, typ)
		}
	})
}

func TestSchemaThatCannotBeReadNowIsAnErrorUntilItCan(t *testing.T) {
	t.Parallel()
	for _, refused := range []string{"GET /openapi/v3", "GET /openapi/v3/apis/apps/v1"} {
		gate := newGate(t)
		index := gate.cluster().NewIndex(kube.IndexOptions{})
		gate.refusing(func(request string) int {
			if request == refused {
				return http.StatusServiceUnavailable
			}
			return 0
		})
		_, err := index.MergeType(t.Context(), resources["Deployment"])
		require.ErrorIs(t, err, kube.ErrUnreachable)
		gate.refusing(func(string) int { return 0 })
		typ, err := index.MergeType(t.Context(), resources["Deployment"])
		require.NoError(t, err)
		require.NotEqual(t, merge.Type{}, typ)
	}
}
