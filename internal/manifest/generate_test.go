package manifest

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"pgregory.net/rapid"
)

// resources are one with rules of its own each, and some that have none.
func allResources() []Resource {
	kinds := map[string]Resource{
		"widgets.example.com": {Group: "example.com", Version: "v1", Name: "widgets", Kind: "Widget", Namespaced: true},
		"gadgets.example.com": {Group: "example.com", Version: "v1", Name: "gadgets", Kind: "Gadget"},
	}
	for _, name := range slices.Sorted(maps.Keys(kindRules())) {
		resource, group, _ := strings.Cut(name, ".")
		kinds[name] = Resource{Group: group, Version: "v1", Name: resource, Kind: "Some", Namespaced: len(name)%2 == 0}
	}
	var all []Resource
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		all = append(all, kinds[name])
	}
	return all
}

// anyValue is what may stand somewhere in an object.
func anyValue(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(v bool) any { return v }),
		rapid.Map(rapid.Int64(), func(v int64) any { return v }),
		rapid.Map(rapid.Float64Range(-1e30, 1e30), func(v float64) any { return v }),
		rapid.SampledFrom([]any{"", "a", "None", "yes", "NodePort", "x: y", "- a", "0x10", "1e3", " padded ", "two\nlines\n", "tab\t", "# no"}),
		rapid.Map(rapid.String(), func(v string) any { return v }),
		rapid.Just[any](map[string]any{}),
		rapid.Just[any]([]any{}),
	}
	if depth > 0 {
		leaves = append(leaves,
			rapid.Map(rapid.MapOfN(rapid.OneOf(rapid.StringMatching(`[a-zA-Z./]{1,8}`), rapid.String()), anyValue(depth-1), 0, 4),
				func(v map[string]any) any { return v }),
			rapid.Map(rapid.SliceOfN(anyValue(depth-1), 0, 4), func(v []any) any { return v }),
		)
	}
	return rapid.OneOf(leaves...)
}

// tellingValues are those that rules look at, so that generated objects meet them.
var tellingValues = []any{
	nil, "", "None", "10.0.0.1", int64(30080), int64(30081), true, false, "yes",
	map[string]any{}, []any{}, []any{"None"}, []any{"10.0.0.1"}, []any{"IPv4"}, []any{"IPv4", "IPv6"},
	map[string]any{"name": "a"}, []any{map[string]any{"name": "a"}},
}

var tellingItems = []any{
	"kubernetes.io/pvc-protection", "foregroundDeletion", "example.com/mine", "example.com/theirs",
	map[string]any{"name": "kube-api-access-bcd24", "projected": map[string]any{"sources": []any{map[string]any{"serviceAccountToken": map[string]any{"path": "token"}}}}},
	map[string]any{"name": "kube-api-access-mine", "projected": map[string]any{}},
	map[string]any{"name": "kube-api-access-bcd24", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
	map[string]any{"name": "a", "emptyDir": map[string]any{}},
	map[string]any{"name": "a", "mountPath": "/a"},
	map[string]any{"name": "it-token-bcd24"}, map[string]any{"name": "it-dockercfg-bcd24"}, map[string]any{"name": "pull"},
	map[string]any{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": int64(300)},
	map[string]any{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": int64(30)},
	nil, int64(1),
}

// tellingPlaces are where conditions of rules look at beside their own paths.
var tellingPlaces = map[string][]any{
	"spec.type":                                              {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"},
	"spec.externalTrafficPolicy":                             {"Local", "Cluster"},
	"spec.allocateLoadBalancerNodePorts":                     {true, false},
	"spec.manualSelector":                                    {true, false},
	"aggregationRule":                                        {map[string]any{}, map[string]any{"a": "b"}},
	"spec.claimRef.name":                                     {"a", "b"},
	"spec.claimRef.namespace":                                {"a", "b"},
	"webhooks[name].clientConfig.url":                        {"https://a"},
	`metadata.annotations["cert-manager.io/inject-ca-from"]`: {"a/b"},
	`metadata.annotations["example.com/mine"]`:               {"", "a"},
	"metadata.labels.app":                                    {"a", "b"},
}

// anyObject is an object of the resource that holds something at many of the places that rules are for, and
// managed fields that tell of some of them.
func anyObject(r Resource) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		obj := map[string]any{
			"apiVersion": "v1",
			"kind":       r.Kind,
			"metadata":   map[string]any{"name": "it", "namespace": "there"},
			"spec":       map[string]any{},
		}
		if extra := rapid.MapOfN(rapid.StringMatching(`[a-z]{3}`), anyValue(2), 0, 2).Draw(t, "extra"); len(extra) > 0 {
			obj["extra"] = extra
		}
		rules := rulesOf(r)
		for _, rule := range rules.rules[:rules.server] {
			fill(t, obj, rule, rule.emptied)
		}
		for at, values := range sorted(tellingPlaces) {
			if rapid.IntRange(0, 2).Draw(t, "telling") == 0 {
				set(t, obj, compile(rule{at: at}).steps, rapid.SampledFrom(values))
			}
		}
		metadata := obj["metadata"].(map[string]any)
		switch rapid.IntRange(0, 3).Draw(t, "origin") {
		case 0:
			return obj
		case 1:
			metadata["managedFields"] = anyManagedFields(t, obj, rules)
		}
		for _, rule := range rules.rules[rules.server:] {
			if rule.at != "metadata.managedFields" && rapid.Bool().Draw(t, "server") {
				set(t, obj, rule.steps, rapid.SampledFrom([]any{"a", "b", map[string]any{"a": "b"}}))
			}
		}
		metadata["uid"] = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "uid")
		return obj
	})
}

