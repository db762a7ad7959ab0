package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

var (
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

// create makes an object from YAML.
func create(t *testing.T, on *cluster, resource schema.GroupVersionResource, manifest string) {
	t.Helper()
	obj := object(t, manifest)
	_, err := on.objects.Resource(resource).Namespace(obj.GetNamespace()).Create(t.Context(), obj, metav1.CreateOptions{FieldManager: "kubectl"})
	require.NoError(t, err)
}

func object(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(manifest), &obj.Object))
	return obj
}

func get(t *testing.T, on *cluster, resource schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	obj, err := on.objects.Resource(resource).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(t, err)
	return obj
}

// change edits an object as `kubectl edit` does.
func change(t *testing.T, on *cluster, resource schema.GroupVersionResource, namespace, name string, edit func(*unstructured.Unstructured)) {
	t.Helper()
	obj := get(t, on, resource, namespace, name)
	require.NotNil(t, obj)
	edit(obj)
	_, err := on.objects.Resource(resource).Namespace(namespace).Update(t.Context(), obj, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
	require.NoError(t, err)
}

func remove(t *testing.T, on *cluster, resource schema.GroupVersionResource, namespace, name string) {
	t.Helper()
	require.NoError(t, on.objects.Resource(resource).Namespace(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
}

// newNamespace makes a namespace that goes away, with what is in it, after the test.
func newNamespace(t *testing.T, on *cluster, name string) {
	t.Helper()
	create(t, on, namespaces, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+", labels: {team: shop}}")
	dropAfter(t, on, name)
}

func dropAfter(t *testing.T, on *cluster, name string) {
	t.Cleanup(func() {
		eventually(t, func() bool { // a lock that was just taken away is in force for a moment longer
			return apierrors.IsNotFound(on.objects.Resource(namespaces).Delete(context.Background(), name, metav1.DeleteOptions{}))
		}, func() string { return "namespace " + name + " is still there" })
	})
}

func configMap(namespace, name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: " + namespace + "}\ndata: {key: " + value + "}\n"
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: cart, image: "registry.example.com/cart:1"}]}
`

func TestPushKeepsGitEqualToTheCluster(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	newNamespace(t, primary, "push-a")
	create(t, primary, configMaps, configMap("push-a", "settings", "one"))
	create(t, primary, deployments, strings.ReplaceAll(deployment, "NS", "push-a"))
	create(t, primary, schema.GroupVersionResource{Version: "v1", Resource: "secrets"},
		"apiVersion: v1\nkind: Secret\nmetadata: {name: hidden, namespace: push-a}\nstringData: {key: not-for-git}\n")
	startWorker(t, "pusher", primary, t.TempDir())
	enroll(t, "pusher", primary, repo, workflows.Push, "--secrets", "exclude")
	first := reaches(t, "pusher", inSync)
	require.Contains(t, first.Message, "1 Secret is not synced")
	require.Subset(t, files(t, repo), []string{
		".cluster-sync.yaml", "cluster/namespaces/push-a.yaml",
		"namespaces/push-a/configmaps/settings.yaml", "namespaces/push-a/deployments.apps/cart.yaml",
	})
	require.NotContains(t, strings.Join(files(t, repo), "\n"), "replicasets")
	require.NotContains(t, strings.Join(files(t, repo), "\n"), "secrets")
	require.Equal(t, first.Revision, git(t, repo, "rev-parse", "main"))

	change(t, primary, configMaps, "push-a", "settings", func(o *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedField(o.Object, "two", "data", "key"))
	})
	create(t, primary, configMaps, configMap("push-a", "more", "x"))
	remove(t, primary, deployments, "push-a", "cart")
	eventually(t, func() bool {
		syncNow(t, "pusher")
		return !strings.Contains(strings.Join(files(t, repo), "\n"), "cart.yaml")
	}, func() string { return git(t, repo, "log", "--stat", "-3") })
	require.Contains(t, git(t, repo, "show", "main:namespaces/push-a/configmaps/settings.yaml"), "key: two")
	require.Contains(t, git(t, repo, "log", "-1", "--format=%B"), "Cluster: pusher")

	edit(t, repo, "by hand", func(dir string) {
		write(t, dir, "namespaces/push-a/configmaps/settings.yaml", "kind: Nonsense\n")
		write(t, dir, "somewhere/else.yaml", "a: b\n")
		write(t, dir, "docs/notes.md", "kept\n")
		require.NoError(t, os.Remove(filepath.Join(dir, "namespaces/push-a/configmaps/more.yaml")))
	})
	reaches(t, "pusher", func(s workflows.Status) bool { return inSync(s) && s.Revision == git(t, repo, "rev-parse", "main") })
	syncNow(t, "pusher")
	require.Contains(t, git(t, repo, "show", "main:namespaces/push-a/configmaps/settings.yaml"), "key: two")
	require.Subset(t, files(t, repo), []string{"docs/notes.md", "namespaces/push-a/configmaps/more.yaml"})
	require.NotContains(t, files(t, repo), "somewhere/else.yaml")
	require.Contains(t, git(t, repo, "log", "--format=%s"), "by hand", "what was overwritten stays in the history")

	update(t, "pusher", workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: []string{"push-a"}})
	change(t, primary, configMaps, "push-a", "settings", func(o *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedField(o.Object, "three", "data", "key"))
	})
	syncNow(t, "pusher")
	require.Contains(t, git(t, repo, "show", "main:namespaces/push-a/configmaps/settings.yaml"), "key: two", "an ignored namespace is left as it is")
}

func TestFirstPushIntoAnOccupiedRepositoryIsCanceled(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	startWorker(t, "guarded", primary, t.TempDir())
	enroll(t, "guarded", primary, repo, workflows.None)
	before := edit(t, repo, "somebody's", func(dir string) {
		write(t, dir, "README.md", "fine\n")
		write(t, dir, "app/deployment.yaml", "kind: Deployment\n")
	})
	update(t, "guarded", workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.Push})
	s := reaches(t, "guarded", func(s workflows.Status) bool { return s.State == workflows.Blocked })
	require.Equal(t, workflows.InitialSyncCanceled, s.Reason)
	require.Contains(t, s.Message, "app")
	require.Equal(t, before, git(t, repo, "rev-parse", "main"), "nothing was written")

	edit(t, repo, "make room", func(dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "app"))) })
	require.Equal(t, workflows.InSync, syncNow(t, "guarded").State)
	require.Contains(t, files(t, repo), "README.md")
}

func TestPullMakesTheClusterWhatGitSays(t *testing.T) {
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, "pull-a")
	// Somebody else's layout: several documents in a file, a List, a kind that its own CRD brings, no
	// defaults.
	edit(t, repo, "app", func(dir string) {
		write(t, dir, "app.yaml", "# the app\napiVersion: v1\nkind: Namespace\nmetadata: {name: pull-a}\n---\n"+
			configMap("pull-a", "settings", "one")+"---\n"+strings.ReplaceAll(deployment, "NS", "pull-a"))
		write(t, dir, "more/list.yml", "apiVersion: v1\nkind: List\nitems:\n- "+
			strings.ReplaceAll(strings.TrimSpace(configMap("pull-a", "listed", "x")), "\n", "\n  ")+"\n")
		write(t, dir, "lamp.yaml", "apiVersion: e2e.example.com/v1\nkind: Lamp\nmetadata: {name: porch, namespace: pull-a}\nspec: {status: lit}\n")
		write(t, dir, "crd.yaml", crd)
		write(t, dir, "broken.yaml", "a: [\n")
		write(t, dir, "unknown.yaml", "apiVersion: nowhere.example.com/v1\nkind: Thing\nmetadata: {name: x, namespace: pull-a}\n")
	})
	w := startWorker(t, "puller", standby, t.TempDir())
	enroll(t, "puller", standby, repo, workflows.Pull)
	first := reaches(t, "puller", func(s workflows.Status) bool { return s.Revision != "" })
	require.Equal(t, workflows.Degraded, first.State, describe(first, nil))
	require.Len(t, first.Failed, 2, describe(first, nil))
	require.Contains(t, first.Failed[0].File, "broken.yaml:")
	require.Contains(t, first.Failed[1].File, "unknown.yaml:1")
	require.NotNil(t, get(t, standby, configMaps, "pull-a", "listed"))
	lamp := get(t, standby, schema.GroupVersionResource{Group: "e2e.example.com", Version: "v1", Resource: "lamps"}, "pull-a", "porch")
	require.NotNil(t, lamp)
	edit(t, repo, "mend", func(dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, "broken.yaml")))
		require.NoError(t, os.Remove(filepath.Join(dir, "unknown.yaml")))
	})
	reaches(t, "puller", inSync)

	change(t, standby, deployments, "pull-a", "cart", func(o *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedField(o.Object, int64(7), "spec", "replicas"))
		o.SetLabels(map[string]string{"added": "by-hand"})
	})
	remove(t, standby, configMaps, "pull-a", "settings")
	create(t, standby, configMaps, configMap("pull-a", "bystander", "x"))
	eventually(t, func() bool {
		cart := get(t, standby, deployments, "pull-a", "cart")
		replicas, _, _ := unstructured.NestedInt64(cart.Object, "spec", "replicas")
		return replicas == 2 && len(cart.GetLabels()) == 0 && get(t, standby, configMaps, "pull-a", "settings") != nil
	}, func() string { return tail(w.log.String()) })
	require.NotNil(t, get(t, standby, configMaps, "pull-a", "bystander"), "what Git never held is left alone")

	settled := reaches(t, "puller", inSync)
	writes := strings.Count(w.log.String(), `"msg":"object changed"`)
	syncNow(t, "puller")
	syncNow(t, "puller")
	require.Equal(t, writes, strings.Count(w.log.String(), `"msg":"object changed"`), "nothing to do, nothing written")

	edit(t, repo, "remove one", func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "more/list.yml"))) })
	reaches(t, "puller", func(s workflows.Status) bool { return inSync(s) && s.Revision != settled.Revision })
	require.Nil(t, get(t, standby, configMaps, "pull-a", "listed"))

	edit(t, repo, "oops", func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "app.yaml"))) })
	blocked := reaches(t, "puller", func(s workflows.Status) bool { return s.State == workflows.Blocked })
	require.Equal(t, workflows.MassDeletion, blocked.Reason)
	require.Equal(t, 3, blocked.PendingDeletions)
	require.NotNil(t, get(t, standby, deployments, "pull-a", "cart"), "nothing is deleted by mistake")
	_, errs, exit := starter(t, "approve", "puller")
	require.Zero(t, exit, errs)
	eventually(t, func() bool {
		return get(t, standby, deployments, "pull-a", "cart") == nil && get(t, standby, configMaps, "pull-a", "settings") == nil
	}, func() string { return tail(w.log.String()) })
}

const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.e2e.example.com}
spec:
  group: e2e.example.com
  scope: Namespaced
  names: {plural: lamps, singular: lamp, kind: Lamp, listKind: LampList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {status: {type: string}, watts: {type: integer, default: 40}}}
`

