package kube

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Lock is what the lock on a cluster is made of: a ValidatingAdmissionPolicy and its binding, which have the
// API server refuse people's edits and deletions of synced objects.
type Lock struct {
	// Cluster is the name of the enrolment: two enrolments of one cluster have a lock each.
	Cluster string
	// Repository, Branch and Path are where a person has to change things instead.
	Repository, Branch, Path string
	// BreakGlassGroup is let through.
	BreakGlassGroup string
	// Namespaces are those in which nothing is locked, one at least.
	Namespaces []string
	// Excluded are resources that don't take part in the sync, as in manifest.Selection.
	Excluded []string
}

// LockName is the name of both objects of an enrolment's lock.
func LockName(cluster string) string { return manifest.LockPrefix + cluster }

// The policy has to tell synced objects by what the API server shows it of a request. Which ones Git declares
// isn't among that, and a mark on each object would be something in the cluster that Git doesn't have. What
// there is are the managed fields of the object as it is stored: the sync writes under a name of its own, so an
// object that it has ever written says so, for as long as the sync's value of any field is in it. People can't
// take that off, because doing so is an edit. Objects that people or controllers made for themselves lack it,
// and stay theirs.
//
// An object that was as Git says before the sync came to it was never written, and isn't locked. Edits of it get
// through and are set back, and the first time that a value is set back, or the object made again, locks it.
//
// Requests to the subresource "scale" show a Scale and not the object, without managed fields. There the policy
// refuses all, also for objects that aren't synced: who may edit these can set spec.replicas in them.
//
// Whatever goes wrong in evaluating the policy lets the request pass: drift is set back anyway, and a cluster
// that refuses writes by mistake would be worse.

// policy is the first of the two objects, for a sync that acts as this user. Every field that the API server
// would fill in is set, so that the live object can be compared with it.
func (l Lock) policy(user string) *admissionv1.ValidatingAdmissionPolicy {
	ignore, forbidden := admissionv1.Ignore, metav1.StatusReasonForbidden
	return &admissionv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: lockVersion, Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: l.meta(),
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy:    &ignore,
			MatchConstraints: l.matches(),
			MatchConditions: []admissionv1.MatchCondition{
				// A preview, like that of starter diff or kubectl diff, changes nothing.
				{Name: "not-a-dry-run", Expression: "!(has(request.dryRun) && request.dryRun)"},
				{Name: "by-a-person", Expression: byPerson(user)},
				{Name: "not-by-break-glass", Expression: fmt.Sprintf("!(has(request.userInfo.groups) && %s in request.userInfo.groups)", literal(l.BreakGlassGroup))},
				{Name: "synced", Expression: synced},
			},
			Validations: []admissionv1.Validation{{Expression: "false", Message: l.message(), Reason: &forbidden}},
		},
	}
}

// binding is the second one. It puts the policy into force.
func (l Lock) binding() *admissionv1.ValidatingAdmissionPolicyBinding {
	return &admissionv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: lockVersion, Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: l.meta(),
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        LockName(l.Cluster),
			ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
}

const lockVersion = "admissionregistration.k8s.io/v1"

// meta: the lock belongs to this cluster alone, so it takes no part in any sync.
func (l Lock) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:        LockName(l.Cluster),
		Labels:      map[string]string{managedBy: manifest.FieldManager},
		Annotations: map[string]string{manifest.IgnoreAnnotation: "true"},
	}
}

// lockedSubresources change what a person declares. "*" doesn't cover subresources; status is the controllers'.
var lockedSubresources = []string{"scale", "ephemeralcontainers", "resize"}

func (l Lock) matches() *admissionv1.MatchResources {
	equivalent := admissionv1.Equivalent
	match := &admissionv1.MatchResources{
		MatchPolicy: &equivalent,
		// It is asked of what is in a namespace, and of the namespace itself. The leases of nodes, which are most
		// of what an idle cluster writes, are sorted out by it before any expression is evaluated.
		NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: l.Namespaces},
		}},
		ObjectSelector: &metav1.LabelSelector{},
		ResourceRules:  []admissionv1.NamedRuleWithOperations{edits("*", "*")},
	}
	for _, excluded := range slices.Sorted(slices.Values(l.Excluded)) {
		resource, group, _ := strings.Cut(excluded, ".")
		match.ExcludeResourceRules = append(match.ExcludeResourceRules, edits(group, resource))
	}
	return match
}

// edits are all requests that change or delete an existing object of a resource.
func edits(group, resource string) admissionv1.NamedRuleWithOperations {
	all := admissionv1.AllScopes
	resources := []string{resource}
	for _, subresource := range lockedSubresources {
		resources = append(resources, resource+"/"+subresource)
	}
	return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Update, admissionv1.Delete},
		Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: resources, Scope: &all},
	}}
}

// byPerson lets the sync itself through, the components of Kubernetes (system:kube-controller-manager,
// system:node:…) and service accounts (system:serviceaccount:…). The names that begin like theirs and are used
// by people are refused.
func byPerson(user string) string {
	return fmt.Sprintf("request.userInfo.username != %s && (!request.userInfo.username.startsWith(%s) || request.userInfo.username in %s)",
		literal(user), literal(systemPrefix), literal(systemPeople))
}

const systemPrefix = "system:"

// systemPeople: the first is the administrator of some distributions, the second is anybody.
var systemPeople = []string{"system:admin", "system:anonymous"}

// isPerson reports whether the lock would take a user for a person if the sync didn't act as this user. One that
// is called as the sync is is its own.
func isPerson(user string) bool {
	return user != manifest.FieldManager && (!strings.HasPrefix(user, systemPrefix) || slices.Contains(systemPeople, user))
}

var synced = fmt.Sprintf(`has(request.subResource) && request.subResource == "scale" || oldObject != null && `+
	`has(oldObject.metadata.managedFields) && oldObject.metadata.managedFields.exists(f, has(f.manager) && f.manager == %s) && `+
	`!(has(oldObject.metadata.annotations) && %[2]s in oldObject.metadata.annotations && oldObject.metadata.annotations[%[2]s] == "true")`,
	literal(manifest.FieldManager), literal(manifest.IgnoreAnnotation))

// message tells a person what to do.
func (l Lock) message() string {
	text := fmt.Sprintf("cluster %s follows Git: make this change in %s (branch %s, path %s); in an emergency pause the sync (starter pause %[1]s) and act as a member of group %[5]q",
		l.Cluster, withoutUser(l.Repository), l.Branch, l.Path, l.BreakGlassGroup)
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// withoutUser is an address without credentials, should somebody have put any in.
func withoutUser(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "its repository"
	}
	parsed.User = nil
	return parsed.String()
}

// literal writes a string or a list of them as CEL does, whose escapes are those of JSON.
func literal(value any) string {
	text, _ := json.Marshal(value) // strings always can be
	return string(text)
}
