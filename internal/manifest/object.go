package manifest

import (
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
	case string, int64, bool:
		return v, true
	case nil:
		// The one key of a list that the API defaults.
		return "TCP", field == "protocol"
	}
	return nil, false
}

// itemValue is a scalar item of a list as managed fields write it: v:"example.com/mine".
func itemValue(item any) string {
	switch item.(type) {
	case string, int64, float64, bool:
	default:
		return ""
	}
	v := value.NewValueInterface(item)
	s, err := fieldpath.SerializePathElement(fieldpath.PathElement{Value: &v})
	if err != nil {
		return ""
	}
	return s
}
