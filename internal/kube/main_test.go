package kube_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

var (
	admin      *rest.Config
	api        dynamic.Interface // what other people do in the cluster
	kubeconfig string
)

func TestMain(m *testing.M) {
	stacktest.Main(m, stacktest.Options{Clusters: []string{"kube"}}, func(stack *stacktest.Stack) (err error) {
		kubeconfig = stack.Kubeconfig("kube")
		if admin, err = stack.Config("kube"); err != nil {
			return err
		}
		admin.QPS = -1
		api, err = dynamic.NewForConfig(admin)
		return err
	})
}

// startIndex runs an index until the test ends, and sees to it that its goroutines end then.
func startIndex(t testing.TB, c *kube.Cluster) *kube.Index {
	return startLogging(t, c, slog.New(slog.NewTextHandler(testLog(t), nil)))
}

func startLogging(t testing.TB, c *kube.Cluster, log *slog.Logger) *kube.Index {
	return startWith(t, c, kube.IndexOptions{Logger: log})
}

func startWith(t testing.TB, c *kube.Cluster, o kube.IndexOptions) *kube.Index {
	index := c.NewIndex(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = index.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Error("the index doesn't end")
		}
	})
	return index
}

func testLog(t testing.TB) io.Writer {
	if testing.Verbose() {
		return t.Output()
	}
	return io.Discard
}

func connectAdmin(t testing.TB) *kube.Cluster {
	c, err := kube.Connect(kubeconfig, "")
	require.NoError(t, err)
	return c
}

func snapshot(t testing.TB, index *kube.Index) kube.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := index.Snapshot(ctx, nil)
	require.NoError(t, err)
	return s
}

// until waits for a condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !condition(); {
		require.True(t, time.Now().Before(end), "waited in vain: %s", what)
		<-time.After(20 * time.Millisecond)
	}
}

var counter atomic.Int64

// namespace makes one for the test.
func namespace(t testing.TB) string {
	name := fmt.Sprintf("test-%d", counter.Add(1))
	create(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+"}")
	return name
}

// object reads one from YAML, with the numbers that the API server's JSON decodes to.
func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	json, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	u := new(unstructured.Unstructured)
	require.NoError(t, u.UnmarshalJSON(json))
	return u
}

var resources = map[string]manifest.Resource{
	"Namespace":                      {Version: "v1", Name: "namespaces", Kind: "Namespace"},
	"ConfigMap":                      {Version: "v1", Name: "configmaps", Kind: "ConfigMap", Namespaced: true},
	"Pod":                            {Version: "v1", Name: "pods", Kind: "Pod", Namespaced: true},
	"Service":                        {Version: "v1", Name: "services", Kind: "Service", Namespaced: true},
	"PersistentVolumeClaim":          {Version: "v1", Name: "persistentvolumeclaims", Kind: "PersistentVolumeClaim", Namespaced: true},
	"Deployment":                     {Group: "apps", Version: "v1", Name: "deployments", Kind: "Deployment", Namespaced: true},
	"StatefulSet":                    {Group: "apps", Version: "v1", Name: "statefulsets", Kind: "StatefulSet", Namespaced: true},
	"HorizontalPodAutoscaler":        {Group: "autoscaling", Version: "v2", Name: "horizontalpodautoscalers", Kind: "HorizontalPodAutoscaler", Namespaced: true},
	"ClusterRole":                    {Group: "rbac.authorization.k8s.io", Version: "v1", Name: "clusterroles", Kind: "ClusterRole"},
	"ClusterRoleBinding":             {Group: "rbac.authorization.k8s.io", Version: "v1", Name: "clusterrolebindings", Kind: "ClusterRoleBinding"},
	"Secret":                         {Version: "v1", Name: "secrets", Kind: "Secret", Namespaced: true},
	"Job":                            {Group: "batch", Version: "v1", Name: "jobs", Kind: "Job", Namespaced: true},
	"StorageClass":                   {Group: "storage.k8s.io", Version: "v1", Name: "storageclasses", Kind: "StorageClass"},
	"PriorityClass":                  {Group: "scheduling.k8s.io", Version: "v1", Name: "priorityclasses", Kind: "PriorityClass"},
	"RoleBinding":                    {Group: "rbac.authorization.k8s.io", Version: "v1", Name: "rolebindings", Kind: "RoleBinding", Namespaced: true},
	"ValidatingWebhookConfiguration": {Group: "admissionregistration.k8s.io", Version: "v1", Name: "validatingwebhookconfigurations", Kind: "ValidatingWebhookConfiguration"},
	"ServiceAccount":                 {Version: "v1", Name: "serviceaccounts", Kind: "ServiceAccount", Namespaced: true},
	"CustomResourceDefinition":       {Group: "apiextensions.k8s.io", Version: "v1", Name: "customresourcedefinitions", Kind: "CustomResourceDefinition"},
	"APIService":                     {Group: "apiregistration.k8s.io", Version: "v1", Name: "apiservices", Kind: "APIService"},
	"Widget":                         {Version: "v1", Name: "widgets", Kind: "Widget", Namespaced: true},
}

