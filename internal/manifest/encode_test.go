package manifest

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

func TestEncodeIsCanonical(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{int64(1), "1"}, {float64(1), "1"}, {math.Copysign(0, -1), "0"}, {0.5, "0.5"}, {1e-7, "1e-07"},
		{1234567.5, "1.2345675e+06"}, {float64(1 << 53), "9007199254740992"}, {int64(math.MaxInt64), "9223372036854775807"},
		{1.2345678901234567e19, "12345678901234567000"}, {1e20, "1e+20"}, {1e300, "1e+300"},
		{"1", `"1"`}, {"yes", `"yes"`}, {"y", `"y"`}, {"null", `"null"`}, {"", `""`}, {"~", `"~"`}, {"0x10", `"0x10"`}, {"1:30", `"1:30"`},
		{"2026-01-01", `"2026-01-01"`}, {"\xff", "�"}, {"\x7f", `"\x7F"`}, {"tab\there", "\"tab\\there\""},
		{nil, "null"}, {map[string]any{}, "{}"}, {[]any{}, "[]"}, {map[string]any(nil), "null"}, {[]any(nil), "null"}, {true, "true"},
	} {
		require.Equal(t, "v: "+c.want+"\n", encode(t, map[string]any{"v": c.value}))
	}
	_, err := Encode(map[string]any{"kind": "A", "spec": map[string]any{"v": []any{math.NaN()}}})
	require.EqualError(t, err, "encode A : spec: v: [0]: the number NaN, which JSON can't hold")
	_, err = Encode(map[string]any{"v": struct{}{}})
	require.Error(t, err)
}

func TestEncodeGivesTheBytesOfTheKubernetesLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obj := map[string]any{rapid.String().Draw(t, "key"): oneKeyEach(anyValue(4).Draw(t, "value"))}
		before := cloneObject(obj)
		got, err := Encode(obj)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(obj, before) {
			t.Fatal("the object was changed")
		}
		want, err := yaml.Marshal(obj)
		if err != nil || bytes.Contains(got, []byte(`\N`)) || hasMergeKey(obj) {
			return // It refuses control characters, makes a space of U+0085, and a merge of a key "<<".
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%q instead of %q", got, want)
		}
	})
}

// oneKeyEach leaves one key in each map, so that there is no order of them.
func oneKeyEach(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			return map[string]any{key: oneKeyEach(below)}
		}
	case []any:
		for i := range v {
			v[i] = oneKeyEach(v[i])
		}
	}
	return value
}

// These keys go round in a circle in the order that the YAML library sorts them in.
func TestEncodeOrdersKeysTheSameWayEachTime(t *testing.T) {
	obj := map[string]any{}
	for _, key := range []string{"40ycS2TAu-wu", "4D", "8i", "9q-", "21z.vvu8tSn", "0.", "0", "a10", "a2", "By", "_2"} {
		obj[key] = "x"
	}
	text := encode(t, obj)
	require.Equal(t, "\"0\": x\n\"0.\": x\n21z.vvu8tSn: x\n40ycS2TAu-wu: x\n4D: x\n8i: x\n9q-: x\nBy: x\n_2: x\na10: x\na2: x\n", text)
	for range 100 {
		require.Equal(t, text, encode(t, cloneObject(obj)))
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obj := map[string]any{
			"apiVersion": "v1", "kind": "A", "metadata": map[string]any{"name": "a"},
			"spec": anyValue(4).Draw(t, "spec"), "z": anyValue(2).Draw(t, "z"),
		}
		text, err := Encode(obj)
		if err != nil {
			t.Fatal(err)
		}
		documents, problems := Decode("a.yaml", text)
		if len(documents) != 1 || len(problems) > 0 {
			t.Fatalf("%v in %q", problems, text)
		}
		again, err := Encode(documents[0].Object)
		if err != nil || !bytes.Equal(text, again) {
			t.Fatalf("%v: %q instead of %q", err, again, text)
		}
	})
}

func TestHashIsThatOfGit(t *testing.T) {
	// echo 'a: b' | git hash-object --stdin
	require.Equal(t, "26a745ddb6d38e2a9c75d0035c81ca98ae530474", Hash([]byte("a: b\n")).String())
}

func TestEncodeFoldsNothingAway(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("word ", 100), strings.Repeat("word\n", 100), " lead\n and\ttabs \n\n", "trail\n\n", "\n", "a\r\nb", "# no\n",
		strings.Repeat("x", 5000), "é " + strings.Repeat("ü ", 80), "\u2028", "a\u0085b", "\ufeff",
	} {
		encoded := encode(t, map[string]any{"apiVersion": "v1", "kind": "A", "metadata": map[string]any{"name": "a"}, "data": text})
		documents, problems := Decode("a.yaml", []byte(encoded))
		require.Empty(t, problems)
		require.Equal(t, text, documents[0].Object["data"], "%q", encoded)
	}
}

func TestAKeyThatLooksLikeAMergeIsKept(t *testing.T) {
	object := map[string]any{
		"apiVersion": "example.com/v1", "kind": "Merge", "metadata": map[string]any{"name": "a"},
		"spec": map[string]any{"<<": map[string]any{"b": int64(1)}, "list": []any{map[string]any{"<<": "c<d"}}, "text": "x\n<<: y\n"},
	}
	yaml, err := Encode(object)
	require.NoError(t, err)
	documents, problems := Decode("a.yaml", yaml)
	require.Empty(t, problems)
	require.Equal(t, object, documents[0].Object)

	object["spec"] = map[string]any{"text": "x\n<<: y\n"}
	yaml, err = Encode(object)
	require.NoError(t, err)
	require.Contains(t, string(yaml), "text: |", "text is none")
}
