package manifest

import (
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// object is what the rules look at.
type object struct {
	resource     Resource
	content      map[string]any
	surroundings Surroundings
	origin       origin
	// managers are the entries of metadata.managedFields.
	managers []any
}

// origin is how much is known about who wrote what in an object.
type origin int

const (
	// written: a person wrote the file. What it declares is the user's.
	written origin = iota
	// tracked: the server's, with managed fields.
	tracked
	// untracked: once the server's, like the output of kubectl get, without managed fields. Whatever the
	// server may have allocated is in doubt.
	untracked
)

func newObject(r Resource, content map[string]any, s Surroundings) *object {
	o := &object{resource: r, content: content, surroundings: s}
	metadata, _ := content["metadata"].(map[string]any)
	o.managers, _ = metadata["managedFields"].([]any)
	switch {
	case len(o.managers) > 0:
		o.origin = tracked
	case metadata["uid"] != nil || metadata["resourceVersion"] != nil:
		o.origin = untracked
	}
	return o
}

// at returns what stands at a path of field names, nil where there is nothing.
func (o *object) at(path ...string) any {
	var value any = o.content
	for _, field := range path {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = fields[field]
	}
	return value
}

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

// itemKey is what tells an item of a list apart, as managed fields write it: k:{"port":80,"protocol":"TCP"}.
// It is false for what isn't an item with these keys.
func itemKey(item map[string]any, keys []string) (string, bool) {
	fields := make(value.FieldList, 0, len(keys))
	for _, key := range keys {
		v, ok := scalarAt(item, key)
		if !ok {
			return "", false
		}
		fields = append(fields, value.Field{Name: key, Value: value.NewValueInterface(v)})
	}
	fields.Sort()
	s, err := fieldpath.SerializePathElement(fieldpath.PathElement{Key: &fields})
	return s, err == nil
}

func scalarAt(item map[string]any, path string) (any, bool) {
	field, rest, deeper := strings.Cut(path, ".")
	if deeper {
		below, ok := item[field].(map[string]any)
		if !ok {
			return nil, false
		}
		return scalarAt(below, rest)
	}
	switch v := item[field].(type) {
	case string, int64:
		return v, true
	case nil:
		// The one key of a list that the API defaults.
		return "TCP", field == "protocol"
	}
	return nil, false
}

// itemValue is a scalar item of a list as managed fields write it: v:"example.com/mine".
func itemValue(item any) string {
	text, ok := item.(string)
	if !ok {
		return ""
	}
	v := value.NewValueInterface(text)
	s, err := fieldpath.SerializePathElement(fieldpath.PathElement{Value: &v})
	if err != nil {
		return ""
	}
	return s
}
