package manifest

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// Denormalise is what to write so that the API server holds what Git says: Git's content, with everything
// that Normalise takes out of the live object put back where it still fits. It is the counterpart of
// Normalise: for a normalised git and any live object of the resource
//
//	Normalise(Denormalise(git, live)) == git
//	Denormalise(Normalise(live), live) == live
//
// Both objects have to be in the same version of the API; live may be nil, for an object to be created.
// Neither is changed, and nothing is shared with the result.
//
// The result holds the live object's resource version, so a write of it fails where the object has changed
// since. It also holds its managed fields. What Git declares where a server or a controller may write by
// itself, like a nodePort, is entered there for FieldManager, as it would be if the value had changed:
// otherwise a declared value that is also the live one would look like an allocated one. The result has to
// be sent as it is, with FieldManager as the field manager.
func Denormalise(r Resource, git, live map[string]any, s Surroundings) map[string]any {
	out := runtime.DeepCopyJSON(git)
	if len(live) == 0 {
		return out
	}
	rules := rulesOf(r)
	to, from := newObject(r, out, s), newObject(r, live, s)
	for i := len(rules.rules) - 1; i >= 0; i-- {
		rules.rules[i].restore(rules, to, from, out, live, 0, nil)
		if i == rules.server {
			// Now it has the live object's managed fields: they are to tell of Git's content too.
			claim(rules, newObject(r, out, s))
			to = newObject(r, out, s)
		}
	}
	return out
}

// restore puts back what the rule takes out of the live object, for the given maps of both objects that the
// rule's i-th step is in.
func (r *rule) restore(rules *ruleset, out, live *object, into, from map[string]any, i int, managed []string) {
	s := &r.steps[i]
	value, ok := from[s.field]
	if !ok {
		return
	}
	if r.unless != nil {
		managed = append(managed, s.managed)
	}
	switch {
	case s.items:
		if list, ok := value.([]any); ok {
			r.restoreItems(out, live, into, s, list, managed)
		}
	case i == len(r.steps)-1:
		r.restoreValue(out, live, into, s.field, value, managed)
	case s.keys != nil:
		r.restoreBelowItems(rules, out, live, into, value, i, managed)
	default:
		below, ok := value.(map[string]any)
		if !ok {
			return
		}
		target, exists := into[s.field].(map[string]any)
		if _, other := into[s.field]; !exists && (other || !rules.emptied[s.path]) {
			// A parent is made only where Normalise takes it away again when it is left empty.
			return
		}
		if !exists {
			target = map[string]any{}
			into[s.field] = target
		}
		r.restore(rules, out, live, target, below, i+1, managed)
		if !exists && len(target) == 0 {
			delete(into, s.field)
		}
	}
}

// restoreValue puts one value back, provided that Normalise would take it away again.
func (r *rule) restoreValue(out, live *object, into map[string]any, field string, value any, managed []string) {
	if _, declared := into[field]; declared || !r.takes(live, value, managed) {
		return
	}
	if r.fits != nil && !r.fits(out, live, value) {
		return
	}
	if into[field] = runtime.DeepCopyJSONValue(value); !r.takes(out, value, managed) {
		delete(into, field)
	}
}

// restoreItems puts items of a list back: in the live order where Git has the rest as it is live, and behind
// what Git has otherwise.
func (r *rule) restoreItems(out, live *object, into map[string]any, s *step, list []any, managed []string) {
	declared, exists := into[s.field]
	mine, ok := declared.([]any)
	if exists && !ok {
		return
	}
	var theirs, taken []any
	for _, item := range list {
		place := r.itemPlace(managed, item)
		if r.takes(live, item, place) && r.takes(out, item, place) {
			taken = append(taken, item)
		} else if !r.takes(live, item, place) {
			theirs = append(theirs, item)
		}
	}
	if len(taken) == 0 {
		return
	}
	result := list
	if len(theirs)+len(taken) != len(list) || !reflect.DeepEqual(theirs, mine) {
		result = slices.Concat(mine, taken)
	}
	into[s.field] = runtime.DeepCopyJSONValue(result)
}

func (r *rule) restoreBelowItems(rules *ruleset, out, live *object, into map[string]any, value any, i int, managed []string) {
	s := &r.steps[i]
	theirs, _ := value.([]any)
	mine, _ := into[s.field].([]any)
	targets := make(map[string]map[string]any, len(mine))
	for _, item := range mine {
		if fields, ok := item.(map[string]any); ok {
			if key, ok := itemKey(fields, s.keys); ok {
				targets[key] = fields
			}
		}
	}
	for _, item := range theirs {
		fields, ok := item.(map[string]any)
		if !ok {
			continue
		}
		key, ok := itemKey(fields, s.keys)
		if !ok || targets[key] == nil {
			continue
		}
		r.restore(rules, out, live, targets[key], fields, i+1, append(managed, key))
	}
}

// claim enters into the managed fields, for FieldManager, what the object declares where the managed fields
// decide whose a value is and don't say that it is the user's.
func claim(rules *ruleset, o *object) {
	if o.origin == written {
		return
	}
	var claims [][]string
	for i := range rules.rules {
		if r := &rules.rules[i]; r.unless != nil {
			claims = r.claims(o, o.content, 0, nil, claims)
		}
	}
	if len(claims) == 0 {
		return
	}
	set := o.ownFields()
	for _, place := range claims {
		add(set, place)
	}
}

// claims lists the places at which Normalise would take away what is declared.
func (r *rule) claims(o *object, in map[string]any, i int, managed []string, claims [][]string) [][]string {
	s := &r.steps[i]
	value, ok := in[s.field]
	if !ok {
		return claims
	}
	managed = append(managed, s.managed)
	list, _ := value.([]any)
	switch {
	case s.items:
		for _, item := range list {
			if place := append(managed, itemValue(item)); r.takes(o, item, place) {
				claims = append(claims, slices.Clone(place))
			}
		}
	case i == len(r.steps)-1:
		if r.takes(o, value, managed) {
			claims = append(claims, slices.Clone(managed))
		}
	case s.keys != nil:
		for _, item := range list {
			fields, _ := item.(map[string]any)
			if key, ok := itemKey(fields, s.keys); ok {
				claims = r.claims(o, fields, i+1, append(managed, key), claims)
			}
		}
	default:
		if below, ok := value.(map[string]any); ok {
			claims = r.claims(o, below, i+1, managed, claims)
		}
	}
	return claims
}

// ownFields is the set of fields that FieldManager has in the object's managed fields, made where it is
// missing.
func (o *object) ownFields() map[string]any {
	apiVersion, _ := o.content["apiVersion"].(string)
	for _, entry := range o.managers {
		fields, _ := entry.(map[string]any)
		set, ok := fields["fieldsV1"].(map[string]any)
		if ok && fields["manager"] == FieldManager && fields["operation"] == "Update" &&
			fields["apiVersion"] == apiVersion && fields["subresource"] == nil {
			return set
		}
	}
	set := map[string]any{}
	metadata := o.content["metadata"].(map[string]any)
	metadata["managedFields"] = append(slices.Clone(o.managers), map[string]any{
		"apiVersion": apiVersion,
		"fieldsType": "FieldsV1",
		"fieldsV1":   set,
		"manager":    FieldManager,
		"operation":  "Update",
	})
	return set
}

func add(set map[string]any, place []string) {
	for _, element := range place {
		below, ok := set[element].(map[string]any)
		if !ok {
			below = map[string]any{}
			set[element] = below
		}
		set = below
	}
}