func sorted[V any](m map[string]V) func(func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// fill puts something at the place of a rule, perhaps.
func fill(t *rapid.T, obj map[string]any, r rule, empty bool) {
	if rapid.IntRange(0, 2).Draw(t, r.at) == 0 {
		return
	}
	last := r.steps[len(r.steps)-1]
	switch {
	case empty:
		if rapid.IntRange(0, 5).Draw(t, "empty") == 0 {
			set(t, obj, r.steps, rapid.SampledFrom([]any{nil, map[string]any{}, []any{}, "odd"}))
		}
	case last.items:
		items := rapid.SliceOfN(rapid.SampledFrom(tellingItems), 0, 5)
		set(t, obj, r.steps, rapid.Map(items, func(v []any) any { return v }))
	default:
		set(t, obj, r.steps, rapid.SampledFrom(tellingValues))
	}
}

// set puts a value at a path, making what is missing on the way, items of lists included.
func set(t *rapid.T, in map[string]any, steps []step, value *rapid.Generator[any]) {
	s := steps[0]
	if len(steps) == 1 {
		in[s.field] = clone(value.Draw(t, s.path))
		return
	}
	if s.keys == nil {
		below, ok := in[s.field].(map[string]any)
		if !ok {
			if _, other := in[s.field]; other {
				return
			}
			below = map[string]any{}
			in[s.field] = below
		}
		set(t, below, steps[1:], value)
		return
	}
	list, ok := in[s.field].([]any)
	if !ok {
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			item := map[string]any{}
			for _, key := range s.keys {
				set(t, item, compile(rule{at: key}).steps, keyValue(key))
			}
			list = append(list, item)
		}
		in[s.field] = list
	}
	for _, item := range list {
		if fields, ok := item.(map[string]any); ok && rapid.Bool().Draw(t, "in item") {
			set(t, fields, steps[1:], value)
		}
	}
}

func keyValue(key string) *rapid.Generator[any] {
	switch key {
	case "port":
		return rapid.SampledFrom([]any{int64(80), int64(81), int64(82)})
	case "protocol":
		return rapid.SampledFrom([]any{"TCP", "UDP", nil})
	}
	return rapid.SampledFrom([]any{"a", "b", "c"})
}

// anyManagedFields tell that some managers set some of what the rules are for.
func anyManagedFields(t *rapid.T, obj map[string]any, rules *ruleset) []any {
	var places [][]string
	blank := &object{content: obj, origin: tracked}
	for _, r := range rules.rules {
		if r.unless != nil {
			r.when, r.never = nil, nil
			r.unless = func(*object, []string) bool { return false }
			places = r.claims(blank, obj, 0, nil, places)
		}
	}
	places = append(places, []string{"f:webhooks", `k:{"name":"a"}`, "f:clientConfig", "f:url"}, []string{"f:spec", "f:selector"})
	var entries []any
	for i := range rapid.IntRange(1, 3).Draw(t, "managers") {
		fields := map[string]any{}
		for _, place := range places {
			if rapid.Bool().Draw(t, strconv.Itoa(i)+strings.Join(place, "/")) {
				add(fields, place[:rapid.IntRange(max(1, len(place)-1), len(place)).Draw(t, "whole")])
			}
		}
		entries = append(entries, map[string]any{
			"apiVersion": "v1", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields,
			"manager": rapid.SampledFrom([]string{"kubectl-edit", "operator", "kube-controller-manager", FieldManager}).Draw(t, "manager"),
		})
	}
	return entries
}

func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if v == nil {
			return v
		}
		out := make(map[string]any, len(v))
		for key, below := range v {
			out[key] = clone(below)
		}
		return out
	case []any:
		if v == nil {
			return v
		}
		out := make([]any, len(v))
		for i, below := range v {
			out[i] = clone(below)
		}
		return out
	}
	return value
}

func cloneObject(obj map[string]any) map[string]any {
	return clone(obj).(map[string]any)
}
