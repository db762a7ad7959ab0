package manifest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

// summary is what Decode said, in short: "line: object" for documents, "line! object: message" for problems.
func summary(documents []Document, problems []Problem) []string {
	lines := []string{}
	for _, d := range documents {
		lines = append(lines, fmt.Sprintf("%d: %s", d.Line, IDOf(d.Object)))
	}
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("%d! %s: %s", p.Line, p.Object, p.Message))
	}
	return lines
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\n"

func TestDecodeLayouts(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"one", configMap, []string{"1: ConfigMap ns/a"}},
		{"nothing", "", []string{}},
		{"comments", "# a\n\n---\n# b\n---\n---\n", []string{}},
		{"several", "# head\n" + configMap + "---\n" + configMap + "--- # again\n\n" + configMap + "...\n---\n", []string{"2: ConfigMap ns/a", "6: ConfigMap ns/a", "11: ConfigMap ns/a"}},
		{"byte order mark and CRLF", "\ufeff" + strings.ReplaceAll("---\n"+configMap+"---\n"+configMap, "\n", "\r\n"), []string{"2: ConfigMap ns/a", "6: ConfigMap ns/a"}},
		{"CR", strings.ReplaceAll(configMap+"---\n"+configMap, "\n", "\r"), []string{"1: ConfigMap ns/a", "1: ConfigMap ns/a"}},
		{"a directive", "%YAML 1.2\n---\n" + configMap, []string{"3: ConfigMap ns/a"}},
		{"a separator within text", configMap + "data:\n  k: |\n    ---\n    x\n---\n", []string{"1: ConfigMap ns/a"}},
		{"no separators", configMap + "data: {a: ---x, b: '...'}\n", []string{"1: ConfigMap ns/a"}},
		{
			"a list", "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(configMap, "\n", "\n  ") + "\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Namespace, metadata: {name: x}}\n- text\n",
			[]string{"1: ConfigMap ns/a", "1: Namespace x", "1! : items[2] of the List is text, not a Kubernetes object"},
		},
		{
			"a typed list", "---\napiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a, namespace: ns}\n- {kind: Namespace, metadata: {name: x}}\n",
			[]string{"2: ConfigMap ns/a", "2: Namespace x"},
		},
		{"an empty list", "apiVersion: v1\nkind: List\nitems:\n", []string{}},
		{"an object called list", "apiVersion: a.b/v1\nkind: AllowList\nmetadata: {name: a}\nitems: []\n", []string{"1: AllowList.a.b a"}},
		{"JSON", `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}, "data": {"k": "\ud83d\ude00\/"}}`, []string{"1: ConfigMap ns/a"}},
		{
			"JSON objects", "{\"apiVersion\": \"v1\",\n\t\"kind\": \"Namespace\", \"metadata\": {\"name\": \"a\"}}\n\n{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"b\"}}",
			[]string{"1: Namespace a", "4: Namespace b"},
		},
		{"flow style", "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: b}}", []string{"1: Namespace a", "3: Namespace b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, summary(Decode("a.yaml", []byte(c.file))))
		})
	}
}

