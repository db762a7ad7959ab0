// Package manifest is one Kubernetes object as it is stored in Git: what it is, where its file lies, what
// of it belongs into the file, and the bytes of the file. It reads no cluster and no repository.
//
// Objects are the plain maps that JSON and YAML decode to: map[string]any, []any, string, bool, int64,
// float64 and nil.
package manifest

import "k8s.io/apimachinery/pkg/runtime/schema"

// FieldManager is the name under which the sync writes to the API server.
const FieldManager = "active-cluster-sync"

// Resource is a kind of object as an API server serves it, in one of its versions.
type Resource struct {
	Group, Version string
	// Name is the plural that the API's paths use, "deployments".
	Name       string
	Kind       string
	Namespaced bool
}

// GroupResource is the resource whatever its version.
func (r Resource) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Name}
}

// GVR is the resource as clients address it.
func (r Resource) GVR() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.Group, Version: r.Version, Resource: r.Name}
}

// GVK is what apiVersion and kind of its objects say.
func (r Resource) GVK() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
}

// String is "deployments.apps", or "services" for the core group.
func (r Resource) String() string {
	return r.GroupResource().String()
}

// ID is what an object is, whatever its version and the file that it stands in.
type ID struct {
	Group, Kind, Namespace, Name string
}

// IDOf reads the identity from an object's content. Namespace is what the object says, which for one
// from a hand-written file may be empty although its resource is namespaced.
func IDOf(obj map[string]any) ID {
	apiVersion, _ := obj["apiVersion"].(string)
	kind, _ := obj["kind"].(string)
	metadata, _ := obj["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	name, _ := metadata["name"].(string)
	return ID{Group: groupOf(apiVersion), Kind: kind, Namespace: namespace, Name: name}
}

// String is "Deployment.apps shop/cart", or "Namespace shop".
func (id ID) String() string {
	s := id.Kind
	if id.Group != "" {
		s += "." + id.Group
	}
	s += " "
	if id.Namespace != "" {
		s += id.Namespace + "/"
	}
	return s + id.Name
}
