package yamledit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	yamlv2 "go.yaml.in/yaml/v2"
	yamlv3 "go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Whatever an object holds, however it is written and whatever is changed in it: the file holds what is wanted
// afterwards, other documents have the same bytes, and so have the fields that didn't change.
func TestEditIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := anyFile(t)
		documents, _ := manifest.Decode("", file)
		if len(documents) == 0 { // nothing but comments
			file = []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: alone}}\n")
			documents, _ = manifest.Decode("", file)
		}
		index := rapid.IntRange(0, len(documents)-1).Draw(t, "index")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)) //nolint:gosec // a test's edits
		want := mutateObject(random, documents[index].Object)

		got, err := Edit(file, index, want)

		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		if problem := notAsWanted(file, got, index, want); problem != "" {
			t.Fatalf("%s\nbefore:\n%q\nafter:\n%q\nwant: %v", problem, file, got, want)
		}
		if problem := touched(file, got, index, want); problem != "" {
			t.Fatalf("%s\nbefore:\n%s\nafter:\n%s\nwant: %v", problem, file, got, want)
		}
	})
}

func TestRemoveAndAppendAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := anyFile(t)
		documents, _ := manifest.Decode("", file)
		object := anyObject(99).Draw(t, "object")

		longer, err := Append(file, object)
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		now, _ := manifest.Decode("", longer)
		if len(now) != len(documents)+1 || !sameObjects(now[:len(documents)], documents) {
			t.Fatalf("before:\n%s\nafter:\n%s", file, longer)
		}
		index := rapid.IntRange(0, len(documents)).Draw(t, "index")
		rest, empty, err := Remove(longer, index)
		if err != nil {
			t.Fatalf("%v\n%s", err, longer)
		}
		if after, _ := manifest.Decode("", rest); !sameObjects(after, slices.Delete(now, index, index+1)) || empty && len(after) > 0 {
			t.Fatalf("before:\n%s\nafter:\n%s", longer, rest)
		}
	})
}

// notAsWanted says what is wrong with an edited file.
func notAsWanted(before, after []byte, index int, want map[string]any) string {
	old, oldPlaces, _ := manifest.Locate("", before)
	now, places, _ := manifest.Locate("", after)
	if len(old) != len(now) {
		return fmt.Sprintf("%d objects became %d", len(old), len(now))
	}
	edited := oldPlaces[index]
	for i := range now {
		expected := old[i].Object
		if i == index {
			expected = want
		}
		if !equal(now[i].Object, expected) {
			return fmt.Sprintf("object %d is %v", i, now[i].Object)
		}
		was, is := before[oldPlaces[i].Offset:oldPlaces[i].End], after[places[i].Offset:places[i].End]
		if oldPlaces[i].Offset != edited.Offset && !bytes.Equal(was, is) {
			return fmt.Sprintf("document %d has other bytes", i)
		}
	}
	if !bytes.HasPrefix(after, before[:edited.Offset]) || !bytes.HasSuffix(after, before[edited.End:]) {
		return "the text around the document has other bytes"
	}
	return ""
}

// touched says which field, and what on top of the document, doesn't have the bytes that it had, though its
// value is the same.
func touched(before, after []byte, index int, want map[string]any) string {
	old, places, _ := manifest.Locate("", before)
	place := places[index]
	d, err := parse(before[place.Offset:place.End], place.Value, before)
	if err != nil {
		return err.Error()
	}
	n := d.root
	for _, i := range place.Items {
		n = n.field("items").entries[i].value
	}
	rest := after[place.Offset:]
	if top := d.text[:n.start]; !bytes.HasPrefix(rest, top) {
		return fmt.Sprintf("what stands above has other bytes: %s", top)
	}
	for _, e := range n.entries {
		value, has := want[e.key.value]
		// A text that the file ends in without a line break needs another header once something follows.
		if !has || !equal(value, old[index].Object[e.key.value]) || e.value.end == len(d.text) {
			continue
		}
		text := d.text[e.start:e.value.end]
		at := bytes.Index(rest, text)
		if at < 0 {
			return fmt.Sprintf("a field that didn't change has other bytes: %s", text)
		}
		rest = rest[at+len(text):]
	}
	return ""
}

var someTexts = []any{
	"", "a", "None", "yes", "x: y", "- a", "0x10", "1e3", "2020-01-01", " padded ", "two\nlines\n", "no\nend", "\nblank\n\nlines\n\n",
	"  indented\nfirst\n", "tab\t", "# no", "it's", `"quoted"`, "long " + strings.Repeat("and longer ", 20), "é😀", "\x07", "a\r\nb",
	"---\n", "key: |\n  more\n", "<<", "=", "~", "{a}", "[b", "a, b", "a #b", "*a", "&b", "!c", "%d", "@e", "trailing \nspace \n",
}