func TestDecodeProblems(t *testing.T) {
	for _, c := range []struct {
		name, path, file string
		want             []string
	}{
		{"one bad document among good ones", "a.yaml", configMap + "---\na: b: c\n---\n" + configMap, []string{
			"1: ConfigMap ns/a", "7: ConfigMap ns/a", "5! : not valid YAML: mapping values are not allowed in this context",
		}},
		{"not closed", "a.yaml", "a: b\nc: {d\ne: f\n", []string{"3! : not valid YAML: did not find expected ',' or '}'"}},
		{"wrong indentation", "a.yaml", "---\na:\n  - b\n c: d\n", []string{"4! : not valid YAML: did not find expected key"}},
		{"no colon", "a.yaml", "a: b\n  c\nd\n", []string{"3! : not valid YAML: could not find expected ':'"}},
		{"a tab", "a.yaml", "a:\n\t- b", []string{"2! : " + messageTab}},
		{"a control character", "a.yaml", "a: b\nc: \x01\n", []string{"2! : not valid YAML: control characters are not allowed"}},
		{"given twice", "a.yaml", configMap + "---\n" + configMap + "data:\n  a: x\n  b: y\n  a: z\n", []string{"1: ConfigMap ns/a", "11! : " + messageDuplicate}},
		{"given twice in JSON", "a.yaml", `{"kind": "A", "kind": "B"}`, []string{`1! : duplicate field "kind": remove one of them`}},
		{"given twice, as text and as a number", "a.yaml", "1: a\n'1': b", []string{"1! : " + messageDuplicate}},
		{"unknown alias", "a.yaml", "a: *b", []string{"1! : not valid YAML: unknown anchor 'b' referenced"}},
		{"an alias of itself", "a.yaml", "a: &a [*a]", []string{"1! : not valid YAML: anchor 'a' value contains itself"}},
		{"a wrong tag doesn't tell the value", "a.yaml", "a: !!int s3cret", []string{"1! : not valid YAML: a value is not what its tag says"}},
		{"a map as key", "a.yaml", "{[s3cret]: b}: c", []string{"1! : not valid YAML: a map or a list is used as a key"}},
		{"null as key", "a.yaml", "~: c", []string{"1! : a key is neither text nor a number: put it in quotes"}},
		{"not a number", "a.yaml", "spec: {a: [.nan]}", []string{"1! : spec: a: [0]: the number NaN, which JSON can't hold"}},
		{"binary", "a.yaml", "a: !!binary gIGC", []string{"1! : a: binary content, which an object can't hold: give it in base64, without the tag !!binary"}},
		{"a list", "a.yaml", "- a", []string{"1! : the document is a list, not a Kubernetes object"}},
		{"text", "a.yaml", "---\n# x\nhello", []string{"3! : the document is text, not a Kubernetes object"}},
		{"UTF-16", "a.yaml", "\xff\xfea\x00", []string{"0! : the file is UTF-16: save it as UTF-8"}},
		{"Latin-1", "a.yaml", "a: b\nc: �\nd: \xfc\n", []string{"3! : the file is not UTF-8 text"}},
		{"LFS", "a.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:x\n", []string{"0! : the file is a Git LFS pointer, its content is not in Git: store manifests without LFS"}},
		{"too large", "a.yaml", strings.Repeat("# comment\n", maxFileSize/10+1), []string{"0! : the file has 10 MiB, more than the 10 MiB that are read: split it"}},
		{"too many values", "a.yaml", "[" + strings.Repeat("a,", maxValues) + "]", []string{"1! : the document has more than 1048576 values: split it"}},
		{"too deep", "a.yaml", strings.Repeat("[", 20_000), []string{"1! : not valid YAML: exceeded max depth of 10000"}},

		{"neither", "chart/settings.yaml", "replicas: 1", []string{"1! : the document is not a Kubernetes object, it has neither apiVersion nor kind: keep the files of other tools outside of the synced path"}},
		{"a chart", "chart/Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0", []string{"1! : the file is a Helm chart, which is not rendered: commit the output of helm template, and keep charts outside of the synced path"}},
		{"an overlay", "x/kustomization.yaml", "resources: [a.yaml]", []string{"1! : the file is a Kustomize overlay, which is not rendered: commit the output of kustomize build, and keep overlays outside of the synced path"}},
		{"an overlay by its kind", "a.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization", []string{"1! : the file is a Kustomize overlay, which is not rendered: commit the output of kustomize build, and keep overlays outside of the synced path"}},
		{"an object of Flux", "kustomization.yaml", "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a, namespace: ns}", []string{"1: Kustomization.kustomize.toolkit.fluxcd.io ns/a"}},
		{"a template", "a.yaml", "metadata:\n  {{- if .x }}\n  name: {{ .y }}\n", []string{"2! : not valid YAML: did not find expected node content; " + messageTemplate}},
		{"a template in a name", "a.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: '{{ .x }}'}", []string{"1! A {{ .x }}: metadata.name is not a name: " + messageTemplate}},
		{"SOPS", "a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: ns}\nsops: {mac: x}", []string{"1: Secret ns/a"}},

		{"no kind", "a.yaml", "apiVersion: v1\nmetadata: {name: a}", []string{`1! : kind must be text like "Deployment", but is missing`}},
		{"no apiVersion", "a.yaml", "kind: A\nmetadata: {name: a}", []string{`1! A a: apiVersion must be text like "v1" or "apps/v1", but is missing`}},
		{"apiVersion is a number", "a.yaml", "apiVersion: 1\nkind: A\nmetadata: {name: a}", []string{`1! A a: apiVersion must be text like "v1" or "apps/v1", but is a number`}},
		{"apiVersion is a path", "a.yaml", "apiVersion: ../../v1\nkind: A\nmetadata: {name: a}", []string{`1! A... a: apiVersion must be text like "v1" or "apps/v1"`}},
		{"no metadata", "a.yaml", "apiVersion: v1\nkind: A", []string{"1! : metadata must be a map with a name, but is missing"}},
		{"no name", "a.yaml", "apiVersion: v1\nkind: A\nmetadata: {namespace: ns}", []string{"1! : metadata.name must be text, but is missing"}},
		{"a number as name", "a.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: 12}", []string{"1! : metadata.name must be text, but is a number"}},
		{"a generated name", "a.yaml", "apiVersion: v1\nkind: A\nmetadata: {generateName: a-}", []string{"1! : the object has generateName instead of a name, each apply would make another one: give it metadata.name"}},
		{"a name with a slash", "a.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: a/b}", []string{`1! A a/b: metadata.name "a/b" is not a valid name: may not contain '/'`}},
		{"a bad namespace", "a.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: A_b}", []string{`1! A A_b/a: metadata.namespace "A_b" is not a valid namespace: lower case letters, digits and dashes`}},
		{"a label without quotes", "a.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: a, labels: {x: yes}}", []string{`1! A a: metadata.labels["x"] must be text, but is true or false: put it in quotes`}},
		{"annotations as a list", "a.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: a, annotations: [x]}", []string{`1! A a: metadata.annotations must be a map, but is a list`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			documents, problems := Decode(c.path, []byte(c.file))
			require.Equal(t, c.want, summary(documents, problems))
			for _, p := range problems {
				require.Equal(t, c.path, p.File)
				require.NotContains(t, p.Message, "s3cret")
			}
		})
	}
}

