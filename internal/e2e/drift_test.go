package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// exporter looks at a cluster as a sync does.
func exporter(t *testing.T, on *cluster) *kube.Index {
	t.Helper()
	c, err := kube.Connect(stack.Env["KUBECONFIG"], on.context)
	require.NoError(t, err)
	index := c.NewIndex(kube.IndexOptions{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = index.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return index
}

// exported is the hash of what the namespace holds for Git.
func exported(t *testing.T, index *kube.Index, namespace string) string {
	t.Helper()
	s, err := index.Snapshot(t.Context(), nil)
	require.NoError(t, err)
	return s.Tree.Sub("namespaces/" + namespace).Hash().String()
}

// versions are the resource versions of all that the index knows in a namespace.
func versions(t *testing.T, index *kube.Index, namespace string) map[string]string {
	t.Helper()
	s, err := index.Snapshot(t.Context(), nil)
	require.NoError(t, err)
	found := map[string]string{}
	for path := range s.Tree.Sub("namespaces/" + namespace).All() {
		e, _ := index.Lookup("namespaces/" + namespace + "/" + path)
		found[path] = e.ResourceVersion
	}
	return found
}

// ticksPass waits for a number of ticks.
func ticksPass(t *testing.T, name string, n int64) {
	t.Helper()
	before, err := status(t, name)
	require.NoError(t, err)
	reaches(t, name, func(s workflows.Status) bool { return s.Ticks >= before.Ticks+n })
}

const driftingService = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {type: LoadBalancer, selector: {app: cart}, ports: [{port: 80}]}
`

// changeAs edits an object as a client of that name does.
func changeAs(t *testing.T, manager string, on *cluster, resource schema.GroupVersionResource, namespace, name string, edit func(*unstructured.Unstructured)) {
	t.Helper()
	eventually(t, func() bool {
		obj := get(t, on, resource, namespace, name)
		if obj == nil {
			return false
		}
		edit(obj)
		_, err := on.objects.Resource(resource).Namespace(namespace).Update(t.Context(), obj, metav1.UpdateOptions{FieldManager: manager})
		return err == nil
	}, func() string { return manager + " could not edit " + name })
}

func firstContainer(o *unstructured.Unstructured) map[string]any {
	list, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec", "containers")
	return list.([]any)[0].(map[string]any)
}

// keyIn is what a ConfigMap holds; "" where there is none.
func keyIn(t *testing.T, on *cluster, namespace, name string) string {
	t.Helper()
	held := get(t, on, configMaps, namespace, name)
	if held == nil {
		return ""
	}
	value, _, _ := unstructured.NestedString(held.Object, "data", "key")
	return value
}

func TestPullRestoresEveryDriftAndThenRests(t *testing.T) {
	const ns = "drifting"
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, ns)
	edit(t, repo, "app", func(dir string) {
		write(t, dir, "app.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}\n---\n"+
			configMap(ns, "settings", "one")+"---\n"+configMap(ns, "more", "one")+"---"+
			strings.ReplaceAll(strings.Replace(deployment, "{name: cart,", "{labels: {team: shop}, name: cart,", 1), "NS", ns)+"---"+
			strings.ReplaceAll(driftingService, "NS", ns))
	})
	w := startWorker(t, "drifter", standby, t.TempDir())
	enroll(t, "drifter", standby, repo, workflows.Pull, "--lock", "off")
	reaches(t, "drifter", inSync)
	index := exporter(t, standby)

	// What a controller adds is adopted, and is no drift from then on.
	changeAs(t, "cloud-controller-manager", standby, services, ns, "web", func(o *unstructured.Unstructured) {
		o.SetAnnotations(map[string]string{"example.com/load-balancer": "lb-1"})
	})
	ticksPass(t, "drifter", 3)
	reaches(t, "drifter", inSync)
	before := exported(t, index, ns)

	cart := func(edit func(*unstructured.Unstructured)) func() {
		return func() { changeAs(t, "kubectl-edit", standby, deployments, ns, "cart", edit) }
	}
	drifts := map[string]func(){
		"an edited field": func() { change(t, standby, configMaps, ns, "settings", setKey("by hand")) },
		"scaled": func() {
			_, err := standby.objects.Resource(deployments).Namespace(ns).Patch(t.Context(), "cart", types.MergePatchType,
				[]byte(`{"spec": {"replicas": 7}}`), metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
			require.NoError(t, err)
		},
		"relabelled": cart(func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"team": "other", "added": "x"}) }),
		"another container": cart(func(o *unstructured.Unstructured) {
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			_ = unstructured.SetNestedSlice(o.Object, append(containers, map[string]any{"name": "spy", "image": "registry.example.com/spy:1"}), "spec", "template", "spec", "containers")
		}),
		"a variable": cart(func(o *unstructured.Unstructured) {
			firstContainer(o)["env"] = []any{map[string]any{"name": "DEBUG", "value": "1"}}
		}),
		"an annotation": cart(func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"example.com/by": "hand"}) }),
		"beside what is adopted": func() {
			changeAs(t, "kubectl-annotate", standby, services, ns, "web", func(o *unstructured.Unstructured) {
				o.SetAnnotations(map[string]string{"example.com/load-balancer": "lb-1", "example.com/by": "hand"})
			})
		},
		"a deleted object": func() { remove(t, standby, configMaps, ns, "more") },
	}
	writes := func() int { return strings.Count(w.log.String(), `"msg":"object changed"`) }
	restored := func(what string) {
		t.Helper()
		eventually(t, func() bool { return exported(t, index, ns) == before }, func() string { return what + " was not restored:\n" + tail(w.log.String()) })
	}
	for what, drift := range drifts {
		written := writes()
		drift()
		eventually(t, func() bool { return writes() > written }, func() string { return what + " was not seen" })
		restored(what)
	}
	written := writes()
	for _, drift := range drifts {
		drift()
	}
	eventually(t, func() bool { return writes() >= written+4 }, func() string { return "not everything was seen" })
	ticksPass(t, "drifter", 3)
	restored("everything at once")
	require.Equal(t, "lb-1", get(t, standby, services, ns, "web").GetAnnotations()["example.com/load-balancer"])
	require.NotContains(t, get(t, standby, services, ns, "web").GetAnnotations(), "example.com/by")
	require.Len(t, reaches(t, "drifter", inSync).Failed, 0)

	// The cluster's own controllers may still be at it, but the sync is not.
	eventually(t, func() bool {
		all, written := versions(t, index, ns), writes()
		require.GreaterOrEqual(t, len(all), 4)
		ticksPass(t, "drifter", 10)
		require.Equal(t, written, writes(), "nothing to do, nothing written")
		return fmt.Sprint(all) == fmt.Sprint(versions(t, index, ns))
	}, func() string { return "something is written again and again:\n" + tail(w.log.String()) })
}

func TestPullGivesWayToWhatWritesAgainAndAgain(t *testing.T) {
	const ns = "contested"
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, ns)
	edit(t, repo, "app", func(dir string) {
		write(t, dir, "app.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}\n---\n"+configMap(ns, "fought", "git")+"---\n"+configMap(ns, "bystander", "git"))
	})
	w := startWorker(t, "fighter", standby, t.TempDir())
	enroll(t, "fighter", standby, repo, workflows.Pull, "--lock", "off")
	reaches(t, "fighter", inSync)

	writes := func() int {
		return strings.Count(w.log.String(), `"object":"configmaps `+ns+`/fought","action":"updated"`)
	}
	stop := insist(t, standby, setting{ns, "fought", "key"}, "bully", "bully's")
	s := reaches(t, "fighter", func(s workflows.Status) bool { return s.FailedCount > 0 })
	require.Equal(t, workflows.Degraded, s.State)
	require.Equal(t, "configmaps "+ns+"/fought", s.Failed[0].Object)
	require.Equal(t, "app.yaml:5", s.Failed[0].File)
	require.Contains(t, s.Failed[0].Message, `"bully" changes it back again and again`)
	require.Contains(t, s.Failed[0].Message, "--ignore-field configmaps:/data/key")
	fought := writes()
	require.Equal(t, 3, fought)

	// The others are restored meanwhile, and the quarrel is not fought at each tick.
	change(t, standby, configMaps, ns, "bystander", setKey("by hand"))
	ticksPass(t, "fighter", 12)
	require.LessOrEqual(t, writes(), fought+2)
	require.Equal(t, "git", keyIn(t, standby, ns, "bystander"))

	// A change in Git doesn't wait for anything.
	stop()
	edit(t, repo, "another value", func(dir string) {
		write(t, dir, "app.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}\n---\n"+configMap(ns, "fought", "new")+"---\n"+configMap(ns, "bystander", "git"))
	})
	reaches(t, "fighter", func(s workflows.Status) bool { return inSync(s) && keyIn(t, standby, ns, "fought") == "new" })
}

func TestIgnoredFieldsTakeNoPartOnEitherSide(t *testing.T) {
	const ns = "leaving"
	primary, standby, repo := clusters["primary"], clusters["standby"], newRepo(t)
	newNamespace(t, primary, ns)
	dropAfter(t, standby, ns)
	create(t, primary, deployments, strings.ReplaceAll(deployment, "NS", ns))
	create(t, primary, configMaps, configMap(ns, "settings", "one"))
	flags := []string{"--ignore-field", "deployments.apps:/spec/replicas", "--ignore-field", "configmaps:/data/key", "--secrets", "exclude"}
	startWorker(t, "leaver", primary, t.TempDir())
	enroll(t, "leaver", primary, repo, workflows.Push, flags...)
	reaches(t, "leaver", inSync)
	require.NotContains(t, git(t, repo, "show", "main:namespaces/"+ns+"/deployments.apps/cart.yaml"), "replicas")
	require.NotContains(t, git(t, repo, "show", "main:namespaces/"+ns+"/configmaps/settings.yaml"), "one")

	head := git(t, repo, "rev-parse", "main")
	scale := func(on *cluster, replicas int) {
		t.Helper()
		_, err := on.objects.Resource(deployments).Namespace(ns).Patch(t.Context(), "cart", types.MergePatchType,
			fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, replicas), metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
		require.NoError(t, err)
	}
	scale(primary, 5)
	change(t, primary, configMaps, ns, "settings", setKey("two"))
	create(t, primary, configMaps, configMap(ns, "marker", "x"))
	eventually(t, func() bool { return git(t, repo, "rev-parse", "main") != head }, func() string { return "no commit" })
	require.Equal(t, "namespaces/"+ns+"/configmaps/marker.yaml", git(t, repo, "diff", "--name-only", head, "main"))

	startWorker(t, "left", standby, t.TempDir())
	enroll(t, "left", standby, repo, workflows.Pull, append(flags, "--lock", "off")...)
	reaches(t, "left", inSync)
	replicas := func() int64 {
		n, _, _ := unstructured.NestedInt64(get(t, standby, deployments, ns, "cart").Object, "spec", "replicas")
		return n
	}
	require.Equal(t, int64(1), replicas(), "the API server's default")
	scale(standby, 4)
	changeAs(t, "kubectl-edit", standby, deployments, ns, "cart", func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"by": "hand"}) })
	eventually(t, func() bool { return len(get(t, standby, deployments, ns, "cart").GetLabels()) == 0 }, func() string { return "the label stays" })
	require.Equal(t, int64(4), replicas())
	changeAs(t, "kubectl-edit", primary, deployments, ns, "cart", func(o *unstructured.Unstructured) { firstContainer(o)["image"] = "registry.example.com/cart:2" })
	eventually(t, func() bool {
		return firstContainer(get(t, standby, deployments, ns, "cart"))["image"] == "registry.example.com/cart:2"
	}, func() string { return "the change of Git doesn't arrive" })
	require.Equal(t, int64(4), replicas())
}

func TestAnImmutableFieldIsReportedAndTheObjectRecreatedOnDemand(t *testing.T) {
	const ns = "immutable"
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, ns)
	commit := func(value, annotations string) {
		edit(t, repo, value, func(dir string) {
			write(t, dir, "app.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}\n---\n"+
				strings.NewReplacer("metadata: {", "immutable: true\nmetadata: {"+annotations).Replace(configMap(ns, "fixed", value)))
		})
	}
	commit("one", "")
	startWorker(t, "fixer", standby, t.TempDir())
	enroll(t, "fixer", standby, repo, workflows.Pull, "--lock", "off")
	reaches(t, "fixer", inSync)
	before := get(t, standby, configMaps, ns, "fixed")

	commit("two", "")
	s := reaches(t, "fixer", func(s workflows.Status) bool { return s.FailedCount > 0 })
	require.Contains(t, s.Failed[0].Message, "data is immutable")
	require.Contains(t, s.Failed[0].Message, "--recreate-immutable")
	require.Equal(t, before.GetUID(), get(t, standby, configMaps, ns, "fixed").GetUID())

	commit("three", `annotations: {active-cluster-sync.io/recreate: "true"}, `)
	reaches(t, "fixer", func(s workflows.Status) bool { return inSync(s) && keyIn(t, standby, ns, "fixed") == "three" })
}
