package manifest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The files of other tools that lie beside manifests: what has to do with Kubernetes is named, and JSON, which
// every tool has, is passed over.
func TestFilesOfOtherTools(t *testing.T) {
	const (
		neither  = "the document is not a Kubernetes object, it has neither apiVersion nor kind: keep the files of other tools outside of the synced path"
		values   = "the file holds values of a Helm chart, which is not rendered: commit the output of helm template, and keep charts outside of the synced path"
		template = "the file is a template of a Helm chart, which is not rendered: commit the output of helm template, and keep charts outside of the synced path"
		overlay  = "the file is a Kustomize overlay, which is not rendered: commit the output of kustomize build, and keep overlays outside of the synced path"
		lfs      = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
		passed   = "passed over"
	)
	helmConfig := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  url: \"{{ .Values.url }}\"\n  other: '{{ include \"app.url\" . }}'\n"
	for _, c := range []struct {
		path, file string
		want       string
	}{
		{"chart/values.yaml", "replicas: 1\nimage: {tag: v1}\n", "1! : " + values},
		{"chart/values-prod.yml", "replicas: 1\n", "1! : " + values},
		{"environments/prod.values.yaml", "replicas: 1\n", "1! : " + values},
		{"values/readme.yaml", "replicas: 1\n", "1! : " + neither},
		{"chart/templates/settings.yaml", helmConfig, "6! : " + template},
		{"chart/templates/deployment.yaml", "{{- if .Values.web.enabled }}\napiVersion: apps/v1\n{{- end }}\n", "1! : " + template},
		{"chart/charts/db/templates/tests/x.yaml", "# {{ template \"db.name\" . }}\nkind: {{- .Release.Name }}\n", "2! : " + template},
		{"alertmanager/templates/slack.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {slack.tmpl: '{{ define \"title\" }}{{ template \"x\" . }}{{ end }}'}\n", "1: ConfigMap a"},
		{"config/settings.yaml", helmConfig, "1: ConfigMap settings"}, // somebody's data
		{"templates/rules.yaml", "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a}\nspec: {groups: [{name: a, rules: [{alert: A, annotations: {summary: '{{ $labels.pod }} is down'}}]}]}\n", "1: PrometheusRule.monitoring.coreos.com a"},
		{"chart/Chart.lock.yaml", "dependencies: []\ndigest: x\n", "1! : " + neither},
		{"docker-compose.yml", "services: {web: {image: a}}\n", "1! : " + neither},
		{"overlays/prod/kustomization.yml", "resources:\n- ../../base\n", "1! : " + overlay},
		{"components/x.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n", "1! : " + overlay},
		{"overlays/prod/patch.yaml", "- op: replace\n  path: /spec/replicas\n  value: 3\n", "1! : the document is a list, not a Kubernetes object"},
		{"apps/podinfo.yaml", "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: podinfo, namespace: apps}\nspec: {values: {a: '{{ b }}'}}\n", "1: HelmRelease.helm.toolkit.fluxcd.io apps/podinfo"},
		{"apps/app.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: app, namespace: argocd}\n", "1: Application.argoproj.io argocd/app"},

		{"package.json", `{"name": "web", "version": "1.0.0", "scripts": {}}`, passed},
		{"dashboards/nodes.json", `{"panels": [{"kind": "x"}], "title": "Nodes"}`, passed},
		{"list.json", `[{"a": 1}]`, passed},
		{"lines.json", strings.Repeat("{\"a\": 1}\n", 1000), passed},
		{"empty.json", "", ""},
		{"text.json", `"text"`, passed},
		{"youtube.json", `{"kind": "youtube#video", "etag": "x"}`, passed},
		{"renovate.json", "// comments\n{\n  // are no JSON\n  \"extends\": [],\n}\n", passed},
		{"404.json", "404: Not Found", passed},
		{"swagger.json", `{"definitions": {"x": {"properties": {"apiVersion": {"type": "string"}}}}}`, passed},
		{"app.json", `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}`, "1: Namespace a"},
		{"apps.json", `{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}]}`, "1: Namespace a"},
		{"app.json", "\ufeff{\r\n\"apiVersion\": \"v1\", \"kind\": \"Namespace\",\r\n \"metadata\": {\"name\": \"a\"}}\r\n", "1: Namespace a"},
		{"app.json", `{"apiVersion": "v1", "metadata": {"name": "a"}}`, `1! : kind must be text like "Deployment", but is missing`},
		{"app.json", `{"apiVersion": "v1", "kind": "Namespace"}`, "1! : metadata must be a map with a name, but is missing"},
		{"app.json", "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Namespace\",\n  \"metadata\": {\"name\": \"a\"\n", "4! : not valid JSON: did not find expected ',' or '}'"},
		{"data.json", lfs, "0! : the file is a Git LFS pointer, its content is not in Git: store manifests without LFS"},
		{"app.json", "\xff\xfe{\x00", "0! : the file is UTF-16: save it as UTF-8"},
	} {
		t.Run(c.path, func(t *testing.T) {
			documents, problems := Decode(c.path, []byte(c.file))
			if c.want == passed {
				require.Empty(t, documents)
				require.Len(t, problems, 1)
				require.True(t, problems[0].Foreign)
				return
			}
			for _, p := range problems {
				require.False(t, p.Foreign)
			}
			require.Equal(t, c.want, strings.Join(summary(documents, problems), "\n"))
		})
	}
}

// An object beside something foreign counts, and is told apart from it.
func TestForeignDocumentsBesideObjects(t *testing.T) {
	documents, problems := Decode("a.json", []byte(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}`+"\n"+`{"a": 1}`))
	require.Len(t, documents, 1)
	require.Len(t, problems, 1)
	require.True(t, problems[0].Foreign)
}
