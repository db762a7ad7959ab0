package preview

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

func encoded(t require.TestingT, object map[string]any) []byte {
	text, err := manifest.Encode(object)
	require.NoError(t, err)
	return text
}

// values are secret enough not to be found by chance.
func values(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.StringMatching(`v4lue-[a-zA-Z0-9"'<>\n :#{}-]{8,40}z`), 1, 4).Draw(t, label)
}

// secretWith puts each value somewhere into an object: where a Secret has it, where people and tools copy it to,
// and where it doesn't belong.
func secretWith(t *rapid.T, kind string, all []string) map[string]any {
	data, texts, annotations := map[string]any{}, map[string]any{}, map[string]any{}
	object := map[string]any{
		"apiVersion": "v1", "kind": kind, "type": "Opaque",
		"metadata": map[string]any{"name": "db", "namespace": "shop", "annotations": annotations},
	}
	for i, value := range all {
		key := string(rune('a' + i))
		switch rapid.IntRange(0, 4).Draw(t, "place") {
		case 0:
			data[key] = base64.StdEncoding.EncodeToString([]byte(value))
		case 1:
			texts[key] = value
		case 2:
			data[key] = base64.StdEncoding.EncodeToString([]byte(value))
			annotations["example.com/copy-"+key] = "is " + value + "."
			annotations[lastApplied] = `{"data":{"` + key + `":"` + value + `"}}`
		case 3:
			object["extra-"+key] = map[string]any{"list": []any{value, int64(3)}}
		case 4:
			data[key] = []any{map[string]any{"deep": value}}
		}
	}
	if rapid.Bool().Draw(t, "malformed") {
		object["data"] = all[0]
		clear(annotations) // of values that the object doesn't hold otherwise, nobody can know
	} else {
		object["data"] = data
	}
	if len(texts) > 0 {
		object["stringData"] = texts
	}
	return object
}

func TestNoSecretValueIsInADiff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"Secret", "ConfigMap"}).Draw(t, "kind")
		before, after := values(t, "before"), values(t, "after")
		if rapid.Bool().Draw(t, "same") {
			after = before
		}
		was, is := encoded(t, secretWith(t, kind, before)), encoded(t, secretWith(t, kind, after))
		if rapid.Bool().Draw(t, "with a neighbour") {
			is = append([]byte("kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n---\n"), is...)
		}
		if rapid.Bool().Draw(t, "with a broken neighbour") {
			is = append(is, []byte("---\na: [\n")...)
		}
		for _, sides := range [][2][]byte{{was, is}, {was, nil}, {nil, is}} {
			diff, masked := compared("a", "b", sides[0], sides[1], kind != "Secret")
			require.True(t, masked)
			for _, value := range append(before, after...) {
				for _, form := range []string{value, base64.StdEncoding.EncodeToString([]byte(value))} {
					require.NotContains(t, diff, form)
					for line := range strings.Lines(form) { // YAML may break a text at its lines
						if line = strings.TrimSpace(line); len(line) > 8 {
							require.NotContains(t, diff, line)
						}
					}
				}
			}
		}
	})
}

func TestMaskedDiffShowsWhichValuesChange(t *testing.T) {
	secret := func(data string) []byte {
		return []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: db, labels: {team: shop}}\ntype: Opaque\n" + data)
	}
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, c := range map[string]struct {
		before, after []byte
		has           []string
		lacks         string
	}{
		"changed": {
			secret("data: {password: " + b64("one") + ", user: " + b64("me") + "}"), secret("data: {password: " + b64("two") + ", user: " + b64("me") + "}"),
			[]string{"-  password: '***'\n+  password: '*** (changed)'\n", "   user: '***'\n"}, "-  user",
		},
		"added":    {secret("data: {}"), secret("data: {token: " + b64("x") + "}"), []string{"+  token: '***'\n"}, "(changed)"},
		"taken":    {secret("data: {token: " + b64("x") + "}"), secret("data: {}"), []string{"-  token: '***'\n"}, "(changed)"},
		"all new":  {nil, secret("data: {token: " + b64("x") + "}"), []string{"--- /dev/null\n", "+  token: '***'\n", "+  name: db\n"}, "(changed)"},
		"all gone": {secret("data: {token: " + b64("x") + "}"), nil, []string{"+++ /dev/null\n", "-  token: '***'\n"}, "(changed)"},
		"label":    {secret("data: {}"), []byte(strings.Replace(string(secret("data: {}")), "team: shop", "team: till", 1)), []string{"-    team: shop\n+    team: till\n"}, "***"},
	} {
		t.Run(name, func(t *testing.T) {
			diff, masked := compared("a", "b", c.before, c.after, false)
			require.True(t, masked)
			for _, line := range c.has {
				require.Contains(t, diff, line)
			}
			require.NotContains(t, diff, c.lacks)
		})
	}
	diff, _ := compared("a", "b", secret("data: {password: "+b64("one")+"}"), secret("stringData: {password: one}"), false)
	require.Empty(t, diff, "the same value in another form is no change")
}

func TestWhatIsNoSecretIsShownAsItIs(t *testing.T) {
	diff, masked := compared("a", "b", []byte("# mine\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n"),
		[]byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n"), false)
	require.False(t, masked)
	require.Contains(t, diff, "-# mine\n")
}

func TestFileThatMayHoldASecretAndCanNotBeReadIsNotShown(t *testing.T) {
	diff, masked := compared("a", "b", []byte("kind: Secret\nstringData: {password: hunter2\n"), nil, false)
	require.True(t, masked)
	require.Empty(t, diff)
	diff, masked = compared("a", "b", []byte("a: [\n"), nil, false)
	require.False(t, masked)
	require.Contains(t, diff, "-a: [\n")
}
