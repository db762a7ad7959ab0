package manifest

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Selection is what a user chose to have in the sync. The zero value is everything that the rules don't leave
// out, without Secrets.
type Selection struct {
	// Include are resources that take part although the rules leave them out, "jobs.batch"; Exclude those
	// that don't take part. "*.cert-manager.io" is all of a group.
	Include, Exclude []string
	// IgnoreNames are patterns of names, "istio-*", or of the names of one resource, "configmaps/istio-*".
	IgnoreNames []string
	// Labels has to match those of an object; nil matches all.
	Labels labels.Selector
	// IgnoreFields are fields that don't take part: they are in no tree, and the cluster keeps its own values.
	IgnoreFields []IgnoredField
	// Secrets says whether Secrets take part.
	Secrets SecretsSelection
}

// IgnoredField is a field of all objects of a resource that doesn't take part.
type IgnoredField struct {
	Resource string   // "deployments.apps"
	Path     []string // ["spec", "replicas"]
}

// SecretsSelection says whether Secrets take part.
type SecretsSelection int

const (
	// SecretsLeftOut by choice.
	SecretsLeftOut SecretsSelection = iota
	// SecretsUnreadable: they should be encrypted, and there is no identity for it.
	SecretsUnreadable
	// SecretsTakePart in the sync.
	SecretsTakePart
)

// Chosen reports whether a reason for which Skip leaves an object out is a person's choice. What such an
// object has in Git stays as it is: that it isn't looked at any more doesn't mean that it is gone (I4).
func Chosen(reason string) bool {
	switch reason {
	case ReasonIgnored, ReasonResource, ReasonName, ReasonLabels, ReasonSecret, ReasonSecretKey:
		return true
	}
	return false
}

// Watches reports whether the objects of a resource are looked at.
func (s Selection) Watches(r Resource) bool {
	return !s.Excludes(r) && (WatchResource(r) || s.includes(r))
}

// WatchesGroup reports whether any resource of a group may be looked at. If none is, it doesn't matter
// whether the group's server is up; those of the metrics APIs often are not.
func (s Selection) WatchesGroup(group string) bool {
	included := slices.ContainsFunc(s.Include, func(entry string) bool {
		_, of, _ := strings.Cut(entry, ".")
		return of == group
	})
	return included || !slices.Contains(s.Exclude, "*."+group) && WatchResource(Resource{Group: group})
}

// Excludes reports whether a person excluded the resource.
func (s Selection) Excludes(r Resource) bool { return listsResource(s.Exclude, r) }

func (s Selection) includes(r Resource) bool { return listsResource(s.Include, r) }

func listsResource(list []string, r Resource) bool {
	return slices.ContainsFunc(list, func(entry string) bool { return matchesResource(entry, r) })
}

func matchesResource(entry string, r Resource) bool {
	name, group, _ := strings.Cut(entry, ".")
	return group == r.Group && (name == r.Name || name == "*")
}

// skips gives the reason for which a person's choice leaves an object out, or "".
func (s Selection) skips(o *object) string {
	switch {
	case s.Excludes(o.resource):
		return ReasonResource
	case o.at("metadata", "annotations", IgnoreAnnotation) == "true":
		return ReasonIgnored
	case slices.ContainsFunc(s.IgnoreNames, func(pattern string) bool { return matchesName(pattern, o.resource, o.name()) }):
		return ReasonName
	case s.Labels != nil && !s.Labels.Matches(labelsOf(o)):
		return ReasonLabels
	}
	return ""
}

func matchesName(pattern string, r Resource, name string) bool {
	if resource, rest, ok := strings.Cut(pattern, "/"); ok {
		if !listsResource([]string{resource}, r) {
			return false
		}
		pattern = rest
	}
	matched, _ := path.Match(pattern, name) // a bad pattern is refused where it is given
	return matched
}

func labelsOf(o *object) labels.Set {
	set := labels.Set{}
	fields, _ := o.at("metadata", "labels").(map[string]any)
	for key, value := range fields {
		set[key], _ = value.(string)
	}
	return set
}

// ValidateResource checks an entry of Include or Exclude.
func ValidateResource(entry string) error {
	name, group, grouped := strings.Cut(entry, ".")
	wildcard := name == "*" && grouped
	if !wildcard && len(validation.IsDNS1035Label(name)) > 0 || grouped && len(validation.IsDNS1123Subdomain(group)) > 0 {
		return fmt.Errorf("%q is not a resource: write the plural and the group, like jobs.batch, configmaps, or *.cert-manager.io for a whole group", entry)
	}
	return nil
}

// ValidateNamePattern checks an entry of IgnoreNames.
func ValidateNamePattern(pattern string) error {
	rest := pattern
	if resource, names, ok := strings.Cut(pattern, "/"); ok {
		if err := ValidateResource(resource); err != nil {
			return err
		}
		rest = names
	}
	if _, err := path.Match(rest, ""); err != nil || rest == "" || strings.Contains(rest, "/") {
		return fmt.Errorf("%q is not a pattern of names: write it like istio-*, or configmaps/istio-* for one resource; * stands for any text, ? for one character", pattern)
	}
	return nil
}

// ParseIgnoredField reads a resource and a JSON pointer (RFC 6901): "deployments.apps:/spec/replicas".
func ParseIgnoredField(text string) (IgnoredField, error) {
	resource, pointer, _ := strings.Cut(text, ":")
	steps, found := strings.CutPrefix(pointer, "/")
	if !found || steps == "" {
		return IgnoredField{}, fmt.Errorf("%q is not a field: write a resource and a JSON pointer, like deployments.apps:/spec/replicas", text)
	}
	if err := ValidateResource(resource); err != nil {
		return IgnoredField{}, err
	}
	field := IgnoredField{Resource: resource}
	for step := range strings.SplitSeq(steps, "/") {
		if step == "" || badEscape.MatchString(step) {
			return IgnoredField{}, fmt.Errorf("%q is not a field: between two / stands a name or the number of an item, in which ~1 is written for / and ~0 for ~", text)
		}
		field.Path = append(field.Path, pointerSteps.Replace(step))
	}
	if field.identifies() {
		return IgnoredField{}, fmt.Errorf("%q can't be ignored: it says which object it is", text)
	}
	return field, nil
}

// Escapes of a JSON pointer.
var (
	pointerSteps   = strings.NewReplacer("~1", "/", "~0", "~")
	pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
	badEscape      = regexp.MustCompile(`~([^01]|$)`)
)

func (f IgnoredField) identifies() bool {
	switch f.Path[0] {
	case "apiVersion", "kind":
		return true
	case "metadata":
		return len(f.Path) == 1 || len(f.Path) == 2 && (f.Path[1] == "name" || f.Path[1] == "namespace")
	}
	return false
}

// ParseLabels reads a label selector as kubectl takes it; nil for the empty one, which matches all.
func ParseLabels(selector string) (labels.Selector, error) {
	if selector == "" {
		return nil, nil
	}
	parsed, err := labels.Parse(selector)
	if err != nil {
		return nil, errors.New("the label selector can't be read: write it as for kubectl, like 'team=shop,tier!=test'")
	}
	return parsed, nil
}
