package plan

import (
	"slices"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Stage is when an object is written: each stage is finished before the next begins. Deletions go through
// the stages backwards.
type Stage int

const (
	// Foundations are what other objects live in or are instances of.
	Foundations Stage = iota
	// Prerequisites are what workloads refer to: classes, accounts, permissions, configuration, storage.
	Prerequisites
	// Workloads run things.
	Workloads
	// Others are everything else, instances of custom resources among them.
	Others
	// Gates stand between clients and the API server, and could refuse what comes after them.
	Gates

	stages = int(Gates) + 1
)

// stageOf holds the resources that are not in stage Others.
var stageOf = map[string]Stage{
	"namespaces": Foundations,
	"customresourcedefinitions.apiextensions.k8s.io": Foundations,

	"priorityclasses.scheduling.k8s.io":             Prerequisites,
	"storageclasses.storage.k8s.io":                 Prerequisites,
	"volumeattributesclasses.storage.k8s.io":        Prerequisites,
	"csidrivers.storage.k8s.io":                     Prerequisites,
	"runtimeclasses.node.k8s.io":                    Prerequisites,
	"ingressclasses.networking.k8s.io":              Prerequisites,
	"deviceclasses.resource.k8s.io":                 Prerequisites,
	"clusterroles.rbac.authorization.k8s.io":        Prerequisites,
	"clusterrolebindings.rbac.authorization.k8s.io": Prerequisites,
	"roles.rbac.authorization.k8s.io":               Prerequisites,
	"rolebindings.rbac.authorization.k8s.io":        Prerequisites,
	"serviceaccounts":                               Prerequisites,
	"resourcequotas":                                Prerequisites,
	"limitranges":                                   Prerequisites,
	"networkpolicies.networking.k8s.io":             Prerequisites,
	"configmaps":                                    Prerequisites,
	"secrets":                                       Prerequisites,
	"persistentvolumes":                             Prerequisites,
	"persistentvolumeclaims":                        Prerequisites,
	"services":                                      Prerequisites,

	"deployments.apps":       Workloads,
	"statefulsets.apps":      Workloads,
	"daemonsets.apps":        Workloads,
	"replicasets.apps":       Workloads,
	"replicationcontrollers": Workloads,
	"pods":                   Workloads,
	"podtemplates":           Workloads,
	"jobs.batch":             Workloads,
	"cronjobs.batch":         Workloads,

	"mutatingwebhookconfigurations.admissionregistration.k8s.io":     Gates,
	"validatingwebhookconfigurations.admissionregistration.k8s.io":   Gates,
	"validatingadmissionpolicies.admissionregistration.k8s.io":       Gates,
	"validatingadmissionpolicybindings.admissionregistration.k8s.io": Gates,
	"mutatingadmissionpolicies.admissionregistration.k8s.io":         Gates,
	"mutatingadmissionpolicybindings.admissionregistration.k8s.io":   Gates,
	"apiservices.apiregistration.k8s.io":                             Gates,
}

// StageOf is the stage of the object at a canonical path.
func StageOf(path string) Stage {
	location, _ := manifest.ParsePath(path)
	if stage, ok := stageOf[location.ResourceName()]; ok {
		return stage
	}
	return Others
}

// DeletionStages sorts paths into stages for deletion: last written, first deleted. Empty stages are left
// out.
func DeletionStages(paths []string) [][]string {
	staged := make([][]string, stages)
	for _, path := range paths {
		backwards := Gates - StageOf(path)
		staged[backwards] = append(staged[backwards], path)
	}
	return slices.DeleteFunc(staged, func(s []string) bool { return len(s) == 0 })
}
