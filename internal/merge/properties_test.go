package merge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
)

// forEachType checks a property of widgets, with and without their schema, which doesn't fit all of them.
func forEachType(t *testing.T, property func(t *rapid.T, typ Type)) {
	for name, typ := range map[string]Type{"typed": widget.typed(t), "untyped": {}} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { property(t, typ) })
		})
	}
}

func TestAMergeWithOneSideUnchangedIsTheOther(t *testing.T) {
	forEachType(t, func(t *rapid.T, typ Type) {
		base, changed := anyWidget(t, "base"), anyWidget(t, "changed")
		for prefer := range 2 {
			require.Equal(t, changed, mergedWithout(t, typ, base, base, changed, Side(prefer)))
			require.Equal(t, changed, mergedWithout(t, typ, base, changed, base, Side(prefer)))
			require.Equal(t, changed, mergedWithout(t, typ, base, changed, changed, Side(prefer)))
		}
	})
}

// mergedWithout merges, and there are no conflicts.
func mergedWithout(t *rapid.T, typ Type, base, git, cluster map[string]any, prefer Side) map[string]any {
	merged, conflicts, err := ThreeWay(typ, base, git, cluster, prefer)
	require.NoError(t, err)
	require.Empty(t, conflicts)
	return merged
}

func TestThePreferredSideOnlyDecidesConflicts(t *testing.T) {
	forEachType(t, func(t *rapid.T, typ Type) {
		base := anyWidget(t, "base")
		git, cluster := edited(t, base, "git"), edited(t, base, "cluster")
		byGit, conflicts, err := ThreeWay(typ, base, git, cluster, Git)
		require.NoError(t, err)
		byCluster, again, err := ThreeWay(typ, base, git, cluster, Cluster)
		require.NoError(t, err)
		require.Equal(t, conflicts, again, "what is in conflict doesn't depend on who wins")
		if len(conflicts) == 0 {
			require.Equal(t, byGit, byCluster)
			return
		}
		require.NotEqual(t, byGit, byCluster)
	})
}

func TestAMergeIsTheSameFromBothSides(t *testing.T) {
	forEachType(t, func(t *rapid.T, typ Type) {
		base := anyWidget(t, "base")
		git, cluster := edited(t, base, "git"), edited(t, base, "cluster")
		one, conflicts, err := ThreeWay(typ, base, git, cluster, Git)
		require.NoError(t, err)
		other, mirrored, err := ThreeWay(typ, base, cluster, git, Cluster)
		require.NoError(t, err)
		require.Len(t, mirrored, len(conflicts))
		require.Equal(t, unordered(one), unordered(other))
	})
}

func TestAMergeLeavesItsArgumentsAlone(t *testing.T) {
	forEachType(t, func(t *rapid.T, typ Type) {
		base := anyWidget(t, "base")
		git, cluster := edited(t, base, "git"), edited(t, base, "cluster")
		before := runtime.DeepCopyJSON(map[string]any{"base": base, "git": git, "cluster": cluster})
		merged, _, err := ThreeWay(typ, base, git, cluster, Git)
		require.NoError(t, err)
		scribble(merged)
		carried, err := Carry(typ, base, git, cluster)
		require.NoError(t, err)
		scribble(carried)
		require.Equal(t, before, map[string]any{"base": base, "git": git, "cluster": cluster})
	})
}

// scribble changes all of a value.
func scribble(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, below := range value {
			scribble(below)
		}
		value["scribbled"] = true
	case []any:
		for i, below := range value {
			scribble(below)
			value[i] = "scribbled"
		}
	}
}

func TestCarryingLeadsFromOneToTheOther(t *testing.T) {
	forEachType(t, func(t *rapid.T, typ Type) {
		from := anyWidget(t, "from")
		to := edited(t, from, "to")
		carried, err := Carry(typ, from, from, to)
		require.NoError(t, err)
		require.Equal(t, to, carried)
	})
}

