package preview

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// definitions is the resource of CustomResourceDefinitions.
const definitions = "customresourcedefinitions.apiextensions.k8s.io"

// kinds are those that the cluster serves and those that Git would bring.
type kinds struct {
	served desired.Kinds
	// defined are by kind, brought are the same as a set.
	defined map[schema.GroupKind]manifest.Resource
	brought map[manifest.Resource]bool
}

func newKinds(served desired.Kinds) *kinds {
	return &kinds{served: served, defined: map[schema.GroupKind]manifest.Resource{}, brought: map[manifest.Resource]bool{}}
}

// Resolve says how a kind is served, or will be.
func (k *kinds) Resolve(kind schema.GroupKind) (manifest.Resource, bool) {
	if resource, ok := k.served.Resolve(kind); ok {
		return resource, true
	}
	resource, ok := k.defined[kind]
	return resource, ok
}

// define takes in the kind of a CustomResourceDefinition that the cluster doesn't serve.
func (k *kinds) define(definition map[string]any) {
	spec, _ := definition["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	group, _ := spec["group"].(string)
	kind, _ := names["kind"].(string)
	plural, _ := names["plural"].(string)
	if kind == "" || plural == "" {
		return // the API server will say what is wrong with it
	}
	of := schema.GroupKind{Group: group, Kind: kind}
	if _, served := k.served.Resolve(of); served {
		return
	}
	resource := manifest.Resource{Group: group, Name: plural, Kind: kind, Namespaced: spec["scope"] == "Namespaced"}
	k.defined[of], k.brought[resource] = resource, true
}