func TestAWrongClusterIsRefused(t *testing.T) {
	primary, standby, repo := clusters["primary"], clusters["standby"], newRepo(t)
	enroll(t, "mixed-up", primary, repo, workflows.Push)
	startWorker(t, "mixed-up", standby, t.TempDir())
	s := reaches(t, "mixed-up", func(s workflows.Status) bool { return s.State == workflows.Blocked || s.State == workflows.InSync })
	require.Contains(t, []string{workflows.ClusterMismatch, workflows.CredentialsMissing}, s.Reason)
	require.Empty(t, git(t, repo, "branch", "--list"))
}

func TestARevokedTokenBlocksAndARotatedOneHeals(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	w := startWorker(t, "rotated", primary, t.TempDir())
	enroll(t, "rotated", primary, repo, workflows.Push)
	reaches(t, "rotated", inSync)
	require.NoError(t, os.WriteFile(stack.TokenFile(repo), []byte("acs_another_0123456789"), 0o600))
	reaches(t, "rotated", func(s workflows.Status) bool { return s.Reason == workflows.AuthFailed })
	out, errs, exit := starter(t, "status", "rotated")
	require.Zero(t, exit)
	require.Contains(t, out+errs, "token", "the status says what to do")

	// As `kubectl` replaces it, while the worker runs.
	_, err := primary.typed.CoreV1().Secrets(workflows.CredentialsNamespace).Patch(t.Context(), workflows.CredentialsSecret,
		types.MergePatchType, []byte(`{"stringData": {"password": "acs_another_0123456789"}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	reaches(t, "rotated", inSync)
	require.NotContains(t, w.log.String(), "acs_another")
}