func TestCarryingNoChangeChangesNothing(t *testing.T) {
	forEachType(t, func(t *rapid.T, typ Type) {
		doc, from := anyWidget(t, "doc"), anyWidget(t, "from")
		carried, err := Carry(typ, doc, from, from)
		require.NoError(t, err)
		require.Equal(t, doc, carried)
	})
}

// TestCarryingIntoAPartialManifestTellsOfTheChange: with what the server fills in, which is what doc left out,
// the carried document is the new object.
func TestCarryingIntoAPartialManifestTellsOfTheChange(t *testing.T) {
	typ := widget.typed(t)
	rapid.Check(t, func(t *rapid.T) {
		doc := validWidget(t, "doc")
		from := filled(doc)
		to := runtime.DeepCopyJSON(from)
		edit(t, to["spec"].(map[string]any))
		to = filled(to)
		carried, err := Carry(typ, doc, from, to)
		require.NoError(t, err)
		require.Equal(t, unordered(to), unordered(filled(carried)), "doc %s from %s to %s carried %s", show(doc), show(from), show(to), show(carried))
	})
}

// validWidget is one as a person writes it.
func validWidget(t *rapid.T, label string) map[string]any {
	spec := map[string]any{}
	edit(t, spec)
	edit(t, spec)
	return map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "spec": spec, "label": label}
}

// edit changes a spec, to another one that its schema allows.
func edit(t *rapid.T, spec map[string]any) {
	number, word := rapid.Int64Range(0, 3), rapid.SampledFrom([]string{"a", "b", "c"})
	for range rapid.IntRange(1, 4).Draw(t, "edits") {
		switch rapid.IntRange(0, 4).Draw(t, "edit") {
		case 0:
			spec["size"] = number.Draw(t, "size")
		case 1:
			tags := rapid.SliceOfNDistinct(word, 1, 3, rapid.ID[string]).Draw(t, "tags")
			spec["tags"] = anys(tags)
		case 2:
			spec["steps"] = anys(rapid.SliceOfN(word, 1, 3).Draw(t, "steps"))
		case 3:
			list, _ := spec["ports"].([]any)
			port := map[string]any{"port": number.Draw(t, "port"), "protocol": rapid.SampledFrom([]string{"TCP", "UDP"}).Draw(t, "protocol")}
			list = slices.DeleteFunc(slices.Clone(list), func(item any) bool { return samePort(item.(map[string]any), port) })
			if rapid.Bool().Draw(t, "target") {
				port["target"] = word.Draw(t, "target")
			}
			spec["ports"] = slices.Insert(list, rapid.IntRange(0, len(list)).Draw(t, "at"), any(port))
		case 4:
			below, _ := spec["free"].(map[string]any)
			below = maps.Clone(below)
			if below == nil {
				below = map[string]any{}
			}
			below[word.Draw(t, "key")] = number.Draw(t, "value")
			spec["free"] = below
		}
	}
}

func samePort(a, b map[string]any) bool {
	protocol := func(port map[string]any) any { return cmp.Or(port["protocol"], any("TCP")) }
	return a["port"] == b["port"] && protocol(a) == protocol(b)
}

func anys(words []string) []any {
	var list []any
	for _, word := range words {
		list = append(list, word)
	}
	return list
}

// filled is what an API server makes of a widget: defaults, a webhook's tag and its port.
func filled(doc map[string]any) map[string]any {
	obj := runtime.DeepCopyJSON(doc)
	spec := obj["spec"].(map[string]any)
	setDefault(spec, "size", int64(7))
	setDefault(spec, "strategy", map[string]any{"type": "RollingUpdate"})
	tags, _ := spec["tags"].([]any)
	if !slices.Contains(tags, any("webhook")) {
		spec["tags"] = append(tags, "webhook")
	}
	ports, _ := spec["ports"].([]any)
	hook := map[string]any{"port": int64(9), "protocol": "TCP"}
	if !slices.ContainsFunc(ports, func(item any) bool { return samePort(item.(map[string]any), hook) }) {
		ports = append(ports, hook)
	}
	for _, item := range ports {
		setDefault(item.(map[string]any), "target", "same")
	}
	spec["ports"] = ports
	return obj
}

