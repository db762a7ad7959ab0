package manifest

import (
	"reflect"
	"strings"
)

// serverRules are for what the API server alone writes, in any object. They come last: managed fields, UID
// and resource version tell the other rules where an object is from.
func serverRules() []rule {
	return []rule{
		{at: "status", why: "observed by controllers"},
		{at: "metadata.selfLink", why: "the server's, until Kubernetes 1.24"},
		{at: "metadata.generation", why: "counted by the server"},
		{at: "metadata.creationTimestamp", why: "of this one copy of the object"},
		{at: "metadata.deletionTimestamp", why: "of this one copy of the object"},
		{at: "metadata.deletionGracePeriodSeconds", why: "of this one copy of the object"},
		{at: "metadata.managedFields", why: "bookkeeping of the server"},
		{at: "metadata.resourceVersion", why: "of this one copy of the object"},
		{at: "metadata.uid", why: "of this one copy of the object"},
	}
}

// commonRules are for what may be in any object.
func commonRules() []rule {
	return []rule{
		{
			at: "metadata.ownerReferences", why: "they hold UIDs, which are others in another cluster",
		},
		{
			at: "metadata.finalizers[*]", why: "a controller's, which adds it again where it runs",
			unless: setByPerson, never: reservedFinalizer,
		},
		annotation("kubectl.kubernetes.io/last-applied-configuration", "bookkeeping of kubectl, a second copy of the object"),
		annotation("deployment.kubernetes.io/revision", "counted by the Deployment controller"),
		{
			at: "spec.replicas", why: "set by the HorizontalPodAutoscaler",
			when: func(o *object, _ any) bool { return o.surroundings.Scaled },
		},
		// The server leaves these out when they are empty.
		emptied("metadata.annotations"),
		emptied("metadata.labels"),
		emptied("metadata.finalizers"),
	}
}

func annotation(key, why string) rule {
	return rule{at: `metadata.annotations["` + key + `"]`, why: why}
}

func emptied(at string) rule {
	return rule{at: at, why: "the same as none", emptied: true}
}

// reservedFinalizer is true for finalizers that are never a user's: those of domains that belong to
// Kubernetes, those that stand for a way of deleting, and those that Flux and Argo CD put on what they own.
func reservedFinalizer(_ *object, item any) bool {
	finalizer, _ := item.(string)
	switch finalizer {
	case "foregroundDeletion", "orphan", "finalizers.fluxcd.io", "argocd.argoproj.io/hook-finalizer":
		return true
	}
	domain, _, _ := strings.Cut(finalizer, "/")
	for _, reserved := range []string{"kubernetes.io", "k8s.io"} {
		if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
			return true
		}
	}
	return false
}

func isNull(_ *object, value any) bool {
	return value == nil
}

// sameOrAbsent is true when what is going to be written has at the path what is live there, or nothing.
func sameOrAbsent(out, live *object, path ...string) bool {
	value := out.at(path...)
	return value == nil || reflect.DeepEqual(value, live.at(path...))
}
