package merge

import (
	"encoding/json"
	"slices"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// Type knows the lists of a kind: which are maps by key, sets or atomic. The zero Type knows nothing: every
// list is atomic, and every map is merged by its keys. The same holds for what doesn't fit a Type.
type Type struct {
	schema *schema.Schema
	ref    schema.TypeRef
}

// TypeOf is the type that a schema of server-side apply holds under a reference.
func TypeOf(s *schema.Schema, ref schema.TypeRef) Type {
	return Type{schema: s, ref: ref}
}

// atom is what the schema says of this place; nothing where it doesn't reach.
func (t Type) atom() schema.Atom {
	if t.schema == nil {
		return schema.Atom{}
	}
	atom, _ := t.schema.Resolve(t.ref)
	return atom
}

// separable: a map of this type is more than one value.
func (t Type) separable() bool {
	atom := t.atom()
	return atom.Map == nil || atom.Map.ElementRelationship != schema.Atomic
}

// entries: a map of this type is a collection of plain values, like labels and data, and not a struct: without
// entries it says nothing.
func (t Type) entries() bool {
	atom := t.atom()
	if atom.Map == nil || len(atom.Fields) > 0 || !t.separable() {
		return false
	}
	entry := t.field("").atom()
	return entry.Scalar != nil && entry.Map == nil && entry.List == nil
}

// orEmpty is a collection where there is none.
func (t Type) orEmpty(value any) any {
	if value == none && t.entries() {
		return map[string]any{}
	}
	return value
}

// knows: a map of this type is a struct that has all of these fields.
func (t Type) knows(names ...string) bool {
	atom := t.atom()
	return atom.Map != nil && !slices.ContainsFunc(names, func(name string) bool {
		_, ok := atom.FindField(name)
		return !ok
	})
}

// field is the type of a map's field.
func (t Type) field(name string) Type {
	atom := t.atom()
	if atom.Map == nil {
		return Type{}
	}
	if f, ok := atom.FindField(name); ok {
		return Type{t.schema, f.Type}
	}
	return Type{t.schema, atom.Map.ElementType}
}

// byDefault is what the API server gives to a map's field that is left out; nil for nothing.
func (t Type) byDefault(name string) any {
	atom := t.atom()
	if atom.Map == nil {
		return nil
	}
	field, _ := atom.FindField(name)
	return field.Default
}

// item is the type of the items of a list that items takes.
func (t Type) item() Type {
	return Type{t.schema, t.atom().List.ElementType}
}

// items is a list whose items are told apart, by keys that stand for no more than that.
type items struct {
	keys []string
	by   map[string]any
}

func (l items) has(key string) bool { _, ok := l.by[key]; return ok }
func (l items) get(key string) any  { return at(l.by, key) }

// only is the keys, in their order, that are wanted.
func (l items) only(wanted func(key string) bool) []string {
	var keys []string
	for _, key := range l.keys {
		if wanted(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// items tells the items of a list apart. It can't where the type doesn't say how, and where an item lacks its
// keys or has those of another one. An API server takes the latter, for instance of environment variables.
func (t Type) items(value any) (items, bool) {
	list, isList := value.([]any)
	atom := t.atom()
	if !isList || atom.List == nil || atom.List.ElementRelationship != schema.Associative {
		return items{}, false
	}
	told := items{keys: make([]string, 0, len(list)), by: make(map[string]any, len(list))}
	itemType := t.item()
	for _, item := range list {
		key, ok := itemType.key(item, atom.Keys)
		if !ok || told.has(key) {
			return items{}, false
		}
		told.keys = append(told.keys, key)
		told.by[key] = item
	}
	return told, true
}

// items3: both sides are lists whose items are told apart, and so is base if it is a list. What base has
// instead of one is as good as nothing.
func (t Type) items3(base, git, cluster any) (b, g, c items, ok bool) {
	if b, ok = t.items(base); !ok {
		if _, isList := base.([]any); isList {
			return b, g, c, false
		}
	}
	g, c, ok = t.both(git, cluster)
	return b, g, c, ok
}

// key is what tells an item of a list from the others: its keys, or without any its value. A key that is left
// out has the default that the API server gives to it.
func (t Type) key(item any, keys []string) (string, bool) {
	if len(keys) == 0 {
		return text(item)
	}
	fields, ok := item.(map[string]any)
	if !ok {
		return "", false
	}
	values, some := make([]any, len(keys)), false
	for i, name := range keys {
		values[i] = fields[name]
		if values[i] == nil {
			values[i] = t.byDefault(name)
		}
		some = some || values[i] != nil
	}
	if !some {
		return "", false
	}
	return text(values)
}

// text is the same for values that are the same.
func text(value any) (string, bool) {
	data, err := json.Marshal(value)
	return string(data), err == nil
}
