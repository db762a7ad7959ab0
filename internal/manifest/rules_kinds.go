package manifest

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// kindRules are for what is in the objects of single resources only.
func kindRules() map[string][]rule {
	return map[string][]rule{
		"services":                               serviceRules(),
		"pods":                                   podRules(),
		"persistentvolumeclaims":                 claimRules(),
		"persistentvolumes":                      volumeRules(),
		"namespaces":                             namespaceRules(),
		"serviceaccounts":                        serviceAccountRules(),
		"configmaps":                             configMapRules(),
		"podtemplates":                           podTemplateRules("template"),
		"replicationcontrollers":                 podTemplateRules("spec.template"),
		"replicasets.apps":                       podTemplateRules("spec.template"),
		"deployments.apps":                       podTemplateRules("spec.template"),
		"daemonsets.apps":                        daemonSetRules(),
		"statefulsets.apps":                      statefulSetRules(),
		"jobs.batch":                             jobRules(),
		"cronjobs.batch":                         cronJobRules(),
		"horizontalpodautoscalers.autoscaling":   autoscalerRules(),
		"clusterroles.rbac.authorization.k8s.io": clusterRoleRules(),
		"customresourcedefinitions.apiextensions.k8s.io":               {caBundle("spec.conversion.webhook.clientConfig.caBundle")},
		"apiservices.apiregistration.k8s.io":                           {caBundle("spec.caBundle")},
		"mutatingwebhookconfigurations.admissionregistration.k8s.io":   {caBundle("webhooks[name].clientConfig.caBundle")},
		"validatingwebhookconfigurations.admissionregistration.k8s.io": {caBundle("webhooks[name].clientConfig.caBundle")},
	}
}

func serviceRules() []rule {
	return []rule{
		{
			at: "spec.clusterIPs", why: "allocated, or None as clusterIP says",
			unless: setByAnyone,
			fits: func(out, live *object, _ map[string]any, value any) bool {
				addresses, _ := value.([]any)
				return hasAddress(out) && len(addresses) > 0 && reflect.DeepEqual(addresses[0], out.at("spec", "clusterIP")) &&
					sameOrAbsent(out, live, "spec", "ipFamilyPolicy") && sameOrAbsent(out, live, "spec", "ipFamilies")
			},
		},
		{
			at: "spec.clusterIP", why: "allocated from a range that is another one in another cluster",
			when:   func(_ *object, value any) bool { return value != "None" },
			unless: setByAnyone,
			fits: func(out, _ *object, _ map[string]any, value any) bool {
				addresses, declared := out.at("spec", "clusterIPs").([]any)
				return hasAddress(out) && (!declared || len(addresses) > 0 && reflect.DeepEqual(addresses[0], value))
			},
		},
		{
			at: "spec.ipFamilies", why: "defaulted to the families that the cluster has",
			unless: setByAnyone,
			fits: func(out, live *object, _ map[string]any, _ any) bool {
				return hasAddress(out) && sameOrAbsent(out, live, "spec", "ipFamilyPolicy")
			},
		},
		{
			at: "spec.ipFamilyPolicy", why: "defaulted to the families that the cluster has",
			unless: setByAnyone,
			fits: func(out, live *object, _ map[string]any, _ any) bool {
				return hasAddress(out) && sameOrAbsent(out, live, "spec", "ipFamilies")
			},
		},
		{
			at: "spec.ports[port,protocol].nodePort", why: "allocated among those that are free in the cluster",
			unless: setByAnyone,
			fits: func(out, _ *object, port map[string]any, value any) bool {
				return hasNodePorts(out) && !usesNodePort(out, protocolOf(port), value)
			},
		},
		{
			at: "spec.healthCheckNodePort", why: "allocated among those that are free in the cluster",
			unless: setByAnyone,
			fits: func(out, _ *object, _ map[string]any, _ any) bool {
				return out.at("spec", "type") == "LoadBalancer" && out.at("spec", "externalTrafficPolicy") == "Local"
			},
		},
	}
}

func hasAddress(service *object) bool {
	return service.at("spec", "type") != "ExternalName"
}

func hasNodePorts(service *object) bool {
	switch service.at("spec", "type") {
	case "NodePort":
		return true
	case "LoadBalancer":
		return service.at("spec", "allocateLoadBalancerNodePorts") != false
	}
	return false
}

// usesNodePort: the number is taken. Ports of different protocols may have the same one, and do have where
// their port is the same.
func usesNodePort(service *object, protocol, number any) bool {
	ports, _ := service.at("spec", "ports").([]any)
	return slices.ContainsFunc(ports, func(port any) bool {
		fields, _ := port.(map[string]any)
		return reflect.DeepEqual(fields["nodePort"], number) && reflect.DeepEqual(protocolOf(fields), protocol)
	})
}

func protocolOf(port map[string]any) any {
	if port["protocol"] == nil {
		return "TCP"
	}
	return port["protocol"]
}