func TestDecodeBoundsItsAnswer(t *testing.T) {
	documents, problems := Decode("a.yaml", []byte(strings.Repeat("a\n---\n", 20_000)))
	require.Empty(t, documents)
	require.Len(t, problems, maxProblems+1)
	require.Equal(t, fmt.Sprintf("%d more problems in this file", maxDocuments-maxProblems+1), problems[maxProblems].Message)
}

func TestDecodeBoundsAliases(t *testing.T) {
	for _, file := range []string{
		// Each line is ten of the line before.
		"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
		"a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a, ", 100) + "]\n",
	} {
		documents, problems := Decode("a.yaml", []byte(file))
		require.Empty(t, documents)
		require.Len(t, problems, 1)
		require.Regexp(t, "alias", problems[0].Message)
	}
}

func TestDecodeAliasesAndMerges(t *testing.T) {
	documents, problems := Decode("a.yaml", []byte(configMap+"one: &x {a: 1, b: 2}\ntwo:\n  <<: *x\n  b: 3\nthree: [*x]\n"))
	require.Empty(t, problems)
	require.Equal(t, map[string]any{"a": int64(1), "b": int64(3)}, documents[0].Object["two"])
	require.Equal(t, []any{map[string]any{"a": int64(1), "b": int64(2)}}, documents[0].Object["three"])
}

// Numbers, booleans, keys and text are what kubectl takes them for.
func TestDecodeReadsAsKubectl(t *testing.T) {
	text := configMap + `spec: {int: 1, neg: -7, oct: 010, hex: 0x10, bin: 0b11, under: 1_000, float: 1.5, whole: 1.0, exp: 1e3, big: 9223372036854775807,
  huge: 12345678901234567890, "yes": yes, on: "on", off: off, tilde: ~, none: , date: 2026-01-01, sexagesimal: 1:30, 1: one, 1.5: half, version: 1.10.0}`
	documents, problems := Decode("a.yaml", []byte(text))
	require.Empty(t, problems)

	asJSON, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	fromJSON, problems := Decode("a.json", asJSON)
	require.Empty(t, problems)
	require.Equal(t, fromJSON[0].Object, documents[0].Object)
	spec := documents[0].Object["spec"].(map[string]any)
	require.Equal(t, int64(8), spec["oct"])
	require.Equal(t, int64(1), spec["whole"])
	require.Equal(t, 1.2345678901234567e19, spec["huge"])
}

func TestDecodeReadsTheSameInAnyLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var objects []map[string]any
		for range rapid.IntRange(1, 4).Draw(t, "objects") {
			obj := map[string]any{"apiVersion": "v1", "kind": "A", "metadata": map[string]any{"name": "a"}, "spec": anyValue(3).Draw(t, "spec")}
			text, err := Encode(obj)
			if err != nil {
				t.Fatal(err)
			}
			documents, problems := Decode("a.yaml", text)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			objects = append(objects, documents[0].Object)
		}
		var documents, items []string
		for _, obj := range objects {
			text, _ := Encode(obj)
			documents = append(documents, string(text))
			items = append(items, "- "+strings.TrimRight(strings.ReplaceAll(string(text), "\n", "\n  "), " "))
		}
		for _, layout := range []string{
			strings.Join(documents, "---\n"),
			"---\n" + strings.Join(documents, "...\n---\n# comment\n"),
			"kind: List\nitems:\n" + strings.Join(items, ""),
		} {
			read, problems := Decode("b.yaml", []byte(layout))
			if len(problems) > 0 || len(read) != len(objects) {
				t.Fatalf("%d objects, %v in %q", len(read), problems, layout)
			}
			for i, d := range read {
				if want, got := string(show(objects[i])), string(show(d.Object)); want != got {
					t.Fatalf("%q instead of %q", got, want)
				}
			}
		}
	})
}

