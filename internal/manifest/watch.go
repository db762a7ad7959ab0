package manifest

// WatchResource reports whether the objects of a resource are looked at. Those of the others are records,
// requests, or what the machinery of one cluster says about itself: nothing that a person declares, and
// often what changes every few seconds. Skip says the same of each of their objects.
func WatchResource(r Resource) bool {
	return unwatchedGroups[r.Group] == "" && unwatchedResources[r.String()] == ""
}

// unwatchedGroups are API groups all of whose resources are left alone, with the reason.
var unwatchedGroups = map[string]string{
	"authentication.k8s.io":   "reviews, answered and not stored",
	"authorization.k8s.io":    "reviews, answered and not stored",
	"metrics.k8s.io":          "measured, not stored",
	"custom.metrics.k8s.io":   "measured, not stored",
	"external.metrics.k8s.io": "measured, not stored",
	"extensions":              "other names of objects that other groups serve",

	"internal.apiserver.k8s.io": "what API servers tell each other",
	"storagemigration.k8s.io":   "requests to rewrite the storage of this cluster",
	"wgpolicyk8s.io":            "policy reports",
	"reports.kyverno.io":        "policy reports",
	"openreports.io":            "policy reports",
}

// unwatchedResources are single resources that are left alone, with the reason.
var unwatchedResources = map[string]string{
	"bindings":                                       "a request, not stored",
	"componentstatuses":                              "observed, not stored",
	"events":                                         "records that expire",
	"events.events.k8s.io":                           "records that expire",
	"nodes":                                          "machines register themselves",
	"csinodes.storage.k8s.io":                        "machines register themselves",
	"endpoints":                                      "follow Services and Pods",
	"endpointslices.discovery.k8s.io":                "follow Services and Pods",
	"leases.coordination.k8s.io":                     "renewed every few seconds",
	"leasecandidates.coordination.k8s.io":            "renewed every few seconds",
	"controllerrevisions.apps":                       "history that controllers keep",
	"volumeattachments.storage.k8s.io":               "what is attached to which machine",
	"csistoragecapacities.storage.k8s.io":            "measured by storage drivers",
	"ipaddresses.networking.k8s.io":                  "allocated for Services",
	"certificatesigningrequests.certificates.k8s.io": "requests, done once",
	"podcertificaterequests.certificates.k8s.io":     "requests, done once",
	"resourceslices.resource.k8s.io":                 "devices that machines have",
	"resourcepoolstatusrequests.resource.k8s.io":     "requests, done once",

	"certificaterequests.cert-manager.io": "requests, done once",
	"orders.acme.cert-manager.io":         "requests, done once",
	"challenges.acme.cert-manager.io":     "requests, done once",

	"ciliumendpoints.cilium.io":               "follow Pods",
	"ciliumendpointslices.cilium.io":          "follow Pods",
	"ciliumidentities.cilium.io":              "follow Pods",
	"ciliumnodes.cilium.io":                   "machines register themselves",
	"blockaffinities.crd.projectcalico.org":   "addresses allocated to machines",
	"ipamblocks.crd.projectcalico.org":        "addresses allocated to machines",
	"ipamhandles.crd.projectcalico.org":       "addresses allocated to Pods",
	"admissionreports.kyverno.io":             "policy reports",
	"clusteradmissionreports.kyverno.io":      "policy reports",
	"backgroundscanreports.kyverno.io":        "policy reports",
	"clusterbackgroundscanreports.kyverno.io": "policy reports",
	"updaterequests.kyverno.io":               "requests, done once",
}
