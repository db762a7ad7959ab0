package roundtrip

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Everything that an API server serves is written by hand on one cluster, worked on by its controllers,
// exported, and applied to another cluster that is empty. What that exports is the same, to the byte.
func TestRoundTrip(t *testing.T) {
	a, b := startClusters(t)
	requireNothingOfKubernetes(t, a.export(t))
	requireNothingOfKubernetes(t, b.export(t))

	objects := a.populate(t)
	requireEveryResource(t, a, objects)
	a.imitateControllers(t, objects)
	a.awaitControllers(t)
	a.awaitIndex(t, objects)
	stored := a.export(t)
	requireLeftOut(t, a, objects, stored)
	requireNothingLost(t, a, objects, stored)
	requireNothingMadeUp(t, objects, stored)
	requireDecided(t, objects, stored)
	t.Run("a restarted worker exports the same", func(t *testing.T) {
		again := &side{index: a.startIndex(t)}
		requireSame(t, stored, again.exportOf(t, a))
		again.index.Release(again.tree(t)) // and reads what it doesn't hold
		requireSame(t, stored, again.export(t))
	})

	b.apply(t, stored)
	b.awaitControllers(t)
	requireSame(t, stored, b.exportOf(t, a))

	b.inject(t, objects)
	t.Run("Git over the source changes nothing", func(t *testing.T) { a.requireUnchanged(t, objects, stored) })
	t.Run("Git over the copy changes nothing", func(t *testing.T) { b.requireUnchanged(t, objects, stored) })
	b.requireInjected(t, objects)
}

// requireNothingOfKubernetes: a cluster that nobody has written to has nothing for Git.
func requireNothingOfKubernetes(t *testing.T, stored git) {
	t.Helper()
	for path := range stored {
		assert.True(t, strings.HasPrefix(path, "namespaces/kube-system/"), path)
	}
	require.False(t, t.Failed())
}

// populate writes all objects of testdata, and the definitions of third-party resources.
func (s *side) populate(t *testing.T) table {
	t.Helper()
	url, ca := startWebhook(t)
	variables := strings.NewReplacer("${WEBHOOK_URL}", url, "${WEBHOOK_CA}", ca, "${CA}", ca)
	objects := table{}
	files := slices.Concat(testdata(t, "objects"), testdata(t, "leftout"), thirdParty(t), testdata(t, "thirdparty"))
	for _, file := range files {
		objects.add(s.create(t, read(t, file, variables)))
		if filepath.Base(file) == "20-admission.yaml" {
			s.awaitAdmission(t)
		}
	}
	return objects
}

// requireNothingLost: what a person wrote is in Git.
func requireNothingLost(t *testing.T, s *side, objects table, stored git) {
	t.Helper()
	for path, o := range objects {
		if leftOut(o) != "" {
			continue
		}
		f, ok := stored[path]
		if !assert.True(t, ok, "%s is missing", path) {
			continue
		}
		places := slices.DeleteFunc(lost(o.written, s.get(t, o), f.object, ""), func(place string) bool {
			return notTheirs[path+" "+place] != ""
		})
		assert.Empty(t, places, "%s has lost what a person wrote", path)
	}
	require.False(t, t.Failed())
}

// notTheirs is what a person writes and somebody else owns, with the reason.
var notTheirs = map[string]string{
	"namespaces/shop/deployments.apps/scaled.yaml spec.replicas":                                                    "an autoscaler's",
	"namespaces/widgets/widgets.example.com/scaled.yaml spec.replicas":                                              "an autoscaler's",
	"namespaces/shop/configmaps/applied.yaml metadata.annotations.kubectl.kubernetes.io/last-applied-configuration": "kubectl's",
}

// requireNothingMadeUp: what is in Git is what the API server made of the object as it stored it. Nothing
// that controllers wrote since is in it.
func requireNothingMadeUp(t *testing.T, objects table, stored git) {
	t.Helper()
	scaled := stored.scaled()
	for _, path := range slices.Sorted(maps.Keys(objects)) {
		o := objects[path]
		if leftOut(o) != "" || controllersAdd[path] != "" {
			continue
		}
		answer := runtime.DeepCopyJSON(o.answer)
		manifest.Normalise(o.Resource, answer, manifest.Surroundings{Scaled: scaled[o.id]})
		first, err := manifest.Encode(answer)
		require.NoError(t, err)
		assert.Equal(t, string(first), stored[path].content, "%s has changed since it was made", path)
	}
	require.False(t, t.Failed())
}

// controllersAdd are the objects in which something that a controller wrote stays, with the reason.
var controllersAdd = map[string]string{
	"cluster/persistentvolumes/static-1.yaml": "which claim has the volume: its data must not go to another one",
}

// requireUnchanged: what is in Git is what the cluster has, to the writer and to the rules.
func (s *side) requireUnchanged(t *testing.T, objects table, stored git) {
	t.Helper()
	s.requireExact(t, objects, stored)
	s.requireUntouched(t, stored)
	requireSame(t, stored, s.export(t))
}

// requireExact: Git over the live object is Git again.
func (s *side) requireExact(t *testing.T, objects table, stored git) {
	t.Helper()
	scaled := stored.scaled()
	for path, f := range stored {
		o, ok := objects[path]
		if !ok {
			continue // a controller's, like the claims of a StatefulSet
		}
		surroundings := manifest.Surroundings{Scaled: scaled[o.id]}
		full := manifest.Denormalise(o.Resource, f.object, s.get(t, o), surroundings)
		manifest.Normalise(o.Resource, full, surroundings)
		content, err := manifest.Encode(full)
		require.NoError(t, err)
		assert.Equal(t, f.content, string(content), path)
	}
}

// requireUntouched applies everything again. It takes another round where a controller has written
// meanwhile, like the autoscaler that reports every 15 seconds.
func (s *side) requireUntouched(t *testing.T, stored git) {
	t.Helper()
	until(t, "a round in which nobody else writes", func() bool {
		before := s.versions(t, stored)
		for path, w := range s.apply(t, stored) {
			require.Equal(t, kube.Unchanged, w.Action, "%s: %s", path, w.Reason)
		}
		return maps.Equal(before, s.versions(t, stored))
	})
}

func (s *side) versions(t *testing.T, stored git) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for path := range stored {
		e, ok := s.index.Lookup(path)
		require.True(t, ok, path)
		versions[path] = e.ResourceVersion
	}
	return versions
}
