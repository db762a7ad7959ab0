package manifest

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// IgnoreAnnotation, with the value "true", keeps an object out of the sync.
const IgnoreAnnotation = "active-cluster-sync.io/ignore"

// LockPrefix is what the names of the sync's own admission policies begin with.
const LockPrefix = FieldManager + "-lock-"

// Reasons for which objects are left out, as they are counted and shown.
const (
	ReasonUnwatched      = "unwatched-resource"      // WatchResource says no
	ReasonIgnored        = "ignored-by-annotation"   // active-cluster-sync.io/ignore: "true"
	ReasonOwned          = "owned-by-controller"     // made again by its owner
	ReasonKubernetes     = "made-by-kubernetes"      // every cluster has its own
	ReasonPublished      = "published-by-controller" // one copy for each namespace, made by a controller
	ReasonSecret         = "secrets-excluded"        // the policy is to leave Secrets alone
	ReasonSecretKey      = "secrets-without-key"     // they shall be encrypted, and there is no identity
	ReasonResource       = "excluded-resource"       // a person excluded the resource
	ReasonName           = "ignored-by-name"         // a person excluded the name
	ReasonLabels         = "unmatched-labels"        // the label selector doesn't match
	ReasonAccountToken   = "service-account-token"   // valid in this cluster only
	ReasonBootstrapToken = "bootstrap-token"         // valid for a few hours
	ReasonProvisioned    = "dynamically-provisioned" // a volume made for a claim
	ReasonJob            = "jobs-run-once"           // an execution: running it twice hurts
	ReasonFinishedPod    = "finished-pod"            // an execution that is over
	ReasonMirrorPod      = "mirror-pod"              // a machine's own, defined in a file there
	ReasonSync           = "part-of-the-sync"        // its credentials, workers and lock
	ReasonLock           = "leader-election-lock"    // held by a running program
)

// Skip reports whether the object is left out of Git, and why: one of the Reason constants. It is asked
// before Normalise, which takes away what it looks at.
//
// An object that is being deleted stays in Git until it is gone: a finalizer may hold it for long, and its
// absence would be taken for a fact that it isn't yet (I4).
func Skip(r Resource, obj map[string]any, s Selection) (reason string, skip bool) {
	o := newObject(r, obj, Surroundings{})
	switch {
	case !s.Watches(r) && !s.Excludes(r):
		return ReasonUnwatched, true
	case o.controlled():
		return ReasonOwned, true
	case o.at("metadata", "namespace") == OwnNamespace:
		return ReasonSync, true
	}
	if skips, ok := kindSkips[r.String()]; ok {
		reason = skips(o, s)
	}
	if reason == "" {
		reason = s.skips(o)
	}
	return reason, reason != ""
}

// controlled reports whether a controller made the object for another one.
func (o *object) controlled() bool {
	owners, _ := o.at("metadata", "ownerReferences").([]any)
	return slices.ContainsFunc(owners, func(owner any) bool {
		fields, _ := owner.(map[string]any)
		return fields["controller"] == true
	})
}

// kindSkips give the reason for which an object of a resource is left out, or "".
var kindSkips = map[string]func(*object, Selection) string{
	"secrets":                        skipSecret,
	"configmaps":                     skipConfigMap,
	"pods":                           skipPod,
	"jobs.batch":                     func(o *object, s Selection) string { return reasonIf(!s.includes(o.resource), ReasonJob) },
	"namespaces":                     skipNamespace,
	"serviceaccounts":                skipServiceAccount,
	"services":                       func(o *object, _ Selection) string { return reasonIf(o.is("default", "kubernetes"), ReasonKubernetes) },
	"servicecidrs.networking.k8s.io": func(o *object, _ Selection) string { return reasonIf(o.is("", "kubernetes"), ReasonKubernetes) },
	"persistentvolumes": func(o *object, _ Selection) string {
		return reasonIf(o.annotated("pv.kubernetes.io/provisioned-by"), ReasonProvisioned)
	},
	"validatingadmissionpolicies.admissionregistration.k8s.io":       skipLock,
	"validatingadmissionpolicybindings.admissionregistration.k8s.io": skipLock,

	"roles.rbac.authorization.k8s.io":               skipBootstrapRBAC,
	"rolebindings.rbac.authorization.k8s.io":        skipBootstrapRBAC,
	"clusterroles.rbac.authorization.k8s.io":        skipBootstrapRBAC,
	"clusterrolebindings.rbac.authorization.k8s.io": skipBootstrapRBAC,
	"apiservices.apiregistration.k8s.io": func(o *object, _ Selection) string {
		return reasonIf(o.labelled("kube-aggregator.kubernetes.io/automanaged"), ReasonKubernetes)
	},
	"flowschemas.flowcontrol.apiserver.k8s.io":                 skipAutoupdated,
	"prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": skipAutoupdated,
	"priorityclasses.scheduling.k8s.io": func(o *object, _ Selection) string {
		// The prefix is reserved: nobody else may create such a class.
		return reasonIf(strings.HasPrefix(o.name(), "system-"), ReasonKubernetes)
	},
	"clustertrustbundles.certificates.k8s.io": func(o *object, _ Selection) string {
		signer, _ := o.at("spec", "signerName").(string)
		return reasonIf(strings.HasPrefix(signer, "kubernetes.io/"), ReasonKubernetes)
	},
}

