package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	yamlv2 "go.yaml.in/yaml/v2"
)

// Encode is the canonical content of an object's file: YAML with sorted keys. Equal objects give equal bytes,
// whether they come from JSON or from YAML. It fails for numbers that JSON can't hold (NaN, infinity) and for
// values of types that JSON doesn't decode to.
//
// The bytes are those of sigs.k8s.io/yaml but for the order of keys, which is that of their bytes: the library's
// own order puts a10 behind a2, but contradicts itself for keys like 40y, 4D and 9q, so that the place of a key
// may change from one time to the next. Control characters and the line break U+0085 are kept, too. An object with
// a key "<<" is written as JSON, which YAML is a superset of: the library would write a merge.
func Encode(obj map[string]any) ([]byte, error) {
	if out, ok := emit(obj); ok {
		return out, nil
	}
	return encodeByLibrary(obj)
}

func encodeByLibrary(obj map[string]any) ([]byte, error) {
	canonical, err := canonicalise(obj)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", IDOf(obj), err)
	}
	out, err := yamlv2.Marshal(canonical)
	if err == nil && bytes.Contains(out, []byte(mergeKey+":")) && hasMergeKey(obj) {
		out, err = encodeJSON(obj)
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", IDOf(obj), err)
	}
	return out, nil
}

// mergeKey is a key that YAML takes for something else, and that the library doesn't quote.
const mergeKey = "<<"

func hasMergeKey(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		_, has := v[mergeKey]
		for _, below := range v {
			has = has || hasMergeKey(below)
		}
		return has
	case []any:
		return slices.ContainsFunc(v, hasMergeKey)
	}
	return false
}

// encodeJSON is for objects that YAML would say something else of.
func encodeJSON(obj map[string]any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(obj)
	return out.Bytes(), err
}

// Canonical is the content of a file that holds one object, as Encode writes it; false for any other file.
func Canonical(file []byte) ([]byte, bool) {
	documents, problems := Decode("", file)
	if len(documents) != 1 || len(problems) > 0 {
		return nil, false
	}
	content, err := Encode(documents[0].Object)
	return content, err == nil
}

// Hash is the hash that Git gives to a file with this content.
func Hash(yaml []byte) plumbing.Hash {
	return plumbing.ComputeHash(plumbing.BlobObject, yaml)
}

// canonicalise makes of a value what becomes of it by way of JSON, with the keys of maps in order.
func canonicalise(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, int64, int:
		return v, nil
	case string:
		return toValid(v), nil
	case float64:
		return canonicalFloat(v)
	case map[string]any:
		return canonicalMap(v)
	case []any:
		return canonicalList(v)
	}
	return nil, fmt.Errorf("a value of type %T", value)
}

func canonicalMap(fields map[string]any) (any, error) {
	if fields == nil {
		return nil, nil
	}
	items := make(yamlv2.MapSlice, 0, len(fields))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value, err := canonicalise(fields[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		items = append(items, yamlv2.MapItem{Key: toValid(key), Value: value})
	}
	return items, nil
}

func canonicalList(items []any) (any, error) {
	if items == nil {
		return nil, nil
	}
	out := make([]any, len(items))
	for i, item := range items {
		value, err := canonicalise(item)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out[i] = value
	}
	return out, nil
}

// canonicalFloat makes an integer of a whole number that JSON writes without an exponent, as far as YAML
// takes these digits for an integer.
func canonicalFloat(f float64) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the number %v, which JSON can't hold", f)
	}
	if f != math.Trunc(f) || math.Abs(f) >= 1e21 {
		return f, nil
	}
	digits := strconv.FormatFloat(f, 'f', -1, 64)
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return n, nil
	}
	if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
		return n, nil
	}
	return f, nil
}

// toValid replaces each byte that isn't part of UTF-8, as JSON does.
func toValid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
