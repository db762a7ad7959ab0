package manifest

import "slices"

// RecreateAnnotation on an object in Git lets the sync delete and create it again for a field that can't be
// changed.
const RecreateAnnotation = "active-cluster-sync.io/recreate"

// recreatable are the resources whose objects lose nothing when they are deleted and created again, with the
// reason. All others never are: what isn't known may hold data, an address, or other objects.
var recreatable = map[string]string{
	"configmaps":                             "Git holds all of it",
	"secrets":                                "Git holds all of it",
	"jobs.batch":                             "runs again, which is what a change of it asks for",
	"rolebindings.rbac.authorization.k8s.io": "Git holds all of it",
	"clusterrolebindings.rbac.authorization.k8s.io": "Git holds all of it",
	"storageclasses.storage.k8s.io":                 "looked at only when a volume is provisioned",
	"priorityclasses.scheduling.k8s.io":             "looked at only when a Pod is created",
	"runtimeclasses.node.k8s.io":                    "looked at only when a Pod is created",
	"ingressclasses.networking.k8s.io":              "Git holds all of it",
	"deployments.apps":                              "its Pods keep nothing and are made anew",
	"daemonsets.apps":                               "its Pods keep nothing and are made anew",
	"replicasets.apps":                              "its Pods keep nothing and are made anew",
}

// Recreatable reports whether the objects of a resource lose nothing by being deleted and created again.
func Recreatable(r Resource) bool { return recreatable[r.String()] != "" }

// EmpowersSync reports whether an object binds a role to an account of the sync's own namespace. Without it
// the sync might not be allowed to create it again.
func EmpowersSync(obj map[string]any) bool {
	subjects, _ := obj["subjects"].([]any)
	return slices.ContainsFunc(subjects, func(subject any) bool {
		fields, _ := subject.(map[string]any)
		return fields["kind"] == "ServiceAccount" && fields["namespace"] == OwnNamespace
	})
}

// AsksForRecreation reports whether the object itself says that it may be deleted and created again.
func AsksForRecreation(obj map[string]any) bool {
	return newObject(Resource{}, obj, Surroundings{}).at("metadata", "annotations", RecreateAnnotation) == "true"
}
