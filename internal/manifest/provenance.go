package manifest

import (
	"slices"
	"strings"
)

// A keeper tells by managed fields whether the value at a place is the user's.
type keeper func(o *object, place []string) bool

// setByAnyone keeps what any client sent: for values that the server allocates while it stores the object,
// after it has noted who sent what.
func setByAnyone(o *object, place []string) bool {
	return o.origin == written || o.origin == tracked && o.anyManager(place, func(string) bool { return true })
}

// setByPerson keeps what came through a tool that people work with: for values that controllers write in
// the same way as people do.
func setByPerson(o *object, place []string) bool {
	return o.origin == written || o.origin == tracked && o.anyManager(place, isPerson)
}

// notInjected keeps a value unless it was put by one manager beside what another one wrote, who is then
// not a person. Where that can't be told the value stays.
func notInjected(o *object, place []string) bool {
	if o.origin != tracked || o.anyManager(place, isPerson) {
		return true
	}
	beside := place[:len(place)-1]
	injected := false
	for _, entry := range o.managers {
		fields := managedBy(entry)
		if !owns(fields, place) {
			continue
		}
		injected = true
		if owns(fields, slices.Concat(beside, []string{"f:service"})) || owns(fields, slices.Concat(beside, []string{"f:url"})) {
			return true
		}
	}
	return !injected
}

// anyManager reports whether a manager of that kind owns the place.
func (o *object) anyManager(place []string, is func(manager string) bool) bool {
	for _, entry := range o.managers {
		fields, _ := entry.(map[string]any)
		manager, _ := fields["manager"].(string)
		if is(manager) && owns(managedBy(entry), place) {
			return true
		}
	}
	return false
}

func managedBy(entry any) map[string]any {
	fields, _ := entry.(map[string]any)
	set, _ := fields["fieldsV1"].(map[string]any)
	return set
}

// owns reports whether a set in the form FieldsV1 (KEP-555) holds the place. One that holds only what the
// place is in, a list without its items, doesn't: a manager may be left with that when others took over.
func owns(set map[string]any, place []string) bool {
	for _, element := range place {
		below, ok := set[element].(map[string]any)
		if !ok {
			return false
		}
		set = below
	}
	return true
}

// people are the managers that stand for a person: interactive clients, and tools that write what is in a
// person's files. A program that isn't known counts as a controller.
var (
	people = map[string]bool{
		FieldManager: true, "helm": true, "helm-controller": true, "kustomize-controller": true, "flux": true,
		"flux-client-side-apply": true, "oc": true, "k9s": true, "lens": true, "openlens": true,
		"freelens": true, "headlamp": true, "dashboard": true, "mozilla": true, "curl": true, "kapp": true,
		"kubecfg": true, "tk": true, "hashicorp": true, "werf": true,
	}
	peoplePrefixes = []string{"kubectl", "argocd", "terraform", "pulumi"}
)

func isPerson(manager string) bool {
	manager = strings.ToLower(manager)
	if people[manager] {
		return true
	}
	for _, prefix := range peoplePrefixes {
		if strings.HasPrefix(manager, prefix) {
			return true
		}
	}
	return false
}
