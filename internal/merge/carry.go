package merge

import (
	"fmt"
	"maps"
	"slices"
)

// Carry makes in doc the changes that lead from one complete object to another, all three in one version of
// the API. doc may be partial: it says only what a person wrote, and the API server fills in the rest. Only
// fields that differ between from and to are touched in doc; what is equal there doesn't get into doc.
//
// An item of a list with keys that doc lacks, and in which something changed, is put in as a whole, as it is in
// to: half an item would be none that the API server takes. An item that to lacks is removed in doc. An atomic
// list or map that changed is taken from to. doc's order of items stays, unless what changed is the order.
//
// No argument is changed, and nothing is shared with the result. An error is an argument that is no plain
// object.
func Carry(t Type, doc, from, to map[string]any) (map[string]any, error) {
	carried, err := object(carry(t, doc, from, to))
	if err != nil {
		return nil, fmt.Errorf("carry changes over: %w", err)
	}
	return carried, nil
}

// carry does so for what stands at one place; none where nothing does.
func carry(t Type, doc, from, to any) any {
	if same(from, to) {
		return doc
	}
	if before, after, ok := both[map[string]any](from, to); ok && t.separable() {
		if written, ok := writtenAs[map[string]any](doc); ok {
			return orNothing(carryFields(t, written, before, after), doc)
		}
	}
	if before, after, ok := t.both(from, to); ok {
		if list, ok := writtenAs[[]any](doc); ok {
			if written, ok := t.items(list); ok {
				return orNothing(carryItems(t, written, before, after), doc)
			}
		}
	}
	return to
}

// both: the values are of the same type.
func both[T any](from, to any) (before, after T, ok bool) {
	before, ok = from.(T)
	if ok {
		after, ok = to.(T)
	}
	return before, after, ok
}

// both: the values are lists whose items are told apart.
func (t Type) both(from, to any) (before, after items, ok bool) {
	before, ok = t.items(from)
	if ok {
		after, ok = t.items(to)
	}
	return before, after, ok
}

// writtenAs is what a person wrote, which may be nothing.
func writtenAs[T any](doc any) (written T, ok bool) {
	if doc == none || doc == nil {
		return written, true
	}
	written, ok = doc.(T)
	return written, ok
}

// orNothing leaves out what would come in empty.
func orNothing[T map[string]any | []any](carried T, doc any) any {
	if len(carried) == 0 && (doc == none || doc == nil) {
		return doc
	}
	return carried
}

func carryFields(t Type, doc, from, to map[string]any) map[string]any {
	carried := make(map[string]any, len(doc))
	maps.Copy(carried, doc)
	for name := range names(from, to) {
		v := carry(t.field(name), at(doc, name), at(from, name), at(to, name))
		if v == none {
			delete(carried, name)
		} else {
			carried[name] = v
		}
	}
	return carried
}

func carryItems(t Type, doc, from, to items) []any {
	carried := maps.Clone(doc.by)
	for _, key := range from.keys {
		if !to.has(key) {
			delete(carried, key)
		}
	}
	for _, key := range to.keys {
		switch after := to.get(key); {
		case same(from.get(key), after):
		case doc.has(key):
			carried[key] = carry(t.item(), doc.get(key), from.get(key), after)
		default:
			carried[key] = after
		}
	}
	lead, rest := doc, to
	if !slices.Equal(from.only(to.has), to.only(from.has)) {
		lead, rest = to, doc
	}
	return arrange(lead, rest, carried)
}
