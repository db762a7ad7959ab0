package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOverwrittenNamesWhoAndWhat(t *testing.T) {
	entry := func(manager, time, fields string) map[string]any {
		return map[string]any{"manager": manager, "operation": "Update", "time": time, "fieldsV1": plainYAML(t, fields)}
	}
	own := entry(FieldManager, "2026-01-01T12:00:09Z", `{"f:spec": {"f:a": {}, "f:b": {}}}`)
	status := entry("kube-controller-manager", "2026-01-01T12:00:08Z", `{"f:status": {}}`)
	status["subresource"] = "status"
	for _, c := range []struct {
		name, before, after string
		managers            []any
		want                Overwrite
	}{
		{
			"the one that owns what differs", `{spec: {a: 1, b: 1}, status: {n: 1}}`, `{spec: {a: 2, b: 1}, status: {n: 2}}`,
			[]any{own, status, entry("bully", "2026-01-01T12:00:01Z", `{"f:spec": {"f:a": {}}}`), entry("other", "2026-01-01T12:00:02Z", `{"f:spec": {"f:b": {}}}`)},
			Overwrite{"bully", []string{"/spec/a"}},
		}, {
			"the last of several", `{spec: {a: 1, b: 1}}`, `{spec: {a: 2, b: 2}}`,
			[]any{entry("bully", "2026-01-01T12:00:03Z", `{"f:spec": {"f:a": {}}}`), entry("other", "2026-01-01T12:00:02Z", `{"f:spec": {"f:b": {}}}`)},
			Overwrite{"bully", []string{"/spec/a", "/spec/b"}},
		}, {
			"the last one where something was taken away", `{spec: {}}`, `{spec: {a: 2}}`,
			[]any{own, status, entry("other", "2026-01-01T12:00:01Z", `{"f:spec": {"f:b": {}}}`), entry("bully", "2026-01-01T12:00:02Z", `{"f:spec": {"f:c": {}}}`)},
			Overwrite{"bully", []string{"/spec/a"}},
		}, {
			"nobody but the sync", `{spec: {a: 1}}`, `{spec: {a: 2}}`, []any{own, status}, Overwrite{"", []string{"/spec/a"}},
		}, {
			"in an item", `{spec: {l: [{name: x, v: 1}, {name: z, v: 1}]}}`, `{spec: {l: [{name: x, v: 1}, {name: z, v: 2}]}}`,
			[]any{entry("bully", "2026-01-01T12:00:01Z", `{"f:spec": {"f:l": {'k:{"name":"z"}': {"f:v": {}}}}}`), entry("other", "2026-01-01T12:00:02Z", `{"f:spec": {"f:l": {'k:{"name":"x"}': {"f:v": {}}}}}`)},
			Overwrite{"bully", []string{"/spec/l/1/v"}},
		}, {
			"a list of another length, owned as a whole", `{spec: {l: [a]}}`, `{spec: {l: [a, b]}}`,
			[]any{entry("bully", "2026-01-01T12:00:01Z", `{"f:spec": {"f:l": {}}}`), entry("other", "2026-01-01T12:00:02Z", `{"f:spec": {"f:b": {}}}`)},
			Overwrite{"bully", []string{"/spec/l"}},
		}, {
			"metadata, of which only some is anybody's", `{metadata: {generation: 1, annotations: {a/b: x}}}`, `{metadata: {generation: 2}}`,
			[]any{entry("bully", "2026-01-01T12:00:01Z", `{"f:metadata": {"f:annotations": {".": {}, "f:a/b": {}}}}`)},
			Overwrite{"bully", []string{"/metadata/annotations"}},
		}, {
			"an annotation", `{metadata: {annotations: {a/b: x, c: x}}}`, `{metadata: {annotations: {c: x}}}`,
			[]any{entry("bully", "2026-01-01T12:00:01Z", `{"f:metadata": {"f:annotations": {".": {}, "f:a/b": {}}}}`)},
			Overwrite{"bully", []string{"/metadata/annotations/a~1b"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := plainYAML(t, c.before), plainYAML(t, c.after)
			if before["metadata"] == nil {
				before["metadata"] = map[string]any{}
			}
			before["metadata"].(map[string]any)["managedFields"] = c.managers
			require.Equal(t, c.want, Overwritten(before, after))
			for _, pointer := range c.want.Fields {
				_, err := ParseIgnoredField("things:" + pointer)
				require.NoError(t, err)
			}
		})
	}
}