func anyValue(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.SampledFrom([]any{nil, true, false, int64(0), int64(-5), int64(8080), 1.5, 1e300, map[string]any{}, []any{}}),
		rapid.SampledFrom(someTexts),
		rapid.SampledFrom(someTexts),
		rapid.Map(rapid.String(), func(v string) any { return v }),
	}
	if depth > 0 {
		named := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 1, 4, rapid.ID[string])
		kinds = append(kinds,
			rapid.Map(rapid.MapOfN(anyKey, anyValue(depth-1), 0, 4), func(v map[string]any) any { return v }),
			rapid.Map(rapid.MapOfN(anyKey, anyValue(depth-1), 0, 4), func(v map[string]any) any { return v }),
			rapid.Map(rapid.SliceOfN(anyValue(depth-1), 0, 4), func(v []any) any { return v }),
			rapid.Custom(func(t *rapid.T) any {
				var list []any
				for _, name := range named.Draw(t, "names") {
					list = append(list, map[string]any{"name": name, "more": anyValue(depth-1).Draw(t, "more")})
				}
				return list
			}))
	}
	return rapid.OneOf(kinds...)
}

var anyKey = rapid.OneOf(rapid.StringMatching(`[a-z./]{1,4}`), rapid.SampledFrom([]string{"yes", "8080", "a b", "x: y", "é", "#", "null", "<<"}))

func anyObject(number int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		object := rapid.MapOfN(anyKey, anyValue(3), 0, 4).Draw(t, "fields")
		object["apiVersion"], object["kind"] = "v1", "Thing"
		object["metadata"] = map[string]any{"name": fmt.Sprintf("it-%d", number), "labels": map[string]any{"app": "yes"}}
		return object
	})
}

// anyFile has some objects in the style of some writer, and comments anywhere.
func anyFile(t *rapid.T) []byte {
	var parts []string
	for i := range rapid.IntRange(1, 3).Draw(t, "documents") {
		value := any(anyObject(i).Draw(t, "object"))
		if rapid.IntRange(0, 4).Draw(t, "list") == 0 {
			value = map[string]any{"apiVersion": "v1", "kind": "List", "items": []any{value, anyObject(i+10).Draw(t, "object")}}
		}
		parts = append(parts, written(t, value))
	}
	text := strings.Join(parts, rapid.SampledFrom([]string{"---\n", "--- # next\n", "...\n---\n"}).Draw(t, "separator"))
	text = rapid.SampledFrom([]string{"", "", "# top\n", "---\n", "\ufeff"}).Draw(t, "top") + text
	switch rapid.IntRange(0, 5).Draw(t, "breaks") {
	case 0:
		text = strings.ReplaceAll(text, "\n", "\r\n")
	case 1:
		text = strings.TrimSuffix(text, "\n")
	}
	return []byte(text)
}

func written(t *rapid.T, value any) string {
	var out bytes.Buffer
	switch rapid.IntRange(0, 5).Draw(t, "writer") {
	case 0:
		text, err := json.MarshalIndent(value, "", rapid.SampledFrom([]string{"", " ", "\t", "    "}).Draw(t, "indent"))
		if err == nil {
			return string(text) + "\n"
		}
	case 1:
		text, err := json.Marshal(value)
		if err == nil {
			return string(text) + "\n"
		}
	case 2:
		text, err := yamlv2.Marshal(value)
		if err == nil {
			return strew(t, string(text))
		}
	}
	encoder := yamlv3.NewEncoder(&out)
	encoder.SetIndent(rapid.IntRange(2, 5).Draw(t, "indent"))
	if rapid.Bool().Draw(t, "compact") {
		encoder.CompactSeqIndent()
	}
	var n yamlv3.Node
	if n.Encode(value) != nil {
		t.Skip("not to be encoded")
	}
	restyle(t, &n)
	if encoder.Encode(&n) != nil {
		t.Skip("not to be encoded")
	}
	return strew(t, out.String())
}

// restyle gives the values another style each. It shuffles the keys.
func restyle(t *rapid.T, n *yamlv3.Node) {
	switch n.Kind {
	case yamlv3.ScalarNode:
		if n.Tag == "!!str" && n.Style == 0 {
			n.Style = rapid.SampledFrom([]yamlv3.Style{0, 0, yamlv3.SingleQuotedStyle, yamlv3.DoubleQuotedStyle, yamlv3.LiteralStyle, yamlv3.FoldedStyle}).Draw(t, "style")
		}
	case yamlv3.MappingNode, yamlv3.SequenceNode:
		if rapid.IntRange(0, 4).Draw(t, "flow") == 0 {
			n.Style = yamlv3.FlowStyle
		}
		if count := len(n.Content) / 2; n.Kind == yamlv3.MappingNode && count > 1 && rapid.Bool().Draw(t, "shuffle") {
			i, j := rapid.IntRange(0, count-1).Draw(t, "i"), rapid.IntRange(0, count-1).Draw(t, "j")
			n.Content[2*i], n.Content[2*j] = n.Content[2*j], n.Content[2*i]
			n.Content[2*i+1], n.Content[2*j+1] = n.Content[2*j+1], n.Content[2*i+1]
		}
	}
	for i, below := range n.Content {
		if n.Kind == yamlv3.MappingNode && i%2 == 0 {
			continue
		}
		restyle(t, below)
	}
}

