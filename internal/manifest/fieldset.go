package manifest

import (
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// fieldset is a set of places in an object, as managed fields write them (KEP-555). Nil is the empty one.
type fieldset struct {
	// itself: the place that the set is below belongs to it too. Without anything below, that means all of
	// what stands there.
	itself bool
	below  map[string]*fieldset
}

// fieldsOf is what the managers of a kind own of an object together.
func fieldsOf(managers []any, is func(manager string) bool) *fieldset {
	set := &fieldset{}
	for _, entry := range managers {
		fields, _ := entry.(map[string]any)
		if manager, _ := fields["manager"].(string); is(manager) {
			set.add(managedBy(entry))
		}
	}
	return set
}

func (f *fieldset) add(fields map[string]any) {
	if len(fields) == 0 {
		f.itself = true
	}
	for element, below := range fields {
		if element == "." {
			f.itself = true
			continue
		}
		if f.below[element] == nil {
			if f.below == nil {
				f.below = map[string]*fieldset{}
			}
			f.below[element] = &fieldset{}
		}
		fields, _ := below.(map[string]any)
		f.below[element].add(fields)
	}
}

// at is what the set holds below a field or an item.
func (f *fieldset) at(element string) *fieldset {
	if f == nil {
		return nil
	}
	return f.below[element]
}

func (f *fieldset) has() bool { return f != nil && f.itself }

// splits: the set tells single fields or items of what stands here apart.
func (f *fieldset) splits() bool { return f != nil && len(f.below) > 0 }

// itemKeys are the fields that tell the items of the list here apart; none for a list of single values.
func (f *fieldset) itemKeys() []string {
	if f == nil {
		return nil
	}
	for _, element := range slices.Sorted(maps.Keys(f.below)) {
		if !strings.HasPrefix(element, "k:") {
			continue
		}
		parsed, err := fieldpath.DeserializePathElement(element)
		if err != nil || parsed.Key == nil {
			continue
		}
		var keys []string
		for _, field := range *parsed.Key {
			keys = append(keys, field.Name)
		}
		return keys
	}
	return nil
}

// itemElement is how managed fields write an item of a list whose items these keys tell apart; "" for what
// they don't tell apart.
func itemElement(item any, keys []string) string {
	fields, ok := item.(map[string]any)
	if !ok {
		return itemValue(item)
	}
	if len(keys) == 0 {
		return ""
	}
	element, _ := itemKey(fields, keys)
	return element
}
