package manifest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	yamlv2 "go.yaml.in/yaml/v2"
)

// Encode is the canonical content of an object's file: YAML with sorted keys, byte for byte what
// sigs.k8s.io/yaml writes. Equal objects give equal bytes, whether they come from JSON or from YAML.
// It fails for numbers that JSON can't hold (NaN, infinity) and for values of types that JSON doesn't
// decode to.
//
// sigs.k8s.io/yaml goes from the object to JSON, reads that as YAML and writes it again; this writes the
// object itself, at less than half the cost. It keeps what the detour refuses or loses: control characters in
// strings, and the line break U+0085.
func Encode(obj map[string]any) ([]byte, error) {
	canonical, _, err := canonicalise(obj)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", IDOf(obj), err)
	}
	out, err := yamlv2.Marshal(canonical)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", IDOf(obj), err)
	}
	return out, nil
}

// Hash is the hash that Git gives to a file with this content.
func Hash(yaml []byte) plumbing.Hash {
	return plumbing.ComputeHash(plumbing.BlobObject, yaml)
}

// canonicalise makes of a value what becomes of it by way of JSON. What is canonical already, nearly
// everything, is returned as it is; the rest is copied. The second result tells whether it was.
func canonicalise(value any) (any, bool, error) {
	switch v := value.(type) {
	case nil, bool, int64, int:
		return v, false, nil
	case string:
		if utf8.ValidString(v) {
			return v, false, nil
		}
		return toValid(v), true, nil
	case float64:
		return canonicalFloat(v)
	case map[string]any:
		return canonicalMap(v)
	case []any:
		return canonicalList(v)
	}
	return nil, false, fmt.Errorf("a value of type %T", value)
}

func canonicalMap(fields map[string]any) (any, bool, error) {
	if fields == nil {
		return nil, true, nil
	}
	copied := false
	for key, value := range fields {
		canonical, changed, err := canonicalise(value)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", key, err)
		}
		if !changed && utf8.ValidString(key) {
			continue
		}
		if !copied {
			fields, copied = maps.Clone(fields), true
		}
		delete(fields, key)
		fields[toValid(key)] = canonical
	}
	return fields, copied, nil
}

func canonicalList(items []any) (any, bool, error) {
	if items == nil {
		return nil, true, nil
	}
	copied := false
	for i, value := range items {
		canonical, changed, err := canonicalise(value)
		if err != nil {
			return nil, false, fmt.Errorf("[%d]: %w", i, err)
		}
		if !changed {
			continue
		}
		if !copied {
			items, copied = slices.Clone(items), true
		}
		items[i] = canonical
	}
	return items, copied, nil
}

// canonicalFloat makes an integer of a whole number that JSON writes without an exponent, as far as YAML
// takes these digits for an integer.
func canonicalFloat(f float64) (any, bool, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, false, fmt.Errorf("the number %v, which JSON can't hold", f)
	}
	if f != math.Trunc(f) || math.Abs(f) >= 1e21 {
		return f, false, nil
	}
	digits := strconv.FormatFloat(f, 'f', -1, 64)
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return n, true, nil
	}
	if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
		return n, true, nil
	}
	return f, false, nil
}

// toValid replaces each byte that isn't part of UTF-8, as JSON does.
func toValid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
