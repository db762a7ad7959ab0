package kube

import (
	"errors"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// catalog is what an API server serves, as one discovery told. It is immutable.
type catalog struct {
	selection manifest.Selection
	// watched are the resources that the index looks at, in their preferred versions.
	watched map[schema.GroupResource]manifest.Resource
	// kinds are all resources that hold objects, in their preferred versions.
	kinds map[schema.GroupKind]manifest.Resource
	// versions are the served versions of each resource, the preferred one first.
	versions map[schema.GroupResource][]string
	// groupVersions are those that discovery answered for.
	groupVersions map[schema.GroupVersion]bool
	// failed are the groups that discovery knows but could not ask, for all or some of their versions.
	failed map[string]error
}

// newCatalog sorts what discovery.ServerGroupsAndResources returned. The error is the one for groups
// that failed, or nil.
func newCatalog(selection manifest.Selection, groups []*metav1.APIGroup, lists []*metav1.APIResourceList, failures error) catalog {
	c := catalog{
		selection:     selection,
		watched:       map[schema.GroupResource]manifest.Resource{},
		kinds:         map[schema.GroupKind]manifest.Resource{},
		versions:      map[schema.GroupResource][]string{},
		groupVersions: map[schema.GroupVersion]bool{},
		failed:        map[string]error{},
	}
	var failed *discovery.ErrGroupDiscoveryFailed
	if errors.As(failures, &failed) {
		for gv, err := range failed.Groups {
			if selection.WatchesGroup(gv.Group) {
				c.failed[gv.Group] = err
			}
		}
	}
	byVersion := map[string]*metav1.APIResourceList{}
	for _, list := range lists {
		byVersion[list.GroupVersion] = list
	}
	for _, group := range groups {
		for _, version := range preferredFirst(group) {
			if list, ok := byVersion[version.GroupVersion]; ok {
				c.add(schema.GroupVersion{Group: group.Name, Version: version.Version}, list.APIResources)
			}
		}
	}
	return c
}

// add takes in the resources of one version. It is called with a group's versions in their order of
// preference, so what a resource was added with first is what it stays with.
func (c catalog) add(gv schema.GroupVersion, resources []metav1.APIResource) {
	c.groupVersions[gv] = true
	for _, api := range resources {
		if strings.Contains(api.Name, "/") {
			continue
		}
		r := manifest.Resource{Group: gv.Group, Version: gv.Version, Name: api.Name, Kind: api.Kind, Namespaced: api.Namespaced}
		gr, gk := r.GroupResource(), r.GVK().GroupKind()
		c.versions[gr] = append(c.versions[gr], gv.Version)
		listed := slices.Contains(api.Verbs, "list") && slices.Contains(api.Verbs, "watch")
		if _, known := c.watched[gr]; !known && listed && (c.selection.Watches(r) || indispensable[gr]) {
			c.watched[gr] = r
		}
		// A kind may be the answer of several resources; the one that can be listed holds its objects.
		if _, known := c.kinds[gk]; !known || listed && !c.listed(c.kinds[gk]) {
			c.kinds[gk] = r
		}
	}
}

// indispensable are resources that are watched even where their objects don't take part: the index learns
// from them which kinds there are, which objects are scaled, and which cluster it is.
var indispensable = map[schema.GroupResource]bool{
	crdResource:              true,
	apiServiceResource:       true,
	{Resource: "namespaces"}: true,
	{Group: "autoscaling", Resource: "horizontalpodautoscalers"}: true,
}

func (c catalog) listed(r manifest.Resource) bool {
	_, ok := c.watched[r.GroupResource()]
	return ok
}

// serves reports whether a resource is served in a version.
func (c catalog) serves(gr schema.GroupResource, version string) bool {
	return slices.Contains(c.versions[gr], version)
}

// preferredFirst is a group's versions with the preferred one in front, which aggregated discovery has
// there already.
func preferredFirst(group *metav1.APIGroup) []metav1.GroupVersionForDiscovery {
	versions := slices.Clone(group.Versions)
	slices.SortStableFunc(versions, func(a, b metav1.GroupVersionForDiscovery) int {
		switch group.PreferredVersion.Version {
		case a.Version:
			return -1
		case b.Version:
			return 1
		}
		return 0
	})
	return versions
}
