package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admission "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// sound are the objects that nothing is wrong with.
const sound = 180

// soundFiles are these objects in files as people write them.
func soundFiles() map[string]string {
	files := map[string]string{
		"platform/namespaces.yaml": "# where it all goes\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: broken-a\n---\n# and this\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: broken-b\n...\n",
		"platform/crds/flags.yml": strings.NewReplacer("lamps", "flags", "lamp", "flag", "Lamp", "Flag", "e2e.example.com", "broken.example.com",
			"status: {type: string}, watts:", "status: {type: string, enum: [up, down]}, text: {type: string}, watts:").Replace(crd),
	}
	left := sound - 3
	add := func(path, content string, objects int) {
		files[path] = content
		left -= objects
	}
	for i := range 5 {
		add(fmt.Sprintf("flags/%d.json", i), fmt.Sprintf("{\n  \"apiVersion\": \"broken.example.com/v1\",\n  \"kind\": \"Flag\",\n  \"metadata\": {\"name\": \"flag-%d\", \"namespace\": \"broken-b\"},\n  \"spec\": {\"status\": \"up\"}\n}\n", i), 1)
	}
	add("package.json", `{"name": "not-ours", "version": "1.0.0"}`, 0)
	add("docs/README.md", "# Not a manifest\n", 0)
	for i := range 20 {
		name := fmt.Sprintf("app-%02d", i)
		app := "---\n# " + name + "\n" + strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(deployment, "NS", "broken-a")), "cart", name) +
			"\n---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: broken-a}\nspec: {selector: {app: " + name + "}, ports: [{port: 80}]}\n" +
			"---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: " + name + ", namespace: broken-a}\n"
		switch i % 3 {
		case 1:
			app = strings.ReplaceAll(app, "\n", "\r\n")
		case 2:
			app = "\ufeff" + app
		}
		add("apps/"+name+"/all.yaml", app, 3)
	}
	var items []string
	for i := range 20 {
		items = append(items, fmt.Sprintf(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "listed-%02d", "namespace": "broken-b"}, "data": {"a": "b"}}`, i))
	}
	add("exported/list.json", `{"apiVersion": "v1", "kind": "List", "items": [`+strings.Join(items, ",\n")+"]}\n", 20)
	anchored := "apiVersion: v1\nkind: List\nitems:\n- &one {apiVersion: v1, kind: ConfigMap, metadata: {name: anchored, namespace: broken-b, labels: &labels {team: a}}, data: &data {a: b}}\n"
	for i := range 10 {
		anchored += fmt.Sprintf("- {<<: *one, metadata: {name: aliased-%d, namespace: broken-b, labels: *labels}, data: {<<: *data, own: x}}\n", i)
	}
	add("shared/anchors.yaml", anchored, 11)
	for i := 0; left > 0; i++ {
		add(fmt.Sprintf("config/%c/settings-%03d.yaml", 'a'+i%5, i), configMap("broken-a", fmt.Sprintf("settings-%03d", i), "x"), 1)
	}
	return files
}

// flaw is an object that something is wrong with.
type flaw struct {
	path, content string
	line          int // of the file, 0 where it is the file as a whole
	object        string
	cause         []string // what the message has to say
}

// flaws are broken each in another way.
func flaws() []flaw {
	meta := "metadata: {name: %s, namespace: broken-a}\n"
	settings := func(name string) string { return "apiVersion: v1\nkind: ConfigMap\n" + fmt.Sprintf(meta, name) }
	guarded := func(name string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: broken-a, labels: {refused-by: " + name + "}}\n"
	}
	app := strings.ReplaceAll(strings.TrimPrefix(deployment, "\n"), "NS", "broken-a")
	named := func(name string) string { return strings.ReplaceAll(app, "cart", name) }
	flag := "apiVersion: broken.example.com/v1\nkind: Flag\n"
	return []flaw{
		{"flaws/syntax.yaml", settings("syntax") + "data:\n  a: b: c\n", 5, "", []string{"not valid YAML", "mapping values are not allowed"}},
		{"flaws/twice-a-key.yaml", settings("twice-a-key") + "data: {}\ndata: {a: b}\n", 5, "", []string{"a key is given twice"}},
		{"chart/templates/settings.yaml", settings("templated") + "data:\n  url: \"{{ .Values.url }}\"\n", 5, "", []string{"template of a Helm chart", "not rendered", "helm template"}},
		{"flaws/cut-off.json", "{\n\"apiVersion\": \"v1\",\n\"kind\": \"ConfigMap\",\n\"metadata\": {\"name\": \"cut-off\"", 4, "", []string{"not valid JSON"}},
		{"flaws/pointer.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 123\n", 0, "", []string{"Git LFS pointer", "store manifests without LFS"}},
		{"flaws/link.yaml", "-> ../config/a/settings-000.yaml", 0, "", []string{"symbolic link", "put what it leads to in its place"}},
		{"vendored", "a repository of its own", 0, "", []string{"submodule", "put the files in its place"}},
		{"flaws/unknown.yaml", "apiVersion: nowhere.example.com/v1\nkind: Thing\n" + fmt.Sprintf(meta, "unknown"), 1, "Thing.nowhere.example.com broken-a/unknown", []string{"does not know the kind", "CustomResourceDefinition"}},
		{"flaws/twice.yaml", settings("twice") + "---\n# again\n" + settings("twice"), 1, "configmaps broken-a/twice", []string{"declared again in flaws/twice.yaml:6"}},
		{"flaws/no-namespace.yaml", configMap("broken-missing", "homeless", "x"), 1, "configmaps broken-missing/homeless", []string{"its namespace does not exist", "add it to Git"}},
		{"flaws/closing.yaml", configMap("broken-closing", "late", "x"), 1, "configmaps broken-closing/late", []string{"its namespace is being deleted"}},
		{"flaws/type.yaml", strings.Replace(named("typed"), "replicas: 2", "replicas: two", 1), 1, "deployments.apps broken-a/typed", []string{"can't read it", "replicas"}},
		{"flaws/field.yaml", strings.Replace(named("misspelt"), "replicas: 2", "replica: 2", 1), 1, "deployments.apps broken-a/misspelt", []string{"fields that this cluster doesn't know", `unknown field "spec.replica"`}},
		{"flaws/schema.yaml", flag + fmt.Sprintf(meta, "half-mast") + "spec: {status: half-mast}\n", 1, "flags.broken.example.com broken-a/half-mast", []string{"finds it invalid", "spec.status"}},
		{"flaws/policy.yaml", guarded("policy"), 1, "configmaps broken-a/policy", []string{"refused by an admission webhook or policy", "not by this policy"}},
		{"flaws/webhook.yaml", guarded("webhook"), 1, "configmaps broken-a/webhook", []string{"refused by an admission webhook or policy", "not by this webhook"}},
		{"flaws/quota.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: one-more, namespace: broken-quota}\nspec: {ports: [{port: 80}]}\n", 1, "services broken-quota/one-more", []string{"the quota of its namespace is used up", "no-services"}},
		{"flaws/name.yaml", settings("Not_A_Name"), 1, "configmaps broken-a/Not_A_Name", []string{"finds it invalid", "metadata.name", "RFC 1123"}},
		{"flaws/large.yaml", flag + fmt.Sprintf(meta, "large") + "spec: {text: " + strings.Repeat("x", 2<<20) + "}\n", 1, "flags.broken.example.com broken-a/large", []string{"larger than a cluster can store", "split it"}},
		{"flaws/immutable.yaml", strings.NewReplacer("app: settled", "app: moved", "broken-a", "broken-fixed").Replace(named("settled")), 1, "deployments.apps broken-fixed/settled", []string{"spec.selector"}},
	}
}

func TestTwentyBrokenObjectsHoldUpNoneOfTheOthers(t *testing.T) {
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, "broken-a")
	dropAfter(t, standby, "broken-b")
	t.Cleanup(func() {
		_ = standby.objects.Resource(definitions).Delete(context.Background(), "flags.broken.example.com", metav1.DeleteOptions{})
	})
	hostile(t, standby)
	broken := map[string]flaw{}
	edit(t, repo, "all of it", func(dir string) {
		for path, content := range soundFiles() {
			write(t, dir, path, content)
		}
		for _, f := range flaws() {
			f.put(t, dir)
			file := f.path
			if f.line > 0 {
				file += fmt.Sprintf(":%d", f.line)
			}
			broken[file] = f
		}
	})
	require.Len(t, broken, 20)

	w := startWorker(t, "unbroken", standby, t.TempDir())
	enroll(t, "unbroken", standby, repo, workflows.Pull)
	s := reaches(t, "unbroken", func(s workflows.Status) bool { return s.Revision != "" })
	require.Equal(t, workflows.Degraded, s.State, describe(s, nil))
	require.Equal(t, sound, s.Recent[len(s.Recent)-1].Changes.Added, "applied in the first tick\n"+describe(s, nil))
	requireFailures(t, s, broken)

	first := s.Ticks
	s = reaches(t, "unbroken", func(s workflows.Status) bool { return s.Ticks > first+15 })
	requireFailures(t, s, broken)
	tries := strings.Count(w.log.String(), `"object":"configmaps broken-a/webhook"`)
	require.Less(t, tries, 8, "tries of one object in 15 ticks")

	for _, fix := range []struct {
		file, content, name string
		resource            schema.GroupVersionResource
	}{
		{"flaws/type.yaml:1", strings.ReplaceAll(strings.ReplaceAll(deployment, "NS", "broken-a"), "cart", "typed"), "typed", deployments},
		{"flaws/syntax.yaml:5", configMap("broken-a", "syntax", "x"), "syntax", configMaps},
		{"flaws/link.yaml", configMap("broken-a", "link", "x"), "link", configMaps},
	} {
		path := broken[fix.file].path
		fixed := edit(t, repo, "fix "+path, func(dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, path)))
			write(t, dir, path, fix.content)
		})
		delete(broken, fix.file)
		s = reaches(t, "unbroken", func(s workflows.Status) bool { return s.Revision == fixed })
		require.NotNil(t, get(t, standby, fix.resource, "broken-a", fix.name), "applied by the tick that saw the commit")
		requireFailures(t, s, broken)
	}

	// A definition that the cluster takes in and can't serve fails too, and keeps its reason.
	rival := strings.NewReplacer("lamps", "banners", "lamp", "banner", "Lamp", "Flag", "e2e.example.com", "broken.example.com").Replace(crd)
	t.Cleanup(func() {
		_ = standby.objects.Resource(definitions).Delete(context.Background(), "banners.broken.example.com", metav1.DeleteOptions{})
	})
	last := edit(t, repo, "a rival", func(dir string) { write(t, dir, "flaws/rival.yaml", "---"+rival) })
	broken["flaws/rival.yaml:2"] = flaw{
		object: "customresourcedefinitions.apiextensions.k8s.io banners.broken.example.com",
		cause:  []string{"the API server does not serve it", "already in use"},
	}
	s = reaches(t, "unbroken", func(s workflows.Status) bool { return s.Revision == last })
	requireFailures(t, s, broken)
	s = syncNow(t, "unbroken")
	requireFailures(t, s, broken)
}

// requireFailures: the status names these, and no others.
func requireFailures(t *testing.T, s workflows.Status, broken map[string]flaw) {
	t.Helper()
	told := map[string]workflows.Failure{}
	for _, f := range s.Failed {
		told[f.File] = f
	}
	require.Equal(t, slices.Sorted(maps.Keys(broken)), slices.Sorted(maps.Keys(told)), describe(s, nil))
	require.Equal(t, len(broken), s.FailedCount)
	for file, f := range broken {
		require.Equal(t, f.object, told[file].Object, file)
		for _, words := range f.cause {
			require.Contains(t, told[file].Message, words, file)
		}
	}
}

// put writes a flaw into a work tree.
func (f flaw) put(t *testing.T, dir string) {
	t.Helper()
	full := filepath.Join(dir, f.path)
	if target, ok := strings.CutPrefix(f.content, "-> "); ok {
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o700))
		require.NoError(t, os.Symlink(target, full))
		return
	}
	if f.path != "vendored" {
		write(t, dir, f.path, f.content)
		return
	}
	write(t, full, "inner.yaml", configMap("broken-a", "vendored", "x"))
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "--quiet", "-m", "theirs"}} {
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", full}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

// hostile makes the cluster refuse some objects: by a policy, a webhook, a quota, a namespace that can't go and a
// Deployment that is there already.
func hostile(t *testing.T, on *cluster) {
	t.Helper()
	for _, name := range []string{"broken-quota", "broken-closing", "broken-fixed"} {
		newNamespace(t, on, name)
	}
	quotas := schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	create(t, on, quotas, "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: no-services, namespace: broken-quota}\nspec: {hard: {services: 0}}\n")
	eventually(t, func() bool {
		_, known, _ := unstructured.NestedMap(get(t, on, quotas, "broken-quota", "no-services").Object, "status", "hard")
		return known
	}, func() string { return "the quota is not in force" })

	create(t, on, configMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: holds, namespace: broken-closing, finalizers: [example.com/hold]}\n")
	t.Cleanup(func() {
		_, err := on.objects.Resource(configMaps).Namespace("broken-closing").Patch(context.Background(), "holds",
			types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	})
	require.NoError(t, on.objects.Resource(namespaces).Delete(t.Context(), "broken-closing", metav1.DeleteOptions{}))
	create(t, on, deployments, strings.ReplaceAll(strings.ReplaceAll(deployment, "NS", "broken-fixed"), "cart", "settled"))

	registration := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: resource}
	}
	url, ca := refusals(t)
	for resource, text := range map[string]string{
		"validatingadmissionpolicies": `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: broken},
			spec: {matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}],
			objectSelector: {matchLabels: {refused-by: policy}}}, validations: [{expression: "false", message: not by this policy}]}}`,
		"validatingadmissionpolicybindings": `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: broken},
			spec: {policyName: broken, validationActions: [Deny]}}`,
		"validatingwebhookconfigurations": `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: broken},
			webhooks: [{name: broken.example.com, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: Fail,
			clientConfig: {url: "` + url + `", caBundle: ` + ca + `}, objectSelector: {matchLabels: {refused-by: webhook}},
			rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]}]}`,
	} {
		create(t, on, registration(resource), text)
		t.Cleanup(func() {
			require.NoError(t, on.objects.Resource(registration(resource)).Delete(context.Background(), "broken", metav1.DeleteOptions{}))
		})
	}
	for _, by := range []string{"policy", "webhook"} {
		probe := object(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: probe, namespace: broken-fixed, labels: {refused-by: "+by+"}}")
		eventually(t, func() bool {
			_, err := on.objects.Resource(configMaps).Namespace("broken-fixed").Create(t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return apierrors.IsForbidden(err) || apierrors.IsInvalid(err)
		}, func() string { return "nothing is refused by the " + by })
	}
}

// refusals serves a webhook that refuses everything.
func refusals(t *testing.T) (url, ca string) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admission.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admission.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: "not by this webhook", Code: http.StatusForbidden}}
		_ = json.NewEncoder(w).Encode(review) // the API server tells
	}))
	t.Cleanup(server.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return server.URL, base64.StdEncoding.EncodeToString(certificate)
}
