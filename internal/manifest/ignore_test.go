package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func ignoring(t testing.TB, fields ...string) Selection {
	t.Helper()
	var s Selection
	for _, text := range fields {
		field, err := ParseIgnoredField(text)
		require.NoError(t, err)
		s.IgnoreFields = append(s.IgnoreFields, field)
	}
	return s
}

func TestIgnoredFieldsAreParsed(t *testing.T) {
	for text, want := range map[string]IgnoredField{
		"deployments.apps:/spec/replicas":                                      {"deployments.apps", []string{"spec", "replicas"}},
		"services:/metadata/annotations/example.com~1a~0b":                     {"services", []string{"metadata", "annotations", "example.com/a~b"}},
		"configmaps:/data/~01":                                                 {"configmaps", []string{"data", "~1"}},
		"*.cert-manager.io:/spec/a:b":                                          {"*.cert-manager.io", []string{"spec", "a:b"}},
		"deployments.apps:/spec/template/spec/containers/0/image":              {"deployments.apps", []string{"spec", "template", "spec", "containers", "0", "image"}},
		"deployments.apps:/spec/template/metadata/name":                        {"deployments.apps", []string{"spec", "template", "metadata", "name"}},
		"mutatingwebhookconfigurations.admissionregistration.k8s.io:/webhooks": {"mutatingwebhookconfigurations.admissionregistration.k8s.io", []string{"webhooks"}},
	} {
		field, err := ParseIgnoredField(text)
		require.NoError(t, err, text)
		require.Equal(t, want, field)
	}
	for text, says := range map[string]string{
		"":                                "is not a field",
		"deployments.apps":                "is not a field",
		"/spec/replicas":                  "is not a field",
		"deployments.apps:spec/replicas":  "is not a field",
		"deployments.apps:/":              "is not a field",
		"deployments.apps:/spec/":         "between two /",
		"deployments.apps:/spec//a":       "between two /",
		"deployments.apps:/spec/a~2":      "~1 is written for /",
		"deployments.apps:/spec/a~":       "~1 is written for /",
		"Deployment:/spec/replicas":       "is not a resource",
		"deployments.apps:/kind":          "says which object",
		"deployments.apps:/apiVersion":    "says which object",
		"deployments.apps:/metadata":      "says which object",
		"deployments.apps:/metadata/name": "says which object",
		"services:/metadata/namespace":    "says which object",
	} {
		_, err := ParseIgnoredField(text)
		require.ErrorContains(t, err, says, text)
	}
}

func TestIgnoredFieldsAreDropped(t *testing.T) {
	for _, c := range []struct {
		name, object string
		fields       []string
		want         string
	}{
		{"a field", `{spec: {replicas: 1, paused: true}}`, []string{"deployments.apps:/spec/replicas"}, `{spec: {paused: true}}`},
		{"what it was in stays", `{spec: {a: {b: 1}}}`, []string{"deployments.apps:/spec/a/b"}, `{spec: {a: {}}}`},
		{"of another resource", `{spec: {replicas: 1}}`, []string{"statefulsets.apps:/spec/replicas"}, `{spec: {replicas: 1}}`},
		{"of a whole group", `{spec: {replicas: 1}}`, []string{"*.apps:/spec/replicas"}, `{spec: {}}`},
		{"an annotation with a slash", `{metadata: {annotations: {a/b: x, c: x}}}`, []string{"deployments.apps:/metadata/annotations/a~1b"}, `{metadata: {annotations: {c: x}}}`},
		{"in an item", `{l: [{a: 1, b: 1}, {a: 2, b: 2}]}`, []string{"deployments.apps:/l/1/a"}, `{l: [{a: 1, b: 1}, {b: 2}]}`},
		{"items, whatever their order", `{l: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}`, []string{"deployments.apps:/l/0", "deployments.apps:/l/10", "deployments.apps:/l/9", "deployments.apps:/l/9"}, `{l: [1, 2, 3, 4, 5, 6, 7, 8]}`},
		{"an item and what is in it", `{l: [{a: 1}, {a: 2}]}`, []string{"deployments.apps:/l/0", "deployments.apps:/l/0/a"}, `{l: [{a: 2}]}`},
		{"what isn't there", `{l: [1], s: x, m: {}}`, []string{
			"deployments.apps:/l/1", "deployments.apps:/l/-", "deployments.apps:/l/00", "deployments.apps:/l/-1", "deployments.apps:/l/0/a",
			"deployments.apps:/l/a", "deployments.apps:/s/a", "deployments.apps:/m/a/b", "deployments.apps:/x",
		}, `{l: [1], s: x, m: {}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			obj := plainYAML(t, c.object)
			ignoring(t, c.fields...).DropIgnored(deployments, obj)
			require.Equal(t, plainYAML(t, c.want), obj)
		})
	}
}

func TestIgnoredFieldsKeepTheirLiveValues(t *testing.T) {
	for _, c := range []struct {
		name, git, live string
		fields          []string
		want            string
	}{
		{"Git's doesn't count", `{spec: {replicas: 1}}`, `{spec: {replicas: 5}}`, []string{"deployments.apps:/spec/replicas"}, `{spec: {replicas: 5}}`},
		{"absent stays absent", `{spec: {replicas: 1}}`, `{spec: {}}`, []string{"deployments.apps:/spec/replicas"}, `{spec: {}}`},
		{"Git has none", `{spec: {}}`, `{spec: {replicas: 5}}`, []string{"deployments.apps:/spec/replicas"}, `{spec: {replicas: 5}}`},
		{"Git has nothing that it could be in", `{}`, `{a: {b: {c: 1, d: 2}}}`, []string{"deployments.apps:/a/b/c"}, `{a: {b: {c: 1}}}`},
		{"Git has something else there", `{a: [x]}`, `{a: {b: 1}}`, []string{"deployments.apps:/a/b"}, `{a: [x]}`},
		{"the other fields are Git's", `{a: {x: git}}`, `{a: {x: live, b: 1}}`, []string{"deployments.apps:/a/b"}, `{a: {x: git, b: 1}}`},
		{"in an item", `{l: [{a: 1}, {a: 1}]}`, `{l: [{a: 2}, {a: 3}]}`, []string{"deployments.apps:/l/1/a"}, `{l: [{a: 1}, {a: 3}]}`},
		{"in an item that Git hasn't", `{l: [{a: 1}]}`, `{l: [{a: 2}, {a: 3}]}`, []string{"deployments.apps:/l/1/a"}, `{l: [{a: 1}]}`},
		{"items", `{l: [a, b, c]}`, `{l: [x, y, z]}`, []string{"deployments.apps:/l/0", "deployments.apps:/l/2"}, `{l: [x, b, z]}`},
		{"items that Git hasn't", `{l: [a]}`, `{l: [x, y, z]}`, []string{"deployments.apps:/l/1", "deployments.apps:/l/2"}, `{l: [a, y, z]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, live := plainYAML(t, c.git), plainYAML(t, c.live)
			before := cloneObject(live)
			s := ignoring(t, c.fields...)
			require.True(t, s.IgnoresFields(deployments))
			require.False(t, s.IgnoresFields(services))
			s.KeepIgnored(deployments, out, live)
			require.Equal(t, plainYAML(t, c.want), out)
			require.Equal(t, before, live)
		})
	}
}