func reasonIf(condition bool, reason string) string {
	if condition {
		return reason
	}
	return ""
}

func skipSecret(o *object, s Selection) string {
	switch o.content["type"] {
	case "kubernetes.io/service-account-token":
		return ReasonAccountToken
	case "bootstrap.kubernetes.io/token":
		return ReasonBootstrapToken
	}
	switch s.Secrets {
	case SecretsTakePart:
		return ""
	case SecretsUnreadable:
		return ReasonSecretKey
	}
	return ReasonSecret
}

func skipConfigMap(o *object, _ Selection) string {
	switch o.name() {
	case "kube-root-ca.crt":
		return ReasonKubernetes
	case "openshift-service-ca.crt", "istio-ca-root-cert":
		return ReasonPublished
	}
	switch {
	case o.is("kube-public", "cluster-info"),
		o.is("kube-system", "extension-apiserver-authentication"),
		o.is("kube-system", "kube-apiserver-legacy-service-account-token-tracking"):
		return ReasonKubernetes
	case o.annotated(leaderElection) && isEmpty(o.content["data"]) && isEmpty(o.content["binaryData"]):
		return ReasonLock
	}
	return ""
}

func skipPod(o *object, _ Selection) string {
	switch phase := o.at("status", "phase"); {
	case o.annotated("kubernetes.io/config.mirror"):
		return ReasonMirrorPod
	case phase == "Succeeded", phase == "Failed":
		return ReasonFinishedPod
	}
	return ""
}

func skipNamespace(o *object, _ Selection) string {
	switch o.name() {
	case "default", "kube-system", "kube-public", "kube-node-lease":
		return reasonIf(o.untouched(), ReasonKubernetes)
	}
	return ""
}

// skipServiceAccount leaves out the account that each namespace has, unless a person gave it something.
func skipServiceAccount(o *object, _ Selection) string {
	return reasonIf(o.name() == "default" && o.untouched(), ReasonKubernetes)
}

func skipLock(o *object, _ Selection) string {
	return reasonIf(strings.HasPrefix(o.name(), LockPrefix), ReasonSync)
}

func skipBootstrapRBAC(o *object, _ Selection) string {
	return reasonIf(o.labelled("kubernetes.io/bootstrapping"), ReasonKubernetes)
}

// skipAutoupdated leaves out what the API server resets to its own defaults. Who wants another content sets
// the annotation to "false", and then it is theirs.
func skipAutoupdated(o *object, _ Selection) string {
	return reasonIf(o.at("metadata", "annotations", "apf.kubernetes.io/autoupdate-spec") == "true", ReasonKubernetes)
}

// untouched reports whether nothing but the identity is left of the object when what isn't a person's is
// taken away.
func (o *object) untouched() bool {
	rest := runtime.DeepCopyJSON(o.content)
	Normalise(o.resource, rest, o.surroundings)
	metadata, _ := rest["metadata"].(map[string]any)
	return onlyHas(rest, "apiVersion", "kind", "metadata") && onlyHas(metadata, "name", "namespace")
}

func onlyHas(fields map[string]any, known ...string) bool {
	for field := range fields {
		if !slices.Contains(known, field) {
			return false
		}
	}
	return true
}

func (o *object) name() string {
	name, _ := o.at("metadata", "name").(string)
	return name
}

func (o *object) is(namespace, name string) bool {
	actual, _ := o.at("metadata", "namespace").(string)
	return actual == namespace && o.name() == name
}

func (o *object) annotated(key string) bool {
	return o.at("metadata", "annotations", key) != nil
}

func (o *object) labelled(key string) bool {
	return o.at("metadata", "labels", key) != nil
}

// ScaleTargets is what a HorizontalPodAutoscaler sets the number of replicas of; nothing for other objects.
// It is asked of those too that Skip leaves out, like the ones that KEDA makes.
func ScaleTargets(obj map[string]any) []ID {
	id := IDOf(obj)
	if id.Group != "autoscaling" || id.Kind != "HorizontalPodAutoscaler" {
		return nil
	}
	spec, _ := obj["spec"].(map[string]any)
	ref, _ := spec["scaleTargetRef"].(map[string]any)
	apiVersion, _ := ref["apiVersion"].(string)
	kind, _ := ref["kind"].(string)
	name, _ := ref["name"].(string)
	if kind == "" || name == "" {
		return nil
	}
	return []ID{{Group: groupOf(apiVersion), Kind: kind, Namespace: id.Namespace, Name: name}}
}

// groupOf is the group of an apiVersion, "" for the core group.
func groupOf(apiVersion string) string {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return group
}