// FuzzDecode: no file panics, takes long, or gives an object that can't be stored and read again.
// Each object is read again from the text of its place.
func TestLocateTellsWhereObjectsStand(t *testing.T) {
	const space = `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "%s"}}`
	a, b, c := fmt.Sprintf(space, "a"), fmt.Sprintf(space, "b"), fmt.Sprintf(space, "c")
	inner := `{"apiVersion": "v1", "kind": "List", "items": [` + b + `, ` + c + `]}`
	for _, at := range []struct {
		file   string
		places []Place
	}{
		{a, []Place{{0, 68, 0, nil}}},
		{"\ufeff" + a, []Place{{3, 71, 0, nil}}},
		{"# comment\n---\n" + a + "\n---\nno: object\n---\n" + b, []Place{{10, 83, 0, nil}, {98, 170, 0, nil}}},
		{a + "\n...\n" + b, []Place{{0, 69, 0, nil}, {73, 141, 0, nil}}},
		{a + "\n" + b, []Place{{0, 137, 0, nil}, {0, 137, 1, nil}}},
		{`{"apiVersion": "v1", "kind": "List", "items": [` + a + `, ` + inner + `, 5, ` + c + `]}`, []Place{{0, 379, 0, []int{0}}, {0, 379, 0, []int{1, 0}}, {0, 379, 0, []int{1, 1}}, {0, 379, 0, []int{3}}}},
	} {
		documents, places, _ := Locate("", []byte(at.file))
		require.Equal(t, at.places, places)
		require.Len(t, documents, len(places))
		for i, p := range places {
			values, err := Values([]byte(at.file)[p.Offset:p.End])
			require.NoError(t, err)
			value := values[p.Value]
			for _, item := range p.Items {
				value = value.(map[string]any)["items"].([]any)[item]
			}
			require.Equal(t, documents[i].Object, value)
		}
	}
	_, err := Values([]byte("a: b\n---\na: 1\na: 2\n"))
	require.EqualError(t, err, "line 4: a key is given twice in the same map: remove one of them")
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		configMap, configMap + "---\n" + configMap, "kind: List\nitems:\n- a: b\n", `{"apiVersion": "v1"}` + "\n" + `{"a": [1.5e3, "\ud800"]}`,
		"a: &a [b]\nc: *a\nd: {<<: *a}\n", "%YAML 1.1\n---\n!!binary gIGC\n...\n", "? [a]\n: b", "a: |+2\n   b\n\nc: >-\n d\n", "\xef\xbb\xbf\"\\x41\\u00e9\\N\"\r\n",
		"{{- if .x }}", "a:\n\t- b", "version https://git-lfs.github.com/spec/v1", "1: a\n'1': b", "a: .inf\nb: 0b1\nc: 1_0\n~: d", "sops: {mac: a}", "--- |\n a\n--- >\n b\n... \n",
	} {
		f.Add([]byte(seed))
	}
	if boutique, err := os.ReadFile("testdata/server/deployment-scaled.live.yaml"); err == nil {
		f.Add(boutique)
	}
	resources := allResources()
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, problems := Decode("a.yaml", data)
		for _, p := range problems {
			if p.File != "a.yaml" || p.Message == "" || p.Line < 0 || strings.Contains(p.Message, "\n") {
				t.Fatalf("%+v", p)
			}
		}
		for _, d := range documents {
			for _, r := range resources {
				Skip(r, d.Object, Selection{})
			}
			text, err := Encode(d.Object)
			if err != nil {
				t.Fatal(err)
			}
			again, problems := Decode("b.yaml", text)
			if len(again) != 1 || len(problems) > 0 {
				t.Fatalf("%v in %q", problems, text)
			}
			if twice, err := Encode(again[0].Object); err != nil || string(twice) != string(text) {
				t.Fatalf("%v: %q became %q", err, text, twice)
			}
		}
	})
}
