package manifest

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// Adopt is what is wanted together with what controllers have added to the live object where it isn't
// declared: a load balancer's annotation, a label of an operator. The managed fields of the live object tell
// who added what. What a person added, or the sync itself when Git still declared it, isn't taken over, nor
// is what nobody owns: the API server fills that in again. A declared value always stays as it is.
//
// What several have put together is decided field by field. Where a controller shares a field with a person
// it stays. Neither object is changed, and nothing of the live one is shared with the result.
func Adopt(wanted, live map[string]any) map[string]any {
	o := newObject(Resource{}, live, Surroundings{})
	theirs := fieldsOf(o.managers, addsForGood)
	// The rest of the metadata and the status have rules of their own.
	for element := range theirs.below {
		if element == "f:apiVersion" || element == "f:kind" || element == "f:status" {
			delete(theirs.below, element)
		}
	}
	if metadata := theirs.at("f:metadata"); metadata != nil {
		maps.DeleteFunc(metadata.below, func(element string, _ *fieldset) bool {
			return element != "f:annotations" && element != "f:labels"
		})
	}
	if !theirs.splits() {
		return wanted
	}
	others := fieldsOf(o.managers, func(manager string) bool { return !addsForGood(manager) })
	return adoptFields(wanted, live, theirs, others)
}

// adopt goes on below what both objects have.
func adopt(wanted, live any, theirs, others *fieldset) any {
	if !theirs.splits() {
		return wanted
	}
	switch w := wanted.(type) {
	case map[string]any:
		if l, ok := live.(map[string]any); ok {
			return adoptFields(w, l, theirs, others)
		}
	case []any:
		if l, ok := live.([]any); ok {
			return adoptItems(w, l, theirs, others)
		}
	}
	return wanted
}

func adoptFields(wanted, live map[string]any, theirs, others *fieldset) map[string]any {
	out := maps.Clone(wanted)
	for field, value := range live {
		element := "f:" + field
		if theirs.at(element) == nil {
			continue
		}
		if declared, ok := wanted[field]; ok {
			out[field] = adopt(declared, value, theirs.at(element), others.at(element))
		} else if left, owned := added(value, theirs.at(element), others.at(element)); owned {
			out[field] = runtime.DeepCopyJSONValue(left)
		}
	}
	return out
}

// adoptItems keeps the order of the live list where the declared items have it too, so that nothing differs
// when nothing is to be written, and puts additions last otherwise.
func adoptItems(wanted, live []any, theirs, others *fieldset) []any {
	keys := theirs.itemKeys()
	declared := map[string]int{}
	for i, item := range wanted {
		if element := itemElement(item, keys); element != "" {
			declared[element] = i
		}
	}
	const first = -1
	out := slices.Clone(wanted)
	additions := map[int][]any{} // by the declared item that they stand behind
	last, ordered := first, true
	for _, item := range live {
		element := itemElement(item, keys)
		if i, ok := declared[element]; ok {
			out[i] = adopt(wanted[i], item, theirs.at(element), others.at(element))
			ordered = ordered && i >= last
			last = i
		} else if left, owned := addedItem(item, keys, theirs.at(element), others.at(element)); owned {
			additions[last] = append(additions[last], runtime.DeepCopyJSONValue(left))
		}
	}
	var behind []any
	result := make([]any, 0, len(live))
	for i := first; i < len(out); i++ {
		if i > first {
			result = append(result, out[i])
		}
		if ordered {
			result = append(result, additions[i]...)
		} else {
			behind = append(behind, additions[i]...)
		}
	}
	return append(result, behind...)
}

// added is what is left of something that isn't declared when what people added to it is taken away. It is
// owned when controllers have a part in it.
func added(value any, theirs, others *fieldset) (left any, owned bool) {
	if !theirs.splits() && !others.splits() {
		return value, theirs.has()
	}
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for field, below := range v {
			left, part := added(below, theirs.at("f:"+field), others.at("f:"+field))
			if part || !goes(below, left, others.at("f:"+field)) {
				out[field] = left
			}
			owned = owned || part
		}
		return out, owned || theirs.has() && len(v) == 0
	case []any:
		keys := theirs.itemKeys()
		if keys == nil {
			keys = others.itemKeys()
		}
		out := make([]any, 0, len(v))
		for _, item := range v {
			element := itemElement(item, keys)
			left, part := addedItem(item, keys, theirs.at(element), others.at(element))
			if part || !goes(item, left, others.at(element)) {
				out = append(out, left)
			}
			owned = owned || part
		}
		return out, owned || theirs.has() && len(v) == 0
	}
	return value, theirs.has()
}

// addedItem is added for an item of a list, which keeps what tells it apart whoever owns that.
func addedItem(item any, keys []string, theirs, others *fieldset) (left any, owned bool) {
	left, owned = added(item, theirs, others)
	fields, ok := left.(map[string]any)
	if !owned || !ok {
		return left, owned
	}
	out := maps.Clone(fields)
	for _, key := range keys {
		if value, ok := item.(map[string]any)[key]; ok {
			out[key] = value
		}
	}
	return out, owned
}

// goes reports whether a part of an addition in which no controller has a share is taken away: because people
// own it, or all that was in it. What nobody owns came along with the addition and stays.
func goes(value, left any, others *fieldset) bool {
	return others.has() || isEmpty(left) && !isEmpty(value)
}
