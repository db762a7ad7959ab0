package manifest

import (
	"slices"
	"strings"
)

// pruneAnnotation with the value "disabled" keeps a pull from deleting an object.
const pruneAnnotation = "active-cluster-sync.io/prune"

// Bond is what keeps an object in a cluster although Git doesn't declare it.
type Bond uint8

const (
	// Unbound: nothing does.
	Unbound Bond = iota
	// Protected: a person said so, by the annotation.
	Protected
	// Immortal: Kubernetes refuses to delete it.
	Immortal
	// Leaving: it is being deleted already.
	Leaving
	// Native: every cluster has it by itself, and what runs there relies on this very one.
	Native
	// Dependent: it has an owner, and goes when that goes.
	Dependent
	// Produced: nobody but Kubernetes itself wrote it, like the volume claims of a StatefulSet, which have no
	// owner.
	Produced
	// Own: it is part of the sync, like the permissions of its worker.
	Own
)

// String says it as the end of a sentence about the object.
func (b Bond) String() string {
	switch b {
	case Protected:
		return "its annotation " + pruneAnnotation + " says disabled"
	case Immortal:
		return "Kubernetes refuses to delete it"
	case Leaving:
		return "it is being deleted already"
	case Native:
		return "every cluster has it by itself"
	case Dependent:
		return "it has an owner"
	case Produced:
		return "Kubernetes made it for another object"
	case Own:
		return "it is part of the sync"
	}
	return "nothing keeps it"
}

// Holds reports whether the object is not to be deleted. One that Git once declared is the sync's to delete
// again; a stray, which it never declared, is only when nobody else answers for it.
func (b Bond) Holds(stray bool) bool {
	return b != Unbound && (stray || b <= Leaving)
}

// BondOf finds out about an object as the API server has it. It is asked before Normalise, which takes away
// what it looks at.
func BondOf(r Resource, obj map[string]any) Bond {
	o := newObject(r, obj, Surroundings{})
	owners, _ := o.at("metadata", "ownerReferences").([]any)
	switch {
	case o.at("metadata", "deletionTimestamp") != nil:
		return Leaving
	case IsProtected(obj):
		return Protected
	case o.resource.String() == "namespaces" && slices.Contains([]string{"default", "kube-system", "kube-public"}, o.name()):
		return Immortal
	case o.native():
		return Native
	case len(owners) > 0:
		return Dependent
	case o.own():
		return Own
	case o.produced():
		return Produced
	}
	return Unbound
}

// IsProtected reports whether the annotation of an object, in a cluster or in a file, forbids its deletion.
func IsProtected(obj map[string]any) bool {
	metadata, _ := obj["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	return annotations[pruneAnnotation] == "disabled"
}

// native objects may be in Git because a person added something to them.
func (o *object) native() bool {
	name := o.name()
	switch o.resource.String() {
	case "namespaces":
		return name == "kube-node-lease"
	case "serviceaccounts":
		return name == "default" // the tokens of running pods are bound to its UID
	case "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
		"clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io":
		return strings.HasPrefix(name, "system:") || strings.HasPrefix(name, "kubeadm:")
	}
	return false
}

// own recognises what an installation of the sync has outside of its namespace.
func (o *object) own() bool {
	if strings.HasPrefix(o.name(), OwnNamespace) && !o.resource.Namespaced {
		return true
	}
	for _, label := range []string{"app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"} {
		if o.at("metadata", "labels", label) == OwnNamespace {
			return true
		}
	}
	return false
}

// components are the field managers of Kubernetes itself.
var components = []string{"kube-controller-manager", "kube-scheduler", "kubelet", "cloud-controller-manager", "kube-apiserver"}

// produced reports whether all that is known to have written the object itself, beside its status, are
// components of Kubernetes.
func (o *object) produced() bool {
	wrote := false
	for _, entry := range o.managers {
		fields, _ := entry.(map[string]any)
		if subresource, _ := fields["subresource"].(string); subresource != "" {
			continue
		}
		if manager, _ := fields["manager"].(string); !slices.Contains(components, manager) {
			return false
		}
		wrote = true
	}
	return wrote
}
