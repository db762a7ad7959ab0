package yamledit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

const (
	spaceA = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n"
	spaceB = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n"
	spaceC = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: c\n"
	jsonA  = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}`
	jsonB  = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b"}}`
)

func items(texts ...string) string {
	out := "apiVersion: v1\nkind: List\nitems:\n"
	for _, text := range texts {
		out += "# above\n- " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
	}
	return out
}

func TestRemoveTakesTheDocumentOrItem(t *testing.T) {
	for _, c := range []struct {
		name, file string
		index      int
		rest       string
		empty      bool
	}{
		{"the only document", spaceA, 0, "", true},
		{"the only document below a separator and a licence", "# licence\n---\n# about a\n" + spaceA, 0, "# licence\n", true},
		{"the first", spaceA + "---\n" + spaceB, 0, "---\n" + spaceB, false},
		{"the first, below a licence", "# licence\n\n# about a\n" + spaceA + "---\n" + spaceB, 0, "# licence\n\n---\n" + spaceB, false},
		{"the middle", spaceA + "---\n# about b\n" + spaceB + "--- # about c\n" + spaceC, 1, spaceA + "--- # about c\n" + spaceC, false},
		{"the last", spaceA + "---\n" + spaceB, 1, spaceA, false},
		{"behind an end marker", spaceA + "...\n" + spaceB, 1, spaceA + "...\n", false},
		{"CRLF and a byte order mark", strings.ReplaceAll("\ufeff"+spaceA+"---\n"+spaceB, "\n", "\r\n"), 0, strings.ReplaceAll("\ufeff---\n"+spaceB, "\n", "\r\n"), false},
		{"beside what is not an object", "a: b\n---\n" + spaceA, 0, "a: b\n", false},
		{"the first item", items(spaceA, spaceB), 0, items(spaceB), false},
		{"the last item", items(spaceA, spaceB, spaceC), 2, items(spaceA, spaceB), false},
		{"the only item", spaceA + "---\n" + items(spaceB), 1, spaceA, false},
		{"the only item of a List in a List", items(spaceA, items(spaceB)), 1, items(spaceA), false},
		{"an item in a List in a List", items(spaceA, strings.ReplaceAll(items(spaceB, spaceC), "# above\n", "")), 2, items(spaceA, strings.ReplaceAll(items(spaceB), "# above\n", "")), false},
		{"JSON beside JSON, the first", jsonA + "\n" + jsonB + "\n", 0, jsonB + "\n", false},
		{"JSON beside JSON, the last", jsonA + "\n" + jsonB + "\n", 1, jsonA + "\n", false},
		{"JSON", jsonA, 0, "", true},
		{"an item of a JSON List", `{"apiVersion":"v1","kind":"List","items":[` + jsonA + `,` + jsonB + `]}`, 0, `{"apiVersion":"v1","kind":"List","items":[` + jsonB + `]}`, false},
		{"one that an alias needs", "apiVersion: v1\nkind: List\nitems:\n- " + `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: &d {k: v}}` + "\n- " + `{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: *d}` + "\n", 0,
			"apiVersion: v1\nkind: List\nitems:\n- " + `{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {k: v}}` + "\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rest, empty, err := Remove([]byte(c.file), c.index)
			require.NoError(t, err)
			require.Equal(t, c.rest, string(rest))
			require.Equal(t, c.empty, empty)
		})
	}
}

func TestAppendAddsADocument(t *testing.T) {
	list := items(spaceA)
	for _, c := range []struct{ name, file, want string }{
		{"to nothing", "", spaceC},
		{"to comments", "# nothing yet\n", "# nothing yet\n" + spaceC},
		{"to a separator", spaceA + "---\n", spaceA + "---\n" + spaceC},
		{"to a document", spaceA, spaceA + "---\n" + spaceC},
		{"to one that lacks the last line break", strings.TrimSuffix(spaceA, "\n"), spaceA + "---\n" + spaceC},
		{"to a text that lacks the last line break", spaceA + "x: |\n  text", spaceA + "x: |-\n  text\n---\n" + spaceC},
		{"to an end marker", spaceA + "...\n", spaceA + "...\n" + spaceC},
		{"to a List", list, list + "---\n" + spaceC},
		{"to CRLF", strings.ReplaceAll(spaceA, "\n", "\r\n"), strings.ReplaceAll(spaceA+"---\n"+spaceC, "\n", "\r\n")},
		{"to a line of JSON", jsonA + "\n", jsonA + "\n" + strings.ReplaceAll(jsonA, `"a"`, `"c"`) + "\n"},
		{"to JSON", "{\n \"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n \"metadata\": {\"name\": \"a\"}\n}", "{\n \"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n \"metadata\": {\"name\": \"a\"}\n}\n{\n \"apiVersion\": \"v1\",\n \"kind\": \"Namespace\",\n \"metadata\": {\n  \"name\": \"c\"\n }\n}\n"},
		{"to what is not an object", "a: b\n", "a: b\n---\n" + spaceC},
	} {
		t.Run(c.name, func(t *testing.T) {
			added, _ := manifest.Decode("", []byte(spaceC))
			got, err := Append([]byte(c.file), added[0].Object)
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
}

func TestWhatCanNotBeDoneIsSaid(t *testing.T) {
	_, err := Edit([]byte(spaceA), 1, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "a"}})
	require.EqualError(t, err, "there is no object 1 in the file, it has 1")
	_, _, err = Remove([]byte("a: b\n"), 0)
	require.EqualError(t, err, "there is no object 0 in the file, it has 0")
	_, err = Edit([]byte(spaceA), 0, map[string]any{"apiVersion": "v1"})
	require.ErrorContains(t, err, "can't be written to a file: kind must be text")
	_, err = Append([]byte(spaceA), map[string]any{"apiVersion": "v1", "kind": "List", "items": []any{}})
	require.ErrorContains(t, err, "can't be written to a file as one object")
}