func podRules() []rule {
	rules := []rule{
		{at: "spec.nodeName", why: "set by the scheduler", unless: setByAnyone},
		{at: "spec.priority", why: "worked out from the PriorityClass, and refused where that has another value", unless: setByAnyone},
		{at: "spec.preemptionPolicy", why: "worked out from the PriorityClass, and refused where that has another value", unless: setByAnyone},
		{at: "spec.overhead", why: "worked out from the RuntimeClass, and refused where that has another value", unless: setByAnyone},
		{at: "spec.imagePullSecrets", why: "copied from the ServiceAccount", unless: setByAnyone},
		{at: "spec.ephemeralContainers", why: "added to a running Pod for debugging, and refused in a new one"},
		{at: "spec.volumes[*]", why: "token volume injected at admission", when: isTokenVolume},
		emptied("spec.volumes"),
		{at: "spec.tolerations[*]", why: "added to each Pod at admission", when: isDefaultToleration},
		emptied("spec.tolerations"),
	}
	for _, containers := range []string{"spec.containers[name]", "spec.initContainers[name]"} {
		rules = append(rules,
			rule{at: containers + ".volumeMounts[*]", why: "mount of the token volume, injected at admission", when: isTokenMount},
			emptied(containers+".volumeMounts"),
		)
	}
	return append(rules, volumeTemplateRules("spec")...)
}

// nameCharacters are those of names that Kubernetes makes up: no vowels, so that there are no words.
const nameCharacters = "bcdfghjklmnpqrstvwxz2456789"

// tokenVolumeName is how the ServiceAccount admission plugin names its volume.
var tokenVolumeName = regexp.MustCompile(`^kube-api-access-[` + nameCharacters + `]{5}$`)

func isTokenVolume(_ *object, item any) bool {
	volume, _ := item.(map[string]any)
	name, _ := volume["name"].(string)
	projected, _ := volume["projected"].(map[string]any)
	sources, _ := projected["sources"].([]any)
	return tokenVolumeName.MatchString(name) && slices.ContainsFunc(sources, func(source any) bool {
		fields, _ := source.(map[string]any)
		return fields["serviceAccountToken"] != nil
	})
}

func isTokenMount(_ *object, item any) bool {
	mount, _ := item.(map[string]any)
	name, _ := mount["name"].(string)
	return tokenVolumeName.MatchString(name) && mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
}

// isDefaultToleration recognises what the DefaultTolerationSeconds admission plugin adds.
func isDefaultToleration(_ *object, item any) bool {
	toleration, _ := item.(map[string]any)
	key := toleration["key"]
	return len(toleration) == 4 && toleration["operator"] == "Exists" && toleration["effect"] == "NoExecute" &&
		toleration["tolerationSeconds"] == int64(300) &&
		(key == "node.kubernetes.io/not-ready" || key == "node.kubernetes.io/unreachable")
}

// boundByController marks a claim, and a volume, whose binding is the controller's choice. Without it the
// binding is what the user asked for.
const boundByController = "pv.kubernetes.io/bound-by-controller"

func claimRules() []rule {
	bound := annotation(boundByController, "written at binding")
	bound.fits = func(out, _ *object, _ map[string]any, _ any) bool {
		spec, _ := out.at("spec").(map[string]any)
		_, chosen := spec["volumeName"]
		return !chosen
	}
	return []rule{
		{
			at: "spec.volumeName", why: "the volume that the controller chose",
			when: func(o *object, _ any) bool { return o.at("metadata", "annotations", boundByController) != nil },
		},
		bound,
		annotation("pv.kubernetes.io/bind-completed", "written at binding"),
		annotation("volume.kubernetes.io/selected-node", "a node of this cluster, written by the scheduler"),
		annotation("volume.kubernetes.io/storage-provisioner", "written at provisioning"),
		annotation("volume.beta.kubernetes.io/storage-provisioner", "written at provisioning"),
		annotation("volume.kubernetes.io/storage-resizer", "written at resizing"),
		annotation("pv.kubernetes.io/migrated-to", "written at migration to CSI"),
		annotation("volume.kubernetes.io/migrated-to", "written at migration to CSI"),
	}
}

func volumeRules() []rule {
	sameClaim := func(out, live *object, _ map[string]any, _ any) bool {
		return reflect.DeepEqual(out.at("spec", "claimRef", "namespace"), live.at("spec", "claimRef", "namespace")) &&
			reflect.DeepEqual(out.at("spec", "claimRef", "name"), live.at("spec", "claimRef", "name"))
	}
	// The name of the claim stays: data must not end up with another claim after a failover.
	return []rule{
		{at: "spec.claimRef.uid", why: "of the claim in this cluster", fits: sameClaim},
		{at: "spec.claimRef.resourceVersion", why: "of the claim in this cluster", fits: sameClaim},
		{at: "spec.claimRef.kind", why: "always the same, filled in at binding", unless: setByPerson, fits: sameClaim},
		{at: "spec.claimRef.apiVersion", why: "always the same, filled in at binding", unless: setByPerson, fits: sameClaim},
		annotation(boundByController, "written at binding"),
		annotation("pv.kubernetes.io/migrated-to", "written at migration to CSI"),
	}
}

