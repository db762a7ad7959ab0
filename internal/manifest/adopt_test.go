package manifest

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

// plainYAML reads any YAML as JSON clients do.
func plainYAML(t testing.TB, text string) map[string]any {
	t.Helper()
	json, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	documents, problems := Decode("test.yaml", append([]byte(`{"apiVersion": "v1", "kind": "Any", "metadata": {"name": "any"}, "of": `), append(json, '}')...))
	require.Empty(t, problems)
	of, _ := documents[0].Object["of"].(map[string]any)
	return of
}

func TestAdopt(t *testing.T) {
	for _, c := range []struct {
		name, wanted, live string
		// what a controller, a person and the sync own of the live object
		controller, person, ours string
		want                     string
	}{
		{
			name:       "a controller's annotation beside declared ones",
			wanted:     `{metadata: {annotations: {a: git}}}`,
			live:       `{metadata: {annotations: {a: git, b: theirs}}}`,
			controller: `{"f:metadata": {"f:annotations": {"f:b": {}}}}`,
			want:       `{metadata: {annotations: {a: git, b: theirs}}}`,
		}, {
			name:       "annotations where Git declares none, of a controller and of a person",
			wanted:     `{metadata: {name: x}}`,
			live:       `{metadata: {name: x, annotations: {b: theirs, c: hand}}}`,
			controller: `{"f:metadata": {"f:annotations": {".": {}, "f:b": {}}}}`,
			person:     `{"f:metadata": {"f:annotations": {"f:c": {}}}}`,
			want:       `{metadata: {name: x, annotations: {b: theirs}}}`,
		}, {
			name:   "a person's label goes",
			wanted: `{metadata: {labels: {a: git}}}`,
			live:   `{metadata: {labels: {a: git, c: hand}}}`,
			person: `{"f:metadata": {"f:labels": {"f:c": {}}}}`,
			want:   `{metadata: {labels: {a: git}}}`,
		}, {
			name:   "what Git declared and doesn't any more goes",
			wanted: `{spec: {a: 1}}`,
			live:   `{spec: {a: 1, b: 2}}`,
			ours:   `{"f:spec": {"f:a": {}, "f:b": {}}}`,
			want:   `{spec: {a: 1}}`,
		}, {
			name:   "what nobody owns is left to the server",
			wanted: `{spec: {a: 1}}`,
			live:   `{spec: {a: 1, default: 2}}`,
			want:   `{spec: {a: 1}}`,
		}, {
			name:       "a declared value is Git's whoever owns it",
			wanted:     `{spec: {replicas: 2, list: [a], none: null}}`,
			live:       `{spec: {replicas: 7, list: [b], none: {a: b}}}`,
			controller: `{"f:spec": {"f:replicas": {}, "f:list": {}, "f:none": {"f:a": {}}}}`,
			want:       `{spec: {replicas: 2, list: [a], none: null}}`,
		}, {
			name:       "shared with a person it stays",
			wanted:     `{spec: {}}`,
			live:       `{spec: {a: 1}}`,
			controller: `{"f:spec": {"f:a": {}}}`,
			person:     `{"f:spec": {"f:a": {}}}`,
			want:       `{spec: {a: 1}}`,
		}, {
			name:       "a container, with what the server filled in, where it stands",
			wanted:     `{spec: {containers: [{name: a, image: one}, {name: c, image: one}]}}`,
			live:       `{spec: {containers: [{name: a, image: hand}, {name: side, image: car, pull: Always, env: [{name: X, value: hand}]}, {name: c, image: one}, {name: spy, image: s, pull: Always}]}}`,
			controller: `{"f:spec": {"f:containers": {'k:{"name":"side"}': {".": {}, "f:name": {}, "f:image": {}}}}}`,
			person:     `{"f:spec": {"f:containers": {'k:{"name":"side"}': {"f:env": {".": {}, 'k:{"name":"X"}': {".": {}, "f:name": {}, "f:value": {}}}}, 'k:{"name":"spy"}': {".": {}, "f:name": {}, "f:image": {}}}}}`,
			want:       `{spec: {containers: [{name: a, image: one}, {name: side, image: car, pull: Always}, {name: c, image: one}]}}`,
		}, {
			name:       "behind, where Git has another order",
			wanted:     `{spec: {containers: [{name: c}, {name: a}]}}`,
			live:       `{spec: {containers: [{name: b}, {name: a}, {name: c}]}}`,
			controller: `{"f:spec": {"f:containers": {'k:{"name":"b"}': {".": {}, "f:name": {}}}}}`,
			want:       `{spec: {containers: [{name: c}, {name: a}, {name: b}]}}`,
		}, {
			name:       "a variable in a declared container",
			wanted:     `{spec: {containers: [{name: a, env: [{name: X, value: git}]}]}}`,
			live:       `{spec: {containers: [{name: a, env: [{name: X, value: git}, {name: W, value: theirs}, {name: Z, value: hand}]}]}}`,
			controller: `{"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:env": {'k:{"name":"W"}': {".": {}, "f:name": {}, "f:value": {}}}}}}}`,
			person:     `{"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:env": {'k:{"name":"Z"}': {".": {}, "f:name": {}, "f:value": {}}}}}}}`,
			want:       `{spec: {containers: [{name: a, env: [{name: X, value: git}, {name: W, value: theirs}]}]}}`,
		}, {
			name:       "a field of an item with two keys, one of them a default",
			wanted:     `{spec: {ports: [{port: 80}, {port: 80, protocol: UDP}]}}`,
			live:       `{spec: {ports: [{port: 80, protocol: TCP, a: 1}, {port: 80, protocol: UDP, a: 2}]}}`,
			controller: `{"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:a": {}}}}}`,
			person:     `{"f:spec": {"f:ports": {'k:{"port":80,"protocol":"UDP"}': {"f:a": {}}}}}`,
			want:       `{spec: {ports: [{port: 80, a: 1}, {port: 80, protocol: UDP}]}}`,
		}, {
			name:       "items of a set",
			wanted:     `{spec: {set: [a]}}`,
			live:       `{spec: {set: [a, b, c, 4]}}`,
			controller: `{"f:spec": {"f:set": {'v:"b"': {}, "v:4": {}}}}`,
			person:     `{"f:spec": {"f:set": {'v:"c"': {}}}}`,
			want:       `{spec: {set: [a, b, 4]}}`,
		}, {
			name:       "a list that is owned as a whole, and is declared",
			wanted:     `{spec: {args: [a]}}`,
			live:       `{spec: {args: [a, b]}}`,
			controller: `{"f:spec": {"f:args": {}}}`,
			want:       `{spec: {args: [a]}}`,
		}, {
			name:       "a list and a map that are owned as a whole, and aren't declared",
			wanted:     `{spec: {}}`,
			live:       `{spec: {args: [a, b], selector: {a: b}, hand: [a]}}`,
			controller: `{"f:spec": {"f:args": {}, "f:selector": {}}}`,
			person:     `{"f:spec": {"f:hand": {}}}`,
			want:       `{spec: {args: [a, b], selector: {a: b}}}`,
		}, {
			name:       "an empty map",
			wanted:     `{spec: {volumes: [{name: a}]}}`,
			live:       `{spec: {volumes: [{name: a}, {name: b, emptyDir: {}}]}}`,
			controller: `{"f:spec": {"f:volumes": {'k:{"name":"b"}': {".": {}, "f:name": {}, "f:emptyDir": {}}}}}`,
			want:       `{spec: {volumes: [{name: a}, {name: b, emptyDir: {}}]}}`,
		}, {
			name:       "a map that a controller made and only a person has filled",
			wanted:     `{spec: {}}`,
			live:       `{spec: {map: {a: hand}}}`,
			controller: `{"f:spec": {"f:map": {}}}`,
			person:     `{"f:spec": {"f:map": {"f:a": {}}}}`,
			want:       `{spec: {}}`,
		}, {
			name:       "an item that a person made and a controller has written to keeps its keys",
			wanted:     `{spec: {}}`,
			live:       `{spec: {items: [{name: a, hand: 1, theirs: 2}]}}`,
			controller: `{"f:spec": {"f:items": {'k:{"name":"a"}': {"f:theirs": {}}}}}`,
			person:     `{"f:spec": {"f:items": {".": {}, 'k:{"name":"a"}': {".": {}, "f:name": {}, "f:hand": {}}}}}`,
			want:       `{spec: {items: [{name: a, theirs: 2}]}}`,
		}, {
			name:       "status, finalizers and owners have rules of their own",
			wanted:     `{metadata: {name: a}}`,
			live:       `{metadata: {name: a, finalizers: [x], ownerReferences: [{uid: u}]}, status: {a: b}}`,
			controller: `{"f:metadata": {"f:finalizers": {".": {}, 'v:"x"': {}}, "f:ownerReferences": {'k:{"uid":"u"}': {}}}, "f:status": {"f:a": {}}}`,
			want:       `{metadata: {name: a}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			live := plainYAML(t, c.live)
			metadata, _ := live["metadata"].(map[string]any)
			if metadata == nil {
				metadata = map[string]any{}
				live["metadata"] = metadata
			}
			var entries []any
			for manager, fields := range map[string]string{"cloud-controller-manager": c.controller, "kubectl-edit": c.person, FieldManager: c.ours} {
				if fields != "" {
					entries = append(entries, map[string]any{"manager": manager, "operation": "Update", "fieldsV1": plainYAML(t, fields)})
				}
			}
			metadata["managedFields"] = entries
			wanted := plainYAML(t, c.wanted)
			wantedBefore, liveBefore := cloneObject(wanted), cloneObject(live)
			got := Adopt(wanted, live)
			require.Equal(t, plainYAML(t, c.want), got)
			require.Equal(t, got, Adopt(got, live), "twice")
			require.Equal(t, wantedBefore, wanted)
			require.Equal(t, liveBefore, live)
		})
	}
}

func TestWhoseAdditionsStay(t *testing.T) {
	for _, manager := range []string{"cloud-controller-manager", "kube-controller-manager", "istio-pilot", "velero-server", "my-operator"} {
		require.True(t, addsForGood(manager), manager)
	}
	for _, manager := range []string{
		FieldManager, "kubectl", "kubectl-edit", "kubectl-client-side-apply", "helm", "Helm", "k9s", "node-fetch", "Mozilla", "curl",
		"oc", "rancher", "terraform-provider-kubernetes", "HashiCorp", "okteto", "before-first-apply", "unknown", "",
	} {
		require.False(t, addsForGood(manager), manager)
	}
	require.False(t, IsPerson("rancher"), "a finalizer of its controllers isn't for Git")
}

// tracked is an object that a server might have, with managed fields of some managers about parts of it.
func anyTracked(managers ...string) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		obj := map[string]any{"metadata": map[string]any{"name": "it"}, "spec": anySpec().Draw(t, "spec")}
		var entries []any
		for i, manager := range managers {
			set := map[string]any{}
			for _, place := range places(obj["spec"], []string{"f:spec"}, nil) {
				if rapid.IntRange(0, 2).Draw(t, fmt.Sprint(i, place)) == 0 {
					add(set, place)
				}
			}
			entries = append(entries, map[string]any{"manager": manager, "operation": "Update", "fieldsV1": set})
		}
		obj["metadata"].(map[string]any)["managedFields"] = entries
		return obj
	})
}

func anySpec() *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), anyStructure(3), 1, 3)
}

// anyStructure is made of maps, lists of named items, sets, and plain values.
func anyStructure(depth int) *rapid.Generator[any] {
	plain := rapid.SampledFrom([]any{"x", "y", int64(1), true, nil, map[string]any{}, []any{}})
	if depth == 0 {
		return plain
	}
	below := anyStructure(depth - 1)
	return rapid.OneOf(plain,
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), below, 0, 3), func(m map[string]any) any { return m }),
		rapid.Map(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p", "q", "r", "s"}), 0, 4, rapid.ID[string]), func(set []string) any {
			var list []any
			for _, item := range set {
				list = append(list, item)
			}
			return list
		}),
		rapid.Custom(func(t *rapid.T) any {
			list := []any{}
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"k", "l", "m"}), 0, 3, rapid.ID[string]).Draw(t, "names") {
				list = append(list, map[string]any{"name": name, "v": below.Draw(t, "value")})
			}
			return list
		}),
	)
}

// places are all that managed fields might tell of.
func places(value any, at []string, found [][]string) [][]string {
	here := append([]string{}, at...)
	found = append(found, here, append(here[:len(here):len(here)], "."))
	switch v := value.(type) {
	case map[string]any:
		for _, field := range fieldsIn(v, nil) {
			found = places(v[field], append(here[:len(here):len(here)], "f:"+field), found)
		}
	case []any:
		for _, item := range v {
			if element := itemElement(item, []string{"name"}); element != "" {
				found = places(item, append(here[:len(here):len(here)], element), found)
			}
		}
	}
	return found
}

// covers: everything that is declared is there as it was declared, items of lists in their order.
func covers(declared, got any) bool {
	switch d := declared.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for field, value := range d {
			ok = ok && covers(value, g[field])
		}
		return ok
	case []any:
		g, ok := got.([]any)
		for _, item := range g {
			if len(d) > 0 && covers(d[0], item) {
				d = d[1:]
			}
		}
		return ok && len(d) == 0
	}
	return reflect.DeepEqual(declared, got)
}

func TestAdoptingChangesNothingThatIsDeclared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := map[string]any{"metadata": map[string]any{"name": "it"}, "spec": anySpec().Draw(t, "git")}
		live := anyTracked("operator", "kubectl-edit", FieldManager).Draw(t, "live")
		wantedBefore, liveBefore := cloneObject(wanted), cloneObject(live)
		got := Adopt(wanted, live)
		if !covers(wanted, got) {
			t.Fatalf("declared:\n%s\ngot:\n%s", show(wanted), show(got))
		}
		if !reflect.DeepEqual(wanted, wantedBefore) || !reflect.DeepEqual(live, liveBefore) {
			t.Fatal("an input was changed")
		}
		if again := Adopt(got, live); !reflect.DeepEqual(again, got) {
			t.Fatalf("twice:\n%s\nonce:\n%s", show(again), show(got))
		}
	})
}

func TestOnlyControllersAreAdopted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := map[string]any{"metadata": map[string]any{"name": "it"}, "spec": anySpec().Draw(t, "git")}
		live := anyTracked("helm", "kubectl-edit", FieldManager, "before-first-apply").Draw(t, "live")
		if got := Adopt(wanted, live); !reflect.DeepEqual(got, wanted) {
			t.Fatalf("declared:\n%s\ngot:\n%s", show(wanted), show(got))
		}
	})
}