// strew puts comments and blank lines between the lines, and comments behind them. In a text they are text.
func strew(t *rapid.T, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		switch rapid.IntRange(0, 14).Draw(t, "strew") {
		case 0:
			out.WriteString(indent + "# above\n" + line)
		case 1:
			out.WriteString(strings.TrimSuffix(line, "\n") + "  # behind\n")
		case 2:
			out.WriteString(line + "\n" + indent + "    # deeper\n")
		case 3:
			out.WriteString("# at the margin\n\n" + line)
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}

// mutateObject changes a few things in an object, but for what makes it one.
func mutateObject(random *rand.Rand, object map[string]any) map[string]any {
	out, ok := mutate(random, object, 3).(map[string]any)
	for !ok {
		out, ok = mutate(random, object, 3).(map[string]any)
	}
	for _, key := range []string{"apiVersion", "kind", "metadata"} {
		out[key] = object[key]
	}
	if random.IntN(2) == 0 {
		metadata := maps.Clone(object["metadata"].(map[string]any))
		metadata["labels"] = map[string]any{"app": "no", "more": fmt.Sprint(random.IntN(3))}
		out["metadata"] = metadata
	}
	return out
}

// mutate changes about one in so many of the values.
func mutate(random *rand.Rand, value any, one int) any {
	fresh := func() any {
		switch random.IntN(8) {
		case 0:
			return map[string]any{"new": someTexts[random.IntN(len(someTexts))], "list": []any{int64(1), map[string]any{"name": "x", "value": []any{"y"}}}}
		case 1:
			return []any{"x", someTexts[random.IntN(len(someTexts))]}
		case 2:
			return int64(random.IntN(100))
		}
		return someTexts[random.IntN(len(someTexts))]
	}
	if random.IntN(4*one) == 0 {
		return fresh()
	}
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if random.IntN(3*one) > 0 {
				out[key] = mutate(random, v[key], one)
			}
		}
		if random.IntN(one) == 0 {
			out[[]string{"added", "b", "yes", "zz", "a b"}[random.IntN(5)]] = fresh()
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			if random.IntN(3*one) > 0 {
				out = append(out, mutate(random, item, one))
			}
		}
		if random.IntN(2*one) == 0 {
			out = slices.Insert(out, random.IntN(len(out)+1), fresh())
		}
		if random.IntN(2*one) == 0 {
			random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		}
		return out
	}
	if random.IntN(2*one) == 0 {
		return fresh()
	}
	return value
}

func FuzzEdit(f *testing.F) {
	for _, seed := range []string{
		spaceA + "---\n" + spaceB, items(spaceA, spaceB), jsonA + jsonB,
		"apiVersion: v1\nkind: T\nmetadata: &m {name: a}\nspec:\n  a: &a {b: 1}\n  b: *a\n  c:\n    <<: *a\n    d: |2-\n       x\n    e: >+\n     y\n\n  ? f\n  : g\n",
		"apiVersion: v1\nkind: T\nmetadata:\n  name: a\nspec:\n- - 'x''y' # c\n  -\n- !!str 5\n- [a, b: c, {d}]\n- \"e\\\n  f\"\n- g\n  h\n",
	} {
		f.Add([]byte(seed), uint64(1))
		f.Add([]byte(strings.ReplaceAll(seed, "\n", "\r\n")), uint64(2))
	}
	// These were found.
	f.Add([]byte("apiVersion: a\nkind: A\nmetadata:\n name: A\nY:\n- - 0\n  -\n- \n- [0,0: ,{0}]"), uint64(54))
	f.Add([]byte("apiVersion: a\nkind: A0\nmetadata:\r name: A\r---"), uint64(1))
	f.Add([]byte("{\"apiVersion\":\"a\",\"kind\":\"A\",\"metadata\":{\"name\":A}}00"), uint64(2))
	f.Fuzz(func(t *testing.T, file []byte, seed uint64) {
		documents, problems := manifest.Decode("", file)
		if len(documents) == 0 || len(problems) > 0 {
			return
		}
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's edits
		index := random.IntN(len(documents))
		want, err := canonical(mutateObject(random, documents[index].Object))
		if err != nil {
			return
		}
		// By line breaks that nobody else takes for such, YAML may have separators that Decode doesn't know.
		odd := bytes.ContainsAny(bytes.ReplaceAll(file, []byte("\r\n"), nil), "\r\u0085\u2028\u2029")
		got, err := Edit(file, index, want)
		if !odd {
			require.NoError(t, err)
		}
		if err == nil {
			require.Empty(t, notAsWanted(file, got, index, want), "%q", got)
		}
		longer, err := Append(file, want)
		if odd && err != nil {
			return
		}
		require.NoError(t, err)
		rest, _, err := Remove(longer, index)
		if !odd {
			require.NoError(t, err)
		}
		if err == nil {
			now, _ := manifest.Decode("", rest)
			require.Len(t, now, len(documents))
		}
	})
}
