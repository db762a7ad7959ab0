package kube_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// deletionOf is a deletion as it is planned.
func deletionOf(u *unstructured.Unstructured) kube.Write {
	return kube.Write{Path: pathOf(u), Resource: resourceOf(u), Live: manifest.Hash(nil), UID: u.GetUID()}
}

func withMetadata(text, more string) string {
	return strings.Replace(text, "metadata: {", "metadata: {"+more+", ", 1)
}

const protected = `annotations: {active-cluster-sync.io/prune: disabled}`

func TestDeleteSparesWhatSomethingKeeps(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	owner := create(t, configMap(ns, "owner", "1"))
	kept := create(t, withMetadata(configMap(ns, "kept", "1"), protected))
	owned := create(t, withMetadata(configMap(ns, "owned", "1"),
		"ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: "+string(owner.GetUID())+"}]"))
	for path, bond := range map[string]manifest.Bond{pathOf(owner): manifest.Unbound, pathOf(kept): manifest.Protected, pathOf(owned): manifest.Dependent} {
		until(t, "it is indexed", func() bool { _, ok := index.Lookup(path); return ok })
		entry, _ := index.Lookup(path)
		require.Equal(t, bond, entry.Bond, path)
		require.Equal(t, "configmaps", entry.Resource.Name)
	}

	result := written(t, index, deletionOf(kept))
	require.Equal(t, kube.Kept, result.Action)
	require.Contains(t, result.Reason, "active-cluster-sync.io/prune")
	require.Equal(t, kept.GetResourceVersion(), read(t, kept).GetResourceVersion())

	stray := deletionOf(owned)
	stray.Stray = true
	require.Equal(t, kube.Kept, written(t, index, stray).Action)
	require.Equal(t, owned.GetUID(), read(t, owned).GetUID())
	require.Equal(t, kube.Deleted, written(t, index, deletionOf(owned)).Action, "what Git once held is deleted, owned or not")

	// The protection goes by the annotation alone, and the index follows.
	edit(t, kept, func(obj map[string]any) { unstructured.RemoveNestedField(obj, "metadata", "annotations") })
	until(t, "it isn't protected any more", func() bool { e, _ := index.Lookup(pathOf(kept)); return e.Bond == manifest.Unbound })
	require.Equal(t, kube.Deleted, written(t, index, deletionOf(kept)).Action)
}

func TestDeleteLooksAgainAtWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	touched, guarded := create(t, configMap(ns, "touched", "1")), create(t, configMap(ns, "guarded", "1"))
	g := newGate(t)
	index := startIndex(t, g.cluster())
	snapshot(t, index)

	// Between looking at an object and deleting it, somebody edits it.
	edits := 0
	g.refusing(func(request string) int {
		switch {
		case edits == 0 && request == "DELETE /api/v1/namespaces/"+ns+"/configmaps/touched":
			edits++
			edit(t, touched, func(obj map[string]any) { obj["data"] = map[string]any{"value": "2"} })
		case edits == 1 && request == "DELETE /api/v1/namespaces/"+ns+"/configmaps/guarded":
			edits++
			edit(t, guarded, func(obj map[string]any) {
				_ = unstructured.SetNestedField(obj, "disabled", "metadata", "annotations", "active-cluster-sync.io/prune")
			})
		}
		return 0
	})
	g.requests()
	require.Equal(t, kube.Deleted, written(t, index, deletionOf(touched)).Action)
	asked := strings.Join(g.requests(), "\n")
	require.Equal(t, 2, strings.Count(asked, "DELETE /api/v1/namespaces/"+ns+"/configmaps/touched"), "the first one hit a version that was no more")
	require.Equal(t, 2, strings.Count(asked, "GET /api/v1/namespaces/"+ns+"/configmaps/touched"), "one for each try")
	require.Equal(t, kube.Kept, written(t, index, deletionOf(guarded)).Action)
	require.Equal(t, 2, edits)
	read(t, guarded)
}

func TestDeleteLeavesAnotherObjectOfTheSameNameToThePlan(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	before := create(t, configMap(ns, "a", "1"))
	remove(t, before)
	now := create(t, configMap(ns, "a", "1"))
	require.Equal(t, kube.Replaced, written(t, index, deletionOf(before)).Action)
	require.Equal(t, now.GetUID(), read(t, now).GetUID())
	require.Equal(t, kube.Deleted, written(t, index, deletionOf(now)).Action)
}
