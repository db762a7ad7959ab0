package kube

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

var (
	crdResource        = schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
	apiServiceResource = schema.GroupResource{Group: "apiregistration.k8s.io", Resource: "apiservices"}
)

// crd is what a CustomResourceDefinition says about discovery.
type crd struct {
	resource    schema.GroupResource
	served      string // the served versions, for comparing
	versions    []string
	established bool
	refused     bool   // another definition has one of its names
	message     string // why it isn't established
}

// apiService is what an APIService says about discovery.
type apiService struct {
	groupVersion schema.GroupVersion
	priorities   string // for comparing: they order the versions
	available    bool
}

// factOf is what an object says about the resources that the API server serves: a crd, an apiService, or
// nil for all other objects.
func factOf(r manifest.Resource, obj map[string]any) any {
	switch r.GroupResource() {
	case crdResource:
		return crdOf(obj)
	case apiServiceResource:
		return apiServiceOf(obj)
	}
	return nil
}

func crdOf(obj map[string]any) *crd {
	c := &crd{message: "the API server has not looked at it yet"}
	c.resource.Group, _, _ = unstructured.NestedString(obj, "spec", "group")
	c.resource.Resource, _, _ = unstructured.NestedString(obj, "spec", "names", "plural")
	for _, v := range items(obj, "spec", "versions") {
		version, _ := v.(map[string]any)
		if name, _ := version["name"].(string); version["served"] == true {
			c.versions = append(c.versions, name)
		}
	}
	slices.Sort(c.versions)
	c.served = fmt.Sprint(c.versions)
	if established, ok := condition(obj, "Established"); ok {
		c.established, c.message = established["status"] == "True", fmt.Sprint(established["message"])
	}
	if accepted, ok := condition(obj, "NamesAccepted"); ok && accepted["status"] == "False" {
		c.refused, c.message = !c.established, fmt.Sprint(accepted["message"])
	}
	return c
}

func apiServiceOf(obj map[string]any) *apiService {
	s := &apiService{}
	s.groupVersion.Group, _, _ = unstructured.NestedString(obj, "spec", "group")
	s.groupVersion.Version, _, _ = unstructured.NestedString(obj, "spec", "version")
	group, _, _ := unstructured.NestedFieldNoCopy(obj, "spec", "groupPriorityMinimum")
	version, _, _ := unstructured.NestedFieldNoCopy(obj, "spec", "versionPriority")
	s.priorities = fmt.Sprint(group, version)
	available, _ := condition(obj, "Available")
	s.available = available["status"] == "True"
	return s
}

func condition(obj map[string]any, kind string) (map[string]any, bool) {
	for _, c := range items(obj, "status", "conditions") {
		if c, _ := c.(map[string]any); c["type"] == kind {
			return c, true
		}
	}
	return nil, false
}

// items are a list in an object, not copied: the schemas below a CustomResourceDefinition's are large.
func items(obj map[string]any, fields ...string) []any {
	value, _, _ := unstructured.NestedFieldNoCopy(obj, fields...)
	list, _ := value.([]any)
	return list
}

// facts are the CustomResourceDefinitions and APIServices of a cluster by name. What they say is checked
// against discovery, whose answer may lag behind, or come from an API server that is just starting and
// does not know of all groups yet.
type facts struct {
	crds     map[string]*crd
	services map[string]*apiService
}

// learn takes in what an object says now; nil for one that is gone. It reports whether discovery should
// be asked again because of it.
func (f facts) learn(r manifest.Resource, name string, fact any, known catalog) bool {
	switch r.GroupResource() {
	case crdResource:
		now, _ := fact.(*crd)
		return learn(f.crds, name, now, func(c *crd) bool { return c.agrees(known) })
	case apiServiceResource:
		now, _ := fact.(*apiService)
		return learn(f.services, name, now, func(s *apiService) bool { return s.agrees(known) })
	}
	return false
}

func learn[F interface {
	comparable
	same(F) bool
}](known map[string]F, name string, now F, agrees func(F) bool) bool {
	var none F
	before, seen := known[name]
	if now == none {
		delete(known, name)
		return seen
	}
	known[name] = now
	if seen {
		return !before.same(now)
	}
	return !agrees(now)
}

func (c *crd) same(other *crd) bool { //nolint:unused // called through a type parameter
	return c.resource == other.resource && c.served == other.served && c.established == other.established
}

func (s *apiService) same(other *apiService) bool { //nolint:unused // called through a type parameter
	return *s == *other
}

// agrees: what discovery says includes what this says.
func (c *crd) agrees(known catalog) bool {
	return !c.established || !slices.ContainsFunc(c.versions, func(v string) bool { return !known.serves(c.resource, v) })
}

func (s *apiService) agrees(known catalog) bool {
	_, failed := known.failed[s.groupVersion.Group] // which is a gap of its own
	return !s.available || failed || known.groupVersions[s.groupVersion] || !known.selection.WatchesGroup(s.groupVersion.Group)
}

// unlisted are the names of what should be in discovery and isn't.
func (f facts) unlisted(known catalog) []string {
	var names []string
	for name, c := range f.crds {
		if !c.agrees(known) {
			names = append(names, name)
		}
	}
	for name, s := range f.services {
		if !s.agrees(known) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// claim: something says that the resource, which discovery lacks, should be served.
func (f facts) claim(gr schema.GroupResource, known catalog) bool {
	for _, c := range f.crds {
		if c.resource == gr && !c.agrees(known) {
			return true
		}
	}
	for _, s := range f.services {
		if s.groupVersion.Group == gr.Group && !s.agrees(known) {
			return true
		}
	}
	return false
}