// resourceOf is how an object's kind is served. Widgets are in groups of their tests.
func resourceOf(u *unstructured.Unstructured) manifest.Resource {
	r := resources[u.GetKind()]
	r.Group, r.Version = u.GroupVersionKind().Group, u.GroupVersionKind().Version
	return r
}

func of(u *unstructured.Unstructured) dynamic.ResourceInterface {
	return api.Resource(resourceOf(u).GVR()).Namespace(u.GetNamespace())
}

func pathOf(u *unstructured.Unstructured) string {
	return manifest.Path(resourceOf(u), u.GetNamespace(), u.GetName())
}

func create(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	u := object(t, text)
	now, err := of(u).Create(t.Context(), u, metav1.CreateOptions{})
	require.NoError(t, err)
	return now
}

func read(t testing.TB, u *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	now, err := of(u).Get(t.Context(), u.GetName(), metav1.GetOptions{})
	require.NoError(t, err)
	return now
}

// edit changes a live object as a person does.
func edit(t testing.TB, u *unstructured.Unstructured, change func(obj map[string]any)) {
	t.Helper()
	editAs(t, "kubectl-edit", u, change)
}

// editAs changes a live object as a client of that name does.
func editAs(t testing.TB, manager string, u *unstructured.Unstructured, change func(obj map[string]any)) {
	t.Helper()
	until(t, "edit "+u.GetName(), func() bool {
		now := read(t, u)
		change(now.Object)
		_, err := of(u).Update(t.Context(), now, metav1.UpdateOptions{FieldManager: manager})
		return err == nil
	})
}

func remove(t testing.TB, u *unstructured.Unstructured) {
	t.Helper()
	require.NoError(t, of(u).Delete(t.Context(), u.GetName(), metav1.DeleteOptions{}))
}

// listed is the tree of all objects of the resources, made from plain lists.
func listed(t testing.TB, namespace string, gvrs ...manifest.Resource) tree.Tree {
	t.Helper()
	return tree.Tree{}.Edit(func(e *tree.Editor) {
		for _, r := range gvrs {
			list, err := api.Resource(r.GVR()).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			for _, u := range list.Items {
				if _, skip := manifest.Skip(r, u.Object, manifest.Selection{}); skip {
					continue
				}
				path := manifest.Path(r, u.GetNamespace(), u.GetName())
				manifest.Normalise(r, u.Object, manifest.Surroundings{})
				content, err := manifest.Encode(u.Object)
				require.NoError(t, err)
				e.Put(path, manifest.Hash(content))
			}
		}
	})
}

// wanted is what Git says about an object, as a write of it that is planned with what the cluster has now.
func wanted(t testing.TB, index *kube.Index, text string) kube.Write {
	t.Helper()
	u := object(t, text)
	r, ok := index.Resolve(schema.GroupKind{Group: u.GroupVersionKind().Group, Kind: u.GetKind()})
	require.True(t, ok, "%s is not served", u.GroupVersionKind())
	manifest.Normalise(r, u.Object, manifest.Surroundings{})
	w := kube.Write{Path: manifest.Path(r, u.GetNamespace(), u.GetName()), Resource: r, Object: u.Object}
	until(t, "the watch has told of "+w.Path, func() bool {
		e, known := index.Lookup(w.Path)
		if w.Live = e.Hash; !known {
			return true
		}
		live, err := api.Resource(r.GVR()).Namespace(u.GetNamespace()).Get(t.Context(), u.GetName(), metav1.GetOptions{})
		return err != nil || live.GetResourceVersion() == e.ResourceVersion
	})
	return w
}

func apply(t testing.TB, index *kube.Index, writes ...kube.Write) []kube.Written {
	t.Helper()
	written := index.Apply(t.Context(), writes, kube.ApplyOptions{})
	for i, w := range written {
		require.Equal(t, writes[i].Path, w.Path)
	}
	return written
}
