package roundtrip

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// leftOut is the reason for which an object isn't in Git, "" for one that is.
func leftOut(o object) string {
	if resourcesLeftOut[o.String()] != "" {
		return manifest.ReasonUnwatched
	}
	if reason, ok := objectsLeftOut[o.path]; ok {
		return reason
	}
	return ""
}

// resourcesLeftOut are those whose objects are never in Git, with the reason. Each has an object in testdata
// all the same.
var resourcesLeftOut = map[string]string{
	"events":                                           "records that expire",
	"events.events.k8s.io":                             "records that expire",
	"nodes":                                            "machines register themselves",
	"csinodes.storage.k8s.io":                          "machines register themselves",
	"endpoints":                                        "follow Services and Pods",
	"endpointslices.discovery.k8s.io":                  "follow Services and Pods",
	"leases.coordination.k8s.io":                       "renewed every few seconds",
	"controllerrevisions.apps":                         "history that controllers keep",
	"volumeattachments.storage.k8s.io":                 "what is attached to which machine",
	"csistoragecapacities.storage.k8s.io":              "measured by storage drivers",
	"ipaddresses.networking.k8s.io":                    "allocated for Services",
	"certificatesigningrequests.certificates.k8s.io":   "requests, done once",
	"podcertificaterequests.certificates.k8s.io":       "requests, done once",
	"resourceslices.resource.k8s.io":                   "devices that machines have",
	"storageversionmigrations.storagemigration.k8s.io": "requests to rewrite the storage of this cluster",

	"certificaterequests.cert-manager.io": "requests, done once",
	"orders.acme.cert-manager.io":         "requests, done once",
	"challenges.acme.cert-manager.io":     "requests, done once",
}

// objectsLeftOut are objects of the other resources that are not in Git.
var objectsLeftOut = map[string]string{
	"namespaces/shop/configmaps/ignored.yaml":                    manifest.ReasonIgnored,
	"namespaces/shop/configmaps/controlled.yaml":                 manifest.ReasonOwned,
	"namespaces/shop/configmaps/istio-ca-root-cert.yaml":         manifest.ReasonPublished,
	"namespaces/shop/configmaps/lock.yaml":                       manifest.ReasonLock,
	"namespaces/shop/jobs.batch/once.yaml":                       manifest.ReasonJob,
	"namespaces/shop/pods/finished.yaml":                         manifest.ReasonFinishedPod,
	"cluster/persistentvolumes/pvc-0f0f.yaml":                    manifest.ReasonProvisioned,
	"namespaces/shop/secrets/cart-token.yaml":                    manifest.ReasonAccountToken,
	"namespaces/kube-system/secrets/bootstrap-token-abcdef.yaml": manifest.ReasonBootstrapToken,
	"namespaces/active-cluster-sync/configmaps/anything.yaml":    manifest.ReasonSync,
	"cluster/namespaces/active-cluster-sync.yaml":                manifest.ReasonSync,
}

// requireEveryResource: each resource that can be exported has an object in the table. A resource that a new
// version of Kubernetes brings fails here until somebody has decided about it.
func requireEveryResource(t *testing.T, s *side, objects table) {
	t.Helper()
	have := map[schema.GroupResource]manifest.Resource{}
	for _, o := range objects {
		have[o.GroupResource()] = o.Resource
	}
	served := s.listable(t)
	for gr := range served {
		assert.Contains(t, have, gr, "%s is served and has no object in testdata", gr)
	}
	for gr, r := range have {
		assert.True(t, served[gr], "%s can't be listed and watched", gr)
		assert.Equal(t, resourcesLeftOut[gr.String()] == "", manifest.WatchResource(r), "%s: is it exported?", gr)
	}
	require.False(t, t.Failed())
}

// listable are the resources that can be listed and watched.
func (s *side) listable(t *testing.T) map[schema.GroupResource]bool {
	t.Helper()
	served := map[schema.GroupResource]bool{}
	// The groups whose server doesn't exist are an error, and have no resources.
	_, lists, _ := s.discovery.ServerGroupsAndResources()
	require.NotEmpty(t, lists)
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "watch") {
				served[schema.GroupResource{Group: gv.Group, Resource: r.Name}] = true
			}
		}
	}
	return served
}

// requireLeftOut: what shall not be in Git isn't, for the reason that the table gives.
func requireLeftOut(t *testing.T, s *side, objects table, stored git) {
	t.Helper()
	left := 0
	for _, path := range slices.Sorted(maps.Keys(objects)) {
		reason := leftOut(objects[path])
		if reason == "" {
			continue
		}
		left++
		assert.NotContains(t, stored, path)
		e, watched := s.index.Lookup(path)
		switch reason {
		case manifest.ReasonUnwatched:
			assert.False(t, watched, path)
		case manifest.ReasonSync:
		default:
			assert.Equal(t, reason, e.SkippedFor, path)
		}
	}
	require.Greater(t, left, len(objectsLeftOut))
	require.False(t, t.Failed())
}
