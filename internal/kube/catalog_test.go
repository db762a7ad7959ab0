package kube

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

func groupOf(name, preferred string, versions ...string) *metav1.APIGroup {
	g := &metav1.APIGroup{Name: name}
	for _, v := range versions {
		gv := metav1.GroupVersionForDiscovery{GroupVersion: schema.GroupVersion{Group: name, Version: v}.String(), Version: v}
		g.Versions = append(g.Versions, gv)
		if v == preferred {
			g.PreferredVersion = gv
		}
	}
	return g
}

func resourcesOf(groupVersion string, resources ...metav1.APIResource) *metav1.APIResourceList {
	return &metav1.APIResourceList{GroupVersion: groupVersion, APIResources: resources}
}

func TestCatalogPrefersVersionsAndWhatCanBeListed(t *testing.T) {
	t.Parallel()
	stored := metav1.Verbs{"create", "get", "list", "watch"}
	widgets := metav1.APIResource{Name: "widgets", Kind: "Widget", Namespaced: true, Verbs: stored}
	c := newCatalog(manifest.Selection{},
		[]*metav1.APIGroup{groupOf("example.com", "v1", "v2alpha1", "v1"), groupOf("", "v1", "v1"), groupOf("down.io", "v1", "v1")},
		[]*metav1.APIResourceList{
			resourcesOf("example.com/v2alpha1", widgets, metav1.APIResource{Name: "gadgets", Kind: "Gadget", Verbs: stored}),
			resourcesOf("example.com/v1", widgets, metav1.APIResource{Name: "widgets/scale", Kind: "Scale", Verbs: metav1.Verbs{"get"}},
				metav1.APIResource{Name: "widgetviews", Kind: "Widget", Verbs: metav1.Verbs{"create"}}),
			resourcesOf("v1", metav1.APIResource{Name: "events", Kind: "Event", Namespaced: true, Verbs: stored}),
		},
		&discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{
			{Group: "down.io", Version: "v1"}:        errors.New("refused"),
			{Group: "metrics.k8s.io", Version: "v1"}: errors.New("refused"),
		}},
	)
	widget := manifest.Resource{Group: "example.com", Version: "v1", Name: "widgets", Kind: "Widget", Namespaced: true}
	gadget := manifest.Resource{Group: "example.com", Version: "v2alpha1", Name: "gadgets", Kind: "Gadget"}
	require.Equal(t, map[schema.GroupResource]manifest.Resource{widget.GroupResource(): widget, gadget.GroupResource(): gadget}, c.watched)
	require.Equal(t, widget, c.kinds[schema.GroupKind{Group: "example.com", Kind: "Widget"}])
	require.Equal(t, []string{"v1", "v2alpha1"}, c.versions[widget.GroupResource()])
	require.Equal(t, "events", c.kinds[schema.GroupKind{Kind: "Event"}].Name)
	require.Len(t, c.failed, 1, "metrics hold no objects")
	require.Contains(t, c.failed, "down.io")
}

func TestFactsAskForDiscoveryOnlyWhereItDisagrees(t *testing.T) {
	t.Parallel()
	gr := schema.GroupResource{Group: "example.com", Resource: "widgets"}
	known := catalog{
		versions:      map[schema.GroupResource][]string{gr: {"v1"}},
		groupVersions: map[schema.GroupVersion]bool{{Group: "example.com", Version: "v1"}: true},
	}
	definitions := manifest.Resource{Group: crdResource.Group, Name: crdResource.Resource}
	definition := func(established bool, versions ...string) *crd {
		c := &crd{resource: gr, versions: versions, established: established}
		for _, v := range versions {
			c.served += v + " "
		}
		return c
	}
	f := facts{crds: map[string]*crd{}, services: map[string]*apiService{}}
	require.False(t, f.learn(definitions, "a", definition(true, "v1"), known), "discovery has it")
	require.False(t, f.learn(definitions, "a", definition(true, "v1"), known), "nothing new")
	require.True(t, f.learn(definitions, "a", definition(true, "v1", "v2"), known), "another version")
	require.Equal(t, []string{"a"}, f.unlisted(known))
	require.True(t, f.claim(gr, known))
	require.True(t, f.learn(definitions, "a", nil, known), "it is gone")
	require.False(t, f.learn(definitions, "a", nil, known), "it was gone")
	require.False(t, f.learn(definitions, "b", definition(false, "v3"), known), "not established yet")
	require.Empty(t, f.unlisted(known))
	require.True(t, f.learn(definitions, "b", definition(true, "v3"), known))

	services := manifest.Resource{Group: apiServiceResource.Group, Name: apiServiceResource.Resource}
	service := apiService{groupVersion: schema.GroupVersion{Group: "other.io", Version: "v1"}}
	down, up := service, service
	up.available = true
	require.False(t, f.learn(services, "v1.other.io", &down, known))
	require.True(t, f.learn(services, "v1.other.io", &up, known))
	require.Contains(t, f.unlisted(known), "v1.other.io")
	require.False(t, f.learn(manifest.Resource{Name: "configmaps"}, "x", nil, known))
}

func TestProgressIsWrittenForPeople(t *testing.T) {
	t.Parallel()
	for n, text := range map[int]string{0: "0", 999: "999", 1204: "1,204", 1000000: "1,000,000"} {
		require.Equal(t, text, grouped(n))
	}
}
