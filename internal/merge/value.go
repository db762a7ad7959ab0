package merge

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// none stands where nothing does, which a null is not.
var none any = absent{}

type absent struct{}

func at(m map[string]any, key string) any {
	if value, ok := m[key]; ok {
		return value
	}
	return none
}

// names are those of both maps, each once.
func names(a, b map[string]any) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range a {
			if !yield(name) {
				return
			}
		}
		for name := range b {
			if _, done := a[name]; !done && !yield(name) {
				return
			}
		}
	}
}

// same compares by value: 1 and 1.0 are the same.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, value := range a {
			if other, ok := b[key]; !ok || !same(value, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case int64:
		if b, ok := b.(float64); ok {
			return float64(a) == b
		}
		return a == b
	case float64:
		if b, ok := b.(int64); ok {
			return a == float64(b)
		}
		return a == b
	case nil, string, bool, absent:
		return a == b
	}
	return false // clone refuses it
}

// object is a merged value as an object of its own.
func object(merged any) (map[string]any, error) {
	if obj, ok := merged.(map[string]any); !ok || obj == nil {
		return nil, errors.New("there is no object")
	}
	copied, err := clone(merged)
	if err != nil {
		return nil, err
	}
	return copied.(map[string]any), nil
}

// clone copies a value. It refuses what JSON and YAML don't decode to.
func clone(value any) (any, error) {
	var err error
	switch value := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(value))
		for key, below := range value {
			if copied[key], err = clone(below); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		return copied, nil
	case []any:
		copied := make([]any, len(value))
		for i, below := range value {
			if copied[i], err = clone(below); err != nil {
				return nil, fmt.Errorf("%d: %w", i, err)
			}
		}
		return copied, nil
	case nil, string, bool, int64, float64:
		return value, nil
	}
	return nil, fmt.Errorf("a %T is no value of a plain object", value)
}

// arrange puts items in the order of lead. Those that it lacks come behind the one that they follow in rest.
func arrange(lead, rest items, by map[string]any) []any {
	has := func(key string) bool { _, ok := by[key]; return ok }
	keys := lead.only(has)
	next := 0
	for _, key := range rest.only(has) {
		if lead.has(key) {
			next = slices.Index(keys, key) + 1
		} else {
			keys = slices.Insert(keys, next, key)
			next++
		}
	}
	list := make([]any, len(keys))
	for i, key := range keys {
		list[i] = by[key]
	}
	return list
}
