package manifest

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// DropIgnored takes out of an object, in place, the fields that don't take part in the sync. What they were in
// stays, be it empty.
func (s Selection) DropIgnored(r Resource, obj map[string]any) {
	for _, path := range s.ignored(r) {
		drop(obj, path)
	}
}

// IgnoresFields reports whether objects of the resource have fields that don't take part.
func (s Selection) IgnoresFields(r Resource) bool {
	return slices.ContainsFunc(s.IgnoreFields, func(f IgnoredField) bool { return matchesResource(f.Resource, r) })
}

// KeepIgnored gives the fields that don't take part, in place, the values that they have in the live object,
// and none where it has none.
func (s Selection) KeepIgnored(r Resource, out, live map[string]any) {
	paths := s.ignored(r)
	for _, path := range paths {
		drop(out, path)
	}
	for _, path := range slices.Backward(paths) { // items of a list from the first on
		keep(out, live, path)
	}
}

// ignored are the paths for the objects of a resource, those of later items of a list before those of earlier
// ones: an item that is taken out moves those behind it.
func (s Selection) ignored(r Resource) [][]string {
	var paths [][]string
	for _, field := range s.IgnoreFields {
		if matchesResource(field.Resource, r) {
			paths = append(paths, field.Path)
		}
	}
	slices.SortFunc(paths, func(a, b []string) int { return slices.CompareFunc(b, a, compareSteps) })
	return slices.CompactFunc(paths, slices.Equal[[]string])
}

func compareSteps(a, b string) int {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	if errX == nil && errY == nil {
		return x - y
	}
	return strings.Compare(a, b)
}

// drop returns the value without what is at the path in it.
func drop(value any, path []string) any {
	step, rest := path[0], path[1:]
	switch v := value.(type) {
	case map[string]any:
		below, ok := v[step]
		switch {
		case !ok:
		case len(rest) == 0:
			delete(v, step)
		default:
			v[step] = drop(below, rest)
		}
	case []any:
		i, ok := itemIndex(step, v)
		switch {
		case !ok:
		case len(rest) == 0:
			return slices.Concat(v[:i], v[i+1:])
		default:
			v[i] = drop(v[i], rest)
		}
	}
	return value
}

// keep returns out with what is at the path in live, if there is something. Where Git has something of
// another kind on the way, Git's stays.
func keep(out, live any, path []string) any {
	step, rest := path[0], path[1:]
	switch l := live.(type) {
	case map[string]any:
		o, ok := out.(map[string]any)
		below, exists := l[step]
		if !ok || !exists {
			return out
		}
		if len(rest) == 0 {
			o[step] = runtime.DeepCopyJSONValue(below)
		} else if mine, declared := o[step]; declared {
			o[step] = keep(mine, below, rest)
		} else if made, _ := keep(map[string]any{}, below, rest).(map[string]any); len(made) > 0 {
			o[step] = made
		}
	case []any:
		o, ok := out.([]any)
		i, exists := itemIndex(step, l)
		switch {
		case !ok || !exists:
		case len(rest) == 0:
			return slices.Insert(slices.Clone(o), min(i, len(o)), runtime.DeepCopyJSONValue(l[i]))
		case i < len(o):
			o[i] = keep(o[i], l[i], rest)
		}
	}
	return out
}

// itemIndex reads a step of a JSON pointer as the index of an item that the list has.
func itemIndex(step string, list []any) (int, bool) {
	i, err := strconv.Atoi(step)
	return i, err == nil && strconv.Itoa(i) == step && i >= 0 && i < len(list)
}
