package kube_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
)

// widgets is a definition in a group of the test's own.
func widgets(group string, versions ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.%s}
spec:
  group: %s
  scope: Namespaced
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  versions:
`, group, group)
	for i, v := range versions {
		fmt.Fprintf(&b, "  - {name: %s, served: true, storage: %t, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}\n", v, i == 0)
	}
	return b.String()
}

func widget(group, version, namespace string, size int) string {
	return fmt.Sprintf("apiVersion: %s/%s\nkind: Widget\nmetadata: {name: one, namespace: %s}\nspec: {size: %d}", group, version, namespace, size)
}

func group() string { return fmt.Sprintf("g%d.example.com", counter.Add(1)) }

// served waits until a kind can be written.
func served(t testing.TB, definition *unstructured.Unstructured) {
	t.Helper()
	until(t, "the definition is established", func() bool {
		conditions, _, _ := unstructured.NestedSlice(read(t, definition).Object, "status", "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "Established" && c["status"] == "True" {
				return true
			}
		}
		return false
	})
}

func TestDefinitionsComeAndGoAtRunTime(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns, g := namespace(t), group()
	definition := create(t, widgets(g, "v1"))
	served(t, definition)
	w := object(t, widget(g, "v1", ns, 1))
	until(t, "a widget can be made", func() bool {
		_, err := of(w).Create(t.Context(), w, metav1.CreateOptions{})
		return err == nil
	})
	until(t, "the widget is indexed", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(w)); return in })
	r, ok := index.Resolve(schema.GroupKind{Group: g, Kind: "Widget"})
	require.True(t, ok)
	require.Equal(t, resourceOf(w), r)
	require.True(t, snapshot(t, index).Knows(pathOf(w)))

	remove(t, definition)
	until(t, "the widget is gone", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(w)); return !in })
	until(t, "the kind is gone, and that is known", func() bool {
		_, ok := index.Resolve(schema.GroupKind{Group: g, Kind: "Widget"})
		return !ok && snapshot(t, index).Knows(pathOf(w))
	})
}

func TestResourceMovesToThePreferredVersionWithoutAGap(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns, g := namespace(t), group()
	definition := create(t, widgets(g, "v1beta1"))
	served(t, definition)
	w := object(t, widget(g, "v1beta1", ns, 1))
	until(t, "a widget can be made", func() bool {
		_, err := of(w).Create(t.Context(), w, metav1.CreateOptions{})
		return err == nil
	})
	until(t, "the widget is indexed", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(w)); return in })
	before, _ := snapshot(t, index).Tree.Get(pathOf(w))

	both := object(t, widgets(g, "v1beta1", "v1"))
	edit(t, definition, func(obj map[string]any) { obj["spec"] = both.Object["spec"] })
	until(t, "the widget is read as v1", func() bool {
		now, in := snapshot(t, index).Tree.Get(pathOf(w))
		require.True(t, in, "it was never gone")
		return now != before
	})

	// A file in the other version is written as it is, and compared in the index's.
	write := wanted(t, index, widget(g, "v1beta1", ns, 2))
	written := apply(t, index, write)[0]
	require.NoError(t, written.Err)
	require.Equal(t, kube.Updated, written.Action)
	now, _ := snapshot(t, index).Tree.Get(pathOf(w))
	require.Equal(t, now, written.Hash)
	require.Equal(t, kube.Unchanged, index.DryRun(t.Context(), write).Action)
	require.Equal(t, now, index.DryRun(t.Context(), write).Hash)
}

func TestGroupWhoseServerIsDownIsUnreadAndTheRestIsKnown(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	ns, g := namespace(t), group()
	u := create(t, configMap(ns, "a", "1"))
	down := create(t, fmt.Sprintf(`
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.%s}
spec: {group: %s, version: v1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: {name: absent, namespace: %s}}
`, g, g, ns))
	theirs := "namespaces/" + ns + "/widgets." + g + "/one.yaml"
	until(t, "the group is unread", func() bool {
		s := snapshot(t, index)
		for _, u := range s.Unread {
			if u.Resource == "*."+g {
				return !s.Knows(theirs)
			}
		}
		return false
	})
	_, in := snapshot(t, index).Tree.Get(pathOf(u))
	require.True(t, in)
	require.True(t, snapshot(t, index).Knows("namespaces/"+ns+"/configmaps/b.yaml"))

	remove(t, down)
	until(t, "the group is gone, and that is known", func() bool { return snapshot(t, index).Knows(theirs) })
}

func TestAwaitEstablishedMakesNewKindsKnown(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns, g := namespace(t), group()
	written := apply(t, index, wanted(t, index, widgets(g, "v1")))
	require.NoError(t, written[0].Err)
	require.NoError(t, index.AwaitEstablished(t.Context(), []string{"widgets." + g}))
	written = apply(t, index, wanted(t, index, widget(g, "v1", ns, 1)))
	require.NoError(t, written[0].Err)
	require.Equal(t, kube.Created, written[0].Action)
	hash, _ := snapshot(t, index).Tree.Get(written[0].Path)
	require.Equal(t, written[0].Hash, hash)
}

func TestAwaitEstablishedNamesWhatIsNot(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	g := group()
	served(t, create(t, widgets(g, "v1")))
	create(t, strings.NewReplacer("name: widgets."+g, "name: gadgets."+g, "plural: widgets", "plural: gadgets").Replace(widgets(g, "v1")))
	ctx, cancel := contextWithin(t, 5)
	defer cancel()
	err := index.AwaitEstablished(ctx, []string{"widgets." + g, "gadgets." + g, "absent." + g})
	require.ErrorContains(t, err, "CustomResourceDefinition gadgets."+g+": the API server does not serve it")
	require.ErrorContains(t, err, "already in use")
	require.ErrorContains(t, err, "CustomResourceDefinition absent."+g+": it does not exist")
	require.NotContains(t, err.Error(), "widgets."+g+":")

	long, cancel := contextWithin(t, 60)
	defer cancel()
	require.Error(t, index.AwaitEstablished(long, []string{"gadgets." + g}))
	require.NoError(t, long.Err(), "what is refused isn't waited for")
	require.ErrorContains(t, index.Unserved("gadgets."+g), "already in use")
	require.NoError(t, index.Unserved("widgets."+g))
	require.NoError(t, index.Unserved("absent."+g))
}
