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
	put := restoration{rules: rules, out: newObject(r, out, s), live: newObject(r, live, s)}
	for i := len(rules.rules) - 1; i >= 0; i-- {
		put.rule = &rules.rules[i]
		put.restore(out, live, 0, nil)
		if i == rules.server {
			// Now it has the live object's managed fields: they are to tell of Git's content too.
			claim(rules, newObject(r, out, s))
			put.out = newObject(r, out, s)
		}
	}
	return out
}

// restoration puts back what one rule takes out.
type restoration struct {
	*rule
	rules *ruleset
	// out is what is going to be written, live is what is there.
	out, live *object
}

// restore puts back what the rule takes out of the map from, into its counterpart. The rule's i-th step is
// in these maps; their place is given as managed fields write it, for the rules that need it.
func (r restoration) restore(into, from map[string]any, i int, managed []string) {
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
		r.restoreItems(into, s, value, managed)
	case i == len(r.steps)-1:
		r.restoreValue(into, s.field, value, managed)
	case s.keys != nil:
		r.restoreBelowItems(into, value, i, managed)
	default:
		r.restoreBelow(into, value, i, managed)
	}
}

// restoreValue puts one value back, provided that Normalise would take it away again.
func (r restoration) restoreValue(into map[string]any, field string, value any, managed []string) {
	if _, declared := into[field]; declared || !r.takes(r.live, value, managed) {
		return
	}
	if r.fits != nil && !r.fits(r.out, r.live, into, value) {
		return
	}
	if into[field] = runtime.DeepCopyJSONValue(value); !r.takes(r.out, value, managed) {
		delete(into, field)
	}
}

// restoreItems puts items of a list back: in the live order where Git has the rest as it is live, and behind
// what Git has otherwise.
func (r restoration) restoreItems(into map[string]any, s *step, value any, managed []string) {
	list, _ := value.([]any)
	declared, exists := into[s.field]
	mine, ok := declared.([]any)
	if exists && !ok {
		return
	}
	var theirs, taken []any
	for _, item := range list {
		place := r.itemPlace(managed, item)
		if !r.takes(r.live, item, place) {
			theirs = append(theirs, item)
		} else if r.takes(r.out, item, place) {
			taken = append(taken, item)
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

// restoreBelow goes on in a map. It is made only where Normalise takes it away again when it is left empty.
func (r restoration) restoreBelow(into map[string]any, value any, i int, managed []string) {
	s := &r.steps[i]
	from, ok := value.(map[string]any)
	if !ok {
		return
	}
	declared, exists := into[s.field]
	target, ok := declared.(map[string]any)
	if exists && !ok || !exists && !r.rules.emptied[s.path] {
		return
	}
	if exists {
		r.restore(target, from, i+1, managed)
		return
	}
	target = map[string]any{}
	into[s.field] = target // Conditions of rules look for it there.
	if r.restore(target, from, i+1, managed); len(target) == 0 {
		delete(into, s.field)
	}
}

// restoreBelowItems goes on in those items of a list that both objects have.
func (r restoration) restoreBelowItems(into map[string]any, value any, i int, managed []string) {
	s := &r.steps[i]
	mine, _ := into[s.field].([]any)
	targets := make(map[string]map[string]any, len(mine))
	for _, item := range mine {
		fields, _ := item.(map[string]any)
		if key, ok := itemKey(fields, s.keys); ok {
			targets[key] = fields
		}
	}
	theirs, _ := value.([]any)
	for _, item := range theirs {
		fields, _ := item.(map[string]any)
		if key, ok := itemKey(fields, s.keys); ok && targets[key] != nil {
			r.restore(targets[key], fields, i+1, append(managed, key))
		}
	}
}