func setDefault(in map[string]any, name string, value any) {
	if _, set := in[name]; !set {
		in[name] = value
	}
}

// anyWidget is a widget, or something like one.
func anyWidget(t *rapid.T, label string) map[string]any {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		spec := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if rapid.Bool().Draw(t, name) {
				spec[name] = fields[name].Draw(t, name)
			}
		}
		return map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "spec": spec}
	}).Draw(t, label)
}

// edited is the widget with some of its fields as in another one.
func edited(t *rapid.T, obj map[string]any, label string) map[string]any {
	other := anyWidget(t, label)
	out := runtime.DeepCopyJSON(obj)
	mine, theirs := out["spec"].(map[string]any), other["spec"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !rapid.Bool().Draw(t, "edit "+name) {
			continue
		}
		delete(mine, name)
		if value, ok := theirs[name]; ok {
			mine[name] = value
		}
	}
	return out
}

var (
	words  = rapid.Map(rapid.SampledFrom([]string{"a", "b", "c"}), func(v string) any { return v })
	digits = rapid.Map(rapid.Int64Range(0, 3), func(v int64) any { return v })
	odd    = rapid.SampledFrom([]any{nil, "odd", int64(1), map[string]any{}, []any{}, []any{nil}, map[string]any{"a": "b"}, []any{"a", "a"}})
	host   = structs("name", words, "weight", digits)
	port   = structs("port", digits, "protocol", rapid.SampledFrom([]any{"TCP", "UDP", nil}), "target", words, "hosts", lists(host))
	fields = map[string]*rapid.Generator[any]{
		"size":     rapid.OneOf(digits, odd),
		"tags":     rapid.OneOf(lists(words), odd),
		"steps":    rapid.OneOf(lists(words), odd),
		"colour":   structs("red", digits, "green", digits),
		"ports":    rapid.OneOf(lists(port), lists(port), lists(port), odd),
		"env":      structs("value", words, "valueFrom", structs("a", words, "b", words), "a~b/c", words),
		"strategy": structs("type", words, "rollingUpdate", structs("a", words, "b", words)),
		"free":     rapid.OneOf(structs("a", digits, "b", odd, "c", structs("d", words)), odd),
		"unknown":  structs("a", digits, "b", digits),
	}
)

// lists have items that are distinct, most times.
func lists(item *rapid.Generator[any]) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		list := rapid.SliceOfN(item, 0, 4).Draw(t, "items")
		if rapid.IntRange(0, 9).Draw(t, "duplicates") == 0 {
			return list
		}
		seen := map[any]bool{}
		return slices.DeleteFunc(list, func(item any) bool {
			key := item
			if fields, ok := item.(map[string]any); ok {
				key = fmt.Sprint(fields["name"], fields["port"], cmp.Or(fields["protocol"], any("TCP")))
			}
			defer func() { seen[key] = true }()
			return seen[key]
		})
	})
}

// structs have some of the fields, which are given as names and generators.
func structs(fields ...any) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		out := map[string]any{}
		for i := 0; i < len(fields); i += 2 {
			if name := fields[i].(string); rapid.IntRange(0, 3).Draw(t, name) > 0 {
				out[name] = fields[i+1].(*rapid.Generator[any]).Draw(t, name)
			}
		}
		return out
	})
}

// unordered is a value whose lists are in an order that only depends on what is in them.
func unordered(value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, below := range value {
			out[key] = unordered(below)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, below := range value {
			out[i] = unordered(below)
		}
		slices.SortFunc(out, func(a, b any) int { return cmp.Compare(show(a), show(b)) })
		return out
	}
	return value
}

func show(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