func namespaceRules() []rule {
	return []rule{
		{at: "spec.finalizers", why: "set by the server, changed through a subresource only"},
		emptied("spec"),
		{at: `metadata.labels["kubernetes.io/metadata.name"]`, why: "set by the server"},
	}
}

// generatedSecret matches the end of the names of Secrets that controllers of Kubernetes until 1.23 and of
// OpenShift make for a ServiceAccount.
var generatedSecret = regexp.MustCompile(`^-(token|dockercfg)-[` + nameCharacters + `]{5,6}$`)

func serviceAccountRules() []rule {
	generated := func(o *object, item any) bool {
		reference, _ := item.(map[string]any)
		secret, _ := reference["name"].(string)
		account, _ := o.at("metadata", "name").(string)
		end, ok := strings.CutPrefix(secret, account)
		return ok && generatedSecret.MatchString(end)
	}
	return []rule{
		{at: "secrets[*]", why: "a Secret with a generated name, made for this ServiceAccount", when: generated},
		emptied("secrets"),
		{at: "imagePullSecrets[*]", why: "a Secret with a generated name, made for this ServiceAccount", when: generated},
		emptied("imagePullSecrets"),
	}
}

// leaderElection is on objects that programs use as a lock.
const leaderElection = "control-plane.alpha.kubernetes.io/leader"

func configMapRules() []rule {
	return []rule{annotation(leaderElection, "renewed every few seconds by whoever holds the lock")}
}

// podTemplateRules are for the Pod template at the path.
func podTemplateRules(at string) []rule {
	return append(metadataRules(at+".metadata"), volumeTemplateRules(at+".spec")...)
}

// volumeTemplateRules are for the claims that the Pod specification at the path has templates of.
func volumeTemplateRules(at string) []rule {
	return metadataRules(at + ".volumes[name].ephemeral.volumeClaimTemplate.metadata")
}

// metadataRules are for the metadata of a template, which the server writes out even where nobody gave any,
// until Kubernetes 1.33 with a null in it.
func metadataRules(at string) []rule {
	return []rule{
		{at: at + ".creationTimestamp", why: "templates have none", when: isNull},
		emptied(at),
	}
}

func daemonSetRules() []rule {
	return append(podTemplateRules("spec.template"),
		annotation("deprecated.daemonset.template.generation", "counted by the server"))
}

func statefulSetRules() []rule {
	claims := "spec.volumeClaimTemplates[metadata.name]"
	return append(podTemplateRules("spec.template"),
		rule{at: claims + ".status", why: "defaulted in what is a template"},
		rule{at: claims + ".metadata.creationTimestamp", why: "templates have none", when: isNull})
}

func jobRules() []rule {
	generated := func(o *object, _ any) bool { return o.at("spec", "manualSelector") != true }
	rules := []rule{{at: "spec.selector", why: "made from the Job's UID", when: generated}}
	for _, label := range []string{
		"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name",
	} {
		rules = append(rules,
			rule{at: `metadata.labels["` + label + `"]`, why: "copied from the template", when: generated},
			rule{at: `spec.template.metadata.labels["` + label + `"]`, why: "made from the Job's UID and name", when: generated})
	}
	rules = append(rules,
		annotation("batch.kubernetes.io/job-tracking", "set by the server, until Kubernetes 1.26"),
		emptied("spec.template.metadata.labels"))
	return append(rules, podTemplateRules("spec.template")...)
}

func cronJobRules() []rule {
	return append(podTemplateRules("spec.jobTemplate.spec.template"), metadataRules("spec.jobTemplate.metadata")...)
}

func autoscalerRules() []rule {
	return []rule{
		annotation("autoscaling.alpha.kubernetes.io/conditions", "status, as the API's version 1 shows it"),
		annotation("autoscaling.alpha.kubernetes.io/current-metrics", "status, as the API's version 1 shows it"),
	}
}

func clusterRoleRules() []rule {
	return []rule{{
		at: "rules", why: "gathered from the ClusterRoles that the aggregation rule selects",
		when: func(o *object, _ any) bool { return o.at("aggregationRule") != nil },
	}}
}

// caBundle is the rule for a certificate authority that whoever serves a webhook may inject.
func caBundle(at string) rule {
	return rule{
		at: at, why: "injected, and another one in another cluster",
		unless: notInjected, never: asksForInjection,
	}
}

// asksForInjection recognises the annotations by which cert-manager and OpenShift are asked for a bundle.
func asksForInjection(o *object, _ any) bool {
	annotations, _ := o.at("metadata", "annotations").(map[string]any)
	for _, key := range []string{
		"cert-manager.io/inject-ca-from",
		"cert-manager.io/inject-ca-from-secret",
		"cert-manager.io/inject-apiserver-ca",
		"service.beta.openshift.io/inject-cabundle",
	} {
		if annotations[key] != nil {
			return true
		}
	}
	return false
}
