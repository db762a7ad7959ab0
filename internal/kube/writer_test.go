package kube_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// written applies one write that must not fail.
func written(t testing.TB, index *kube.Index, w kube.Write) kube.Written {
	t.Helper()
	result := apply(t, index, w)[0]
	require.NoError(t, result.Err)
	return result
}

func TestApplyRestoresDrift(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	git := func() kube.Write { return wanted(t, index, deployment(ns, "cart", 2)) }
	first := written(t, index, git())
	require.Equal(t, kube.Created, first.Action)
	u := object(t, deployment(ns, "cart", 2))
	created := read(t, u)

	for name, drift := range map[string]func(obj map[string]any){
		"env": func(obj map[string]any) {
			container := containers(obj)[0].(map[string]any)
			container["env"] = []any{map[string]any{"name": "DEBUG", "value": "1"}}
		},
		"sidecar": func(obj map[string]any) {
			setContainers(obj, append(containers(obj), map[string]any{"name": "sidecar", "image": "registry.example.com/spy:1"}))
		},
		"image": func(obj map[string]any) { containers(obj)[0].(map[string]any)["image"] = "registry.example.com/cart:2" },
		"label": func(obj map[string]any) {
			_ = unstructured.SetNestedField(obj, "x", "metadata", "labels", "added")
		},
		"replicas": func(obj map[string]any) { _ = unstructured.SetNestedField(obj, int64(9), "spec", "replicas") },
	} {
		edit(t, u, drift)
		until(t, "the drift is seen", func() bool { h, _ := snapshot(t, index).Tree.Get(pathOf(u)); return h != first.Hash })
		result := written(t, index, git())
		require.Equal(t, kube.Updated, result.Action, name)
		require.Equal(t, first.Hash, result.Hash, name)
		require.Equal(t, created.GetUID(), read(t, u).GetUID(), name)
	}

	remove(t, u)
	result := written(t, index, git())
	require.Contains(t, []kube.Action{kube.Created, kube.Unchanged}, result.Action)
	require.Equal(t, first.Hash, result.Hash)
	require.NotEqual(t, created.GetUID(), read(t, u).GetUID())

	before := read(t, u).GetGeneration()
	require.Equal(t, kube.Unchanged, written(t, index, git()).Action)
	require.Equal(t, before, read(t, u).GetGeneration())
}

func containers(obj map[string]any) []any {
	list, _, _ := unstructured.NestedFieldNoCopy(obj, "spec", "template", "spec", "containers")
	return list.([]any)
}

func setContainers(obj map[string]any, list []any) {
	_ = unstructured.SetNestedSlice(obj, list, "spec", "template", "spec", "containers")
}

func TestOwnWritesAreNoNews(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	dir := "namespaces/" + ns + "/configmaps"
	for i := range 20 {
		result := written(t, index, wanted(t, index, configMap(ns, "mine", fmt.Sprint(i))))
		after := snapshot(t, index).Tree
		h, _ := after.Get(result.Path)
		require.Equal(t, result.Hash, h, "the index has it at once")

		// The watch has told of the write when it has told of what came after.
		marker := create(t, configMap(ns, fmt.Sprint("marker-", i), "x"))
		until(t, "the marker is seen", func() bool { _, in := index.Lookup(pathOf(marker)); return in })
		later := snapshot(t, index).Tree
		h, _ = later.Get(result.Path)
		require.Equal(t, result.Hash, h)
	}
	require.GreaterOrEqual(t, snapshot(t, index).Tree.Sub(dir).Len(), 21)
}

func TestUpdateKeepsWhatTheClusterAllocated(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	for name, c := range map[string]struct {
		text      string
		allocated []string // a field that the cluster fills in
	}{
		"Service": {fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: %s, labels: {v: "VALUE"}}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
`, ns), []string{"spec", "clusterIP"}},
		"PersistentVolumeClaim": {fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: %s, labels: {v: "VALUE"}}
spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}
`, ns), []string{"spec", "volumeName"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := create(t, strings.ReplaceAll(c.text, "VALUE", "1"))
			if name == "PersistentVolumeClaim" {
				u = bind(t, u)
			}
			before, found, _ := unstructured.NestedString(u.Object, c.allocated...)
			require.True(t, found)
			write := wanted(t, index, strings.ReplaceAll(c.text, "VALUE", "2"))
			write.Live = manifest.Hash(nil) // it exists, whether the index has seen it or not
			result := written(t, index, write)
			require.Equal(t, kube.Updated, result.Action)
			now := read(t, u)
			after, _, _ := unstructured.NestedString(now.Object, c.allocated...)
			require.Equal(t, before, after)
			require.Equal(t, "2", now.GetLabels()["v"])
		})
	}
}

// bind does what the volume controller does.
func bind(t testing.TB, claim *unstructured.Unstructured) *unstructured.Unstructured {
	edit(t, claim, func(obj map[string]any) {
		_ = unstructured.SetNestedField(obj, "pv-of-"+claim.GetNamespace(), "spec", "volumeName")
		_ = unstructured.SetNestedField(obj, "yes", "metadata", "annotations", "pv.kubernetes.io/bound-by-controller")
	})
	return read(t, claim)
}

func TestBadObjectsDontStopTheRest(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	var writes []kube.Write
	for i := range 60 {
		text := configMap(ns, fmt.Sprint("c", i), "1")
		if i%3 == 0 {
			text = strings.Replace(text, "data:", "immutable: 7\ndata:", 1)
		}
		writes = append(writes, wanted(t, index, text))
	}
	calls := 0
	results := index.Apply(t.Context(), writes, kube.ApplyOptions{Progress: func(done, total int) {
		calls++
		require.Equal(t, calls, done)
		require.Equal(t, 60, total)
	}})
	for i, r := range results {
		require.Equal(t, writes[i].Path, r.Path)
		require.Equal(t, i%3 == 0, r.Err != nil, "%d: %v", i, r.Err)
	}
	require.Equal(t, 60, calls)
}

// TestKnownHashIsTakenOnlyForTheSameContent: the API server fills in defaults, so that an object may become
// something else than what was written.
func TestKnownHashIsTakenOnlyForTheSameContent(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	for name, c := range map[string]struct {
		text string
		same bool
	}{
		"stored as it is": {configMap(ns, "plain", "1"), true},
		"defaulted":       {deployment(ns, "cart", 2), false},
	} {
		w := wanted(t, index, c.text)
		content, err := manifest.Encode(w.Object)
		require.NoError(t, err)
		w.Hash = manifest.Hash(content)
		result := written(t, index, w)
		require.Equal(t, kube.Created, result.Action, name)
		truth, _ := listed(t, ns, w.Resource).Get(w.Path)
		require.Equal(t, truth, result.Hash, name)
		require.Equal(t, c.same, truth == w.Hash, name)

		edit(t, object(t, c.text), func(obj map[string]any) {
			_ = unstructured.SetNestedField(obj, "x", "metadata", "annotations", "added")
		})
		result = written(t, index, w)
		require.Equal(t, kube.Updated, result.Action, name)
		require.Equal(t, truth, result.Hash, name)
	}
}

func TestExcludedObjectsAreNeitherWrittenNorDeleted(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	u := create(t, strings.Replace(configMap(ns, "theirs", "1"), "metadata: {", `metadata: {annotations: {active-cluster-sync.io/ignore: "true"}, `, 1))
	write := wanted(t, index, configMap(ns, "theirs", "2"))
	for _, object := range []map[string]any{write.Object, nil} {
		write.Object = object
		result := written(t, index, write)
		require.Equal(t, kube.Skipped, result.Action)
		require.NotEmpty(t, result.Reason)
		require.Equal(t, u.GetResourceVersion(), read(t, u).GetResourceVersion())
	}
}

// Each cluster has the account by itself, and leaves it out of its tree. What a person made of it elsewhere is
// to arrive all the same.
func TestApplyTakesOverWhatKubernetesMade(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	account := "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: " + ns + "}\n"
	write := wanted(t, index, account+"imagePullSecrets: [{name: registry}]\n")
	until(t, "the account is known", func() bool {
		e, ok := index.Lookup(write.Path)
		return ok && e.SkippedFor != ""
	})
	result := written(t, index, write)
	require.Equal(t, kube.Updated, result.Action)
	require.Contains(t, read(t, object(t, account)).Object, "imagePullSecrets")
	require.Equal(t, kube.Unchanged, written(t, index, write).Action)

	// What is the cluster's own whatever it says isn't written.
	other := strings.Replace(account, "name: default,", "name: kube-root-ca.crt,", 1)
	other = strings.Replace(other, "ServiceAccount", "ConfigMap", 1)
	write = wanted(t, index, other+"data: {ca.crt: another}\n")
	until(t, "the certificate is known", func() bool { _, ok := index.Lookup(write.Path); return ok })
	require.Equal(t, kube.Skipped, written(t, index, write).Action)
}

func TestDeleteNeverHitsAnObjectThatCameLater(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	u := create(t, configMap(ns, "a", "1"))
	g := newGate(t)
	index := startIndex(t, g.cluster())
	snapshot(t, index)
	write := wanted(t, index, configMap(ns, "a", "1"))
	write.Object = nil

	// Between looking at the object and deleting it, somebody puts one in its place that isn't synced.
	replaced := false
	g.refusing(func(request string) int {
		if request == "DELETE /api/v1/namespaces/"+ns+"/configmaps/a" && !replaced {
			replaced = true
			_ = of(u).Delete(t.Context(), "a", metav1.DeleteOptions{})
			theirs := object(t, configMap(ns, "a", "2"))
			theirs.SetAnnotations(map[string]string{"active-cluster-sync.io/ignore": "true"})
			_, _ = of(u).Create(t.Context(), theirs, metav1.CreateOptions{})
		}
		return 0
	})
	result := written(t, index, write)
	require.True(t, replaced)
	require.Equal(t, kube.Skipped, result.Action)
	require.NotEqual(t, u.GetUID(), read(t, u).GetUID())
}

func TestDeleteGoesAheadWithoutWaitingForFinalizers(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	plain := create(t, configMap(ns, "plain", "1"))
	held := create(t, strings.Replace(configMap(ns, "held", "1"), "metadata: {", "metadata: {finalizers: [example.com/hold], ", 1))
	require.Equal(t, kube.Deleted, index.DryRun(t.Context(), deletionOf(plain)).Action)
	read(t, plain)
	require.Equal(t, kube.Deleted, written(t, index, deletionOf(plain)).Action)
	_, err := of(plain).Get(t.Context(), "plain", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err))
	require.Equal(t, kube.Unchanged, written(t, index, deletionOf(plain)).Action, "it is gone already")
	until(t, "the index knows", func() bool { _, in := index.Lookup(pathOf(plain)); return !in })

	require.Equal(t, kube.Deleted, written(t, index, deletionOf(held)).Action)
	again := written(t, index, deletionOf(held))
	require.Equal(t, kube.Unchanged, again.Action)
	require.Contains(t, again.Reason, "example.com/hold")
	edit(t, held, func(obj map[string]any) { unstructured.RemoveNestedField(obj, "metadata", "finalizers") })
}

func TestDryRunFindsEquivalenceAndStoresNothing(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	u := create(t, deployment(ns, "cart", 2))
	until(t, "it is indexed", func() bool { _, in := index.Lookup(pathOf(u)); return in })
	live, _ := index.Lookup(pathOf(u))

	// What the file leaves to the API server's defaults is no difference.
	same := index.DryRun(t.Context(), wanted(t, index, deployment(ns, "cart", 2)))
	require.Equal(t, kube.Written{Path: pathOf(u), Action: kube.Unchanged, Hash: live.Hash}, same)

	other := index.DryRun(t.Context(), wanted(t, index, deployment(ns, "cart", 3)))
	require.Equal(t, kube.Updated, other.Action)
	require.NotEqual(t, live.Hash, other.Hash)
	require.Equal(t, live.Hash, manifest.Hash(other.Before))
	require.Equal(t, other.Hash, manifest.Hash(other.After))
	require.Equal(t, string(other.After), strings.Replace(string(other.Before), "replicas: 2", "replicas: 3", 1))
	fresh := index.DryRun(t.Context(), wanted(t, index, deployment(ns, "fresh", 3)))
	require.Equal(t, kube.Created, fresh.Action)
	require.Empty(t, fresh.Before)
	require.Contains(t, string(fresh.After), "revisionHistoryLimit: 10", "with what the API server fills in")

	require.Equal(t, u.GetGeneration(), read(t, u).GetGeneration())
	_, err := of(u).Get(t.Context(), "fresh", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err))

	result := written(t, index, wanted(t, index, deployment(ns, "cart", 3)))
	require.Equal(t, other.Hash, result.Hash, "the write becomes what the dry run said")
}

func TestWritesPersistThroughOverload(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startIndex(t, g.cluster())
	snapshot(t, index)
	ns := namespace(t)
	refused := 0
	g.refusing(func(request string) int {
		if strings.HasPrefix(request, "POST ") && refused < 2 {
			refused++
			return []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}[refused-1]
		}
		return 0
	})
	require.Equal(t, kube.Created, written(t, index, wanted(t, index, configMap(ns, "a", "1"))).Action)
	require.Equal(t, 2, refused)
}

func TestUnreachableAPIServerFailsTheRestAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startIndex(t, g.cluster())
	snapshot(t, index)
	ns := namespace(t)
	var writes []kube.Write
	for i := range 500 {
		writes = append(writes, wanted(t, index, configMap(ns, fmt.Sprint("c", i), "1")))
	}
	g.Shut()
	ctx, cancel := contextWithin(t, 30)
	defer cancel()
	for _, r := range index.Apply(ctx, writes, kube.ApplyOptions{}) {
		require.Equal(t, kube.Failed, r.Action)
		require.ErrorIs(t, r.Err, kube.ErrUnreachable)
	}
	require.NoError(t, ctx.Err())
}

func TestAWriteGoesAheadWhereTheVersionThatWasSeenIsInTheFuture(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startIndex(t, g.cluster())
	ns := namespace(t)
	u := create(t, configMap(ns, "a", "1"))
	until(t, "it is seen", func() bool { _, ok := snapshot(t, index).Tree.Get(pathOf(u)); return ok })
	g.askForTheFuture()
	require.Equal(t, kube.Updated, written(t, index, wanted(t, index, configMap(ns, "a", "2"))).Action)
}

func TestConcurrentEditsDontLoseAWrite(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	snapshot(t, index)
	ns := namespace(t)
	u := create(t, configMap(ns, "a", "1"))
	g := 0
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ; ; g++ {
			select {
			case <-stop:
				return
			default:
			}
			now, err := of(u).Get(t.Context(), "a", metav1.GetOptions{})
			if err == nil {
				now.SetLabels(map[string]string{"g": fmt.Sprint(g)})
				_, _ = of(u).Update(t.Context(), now, metav1.UpdateOptions{})
			}
		}
	}()
	until(t, "a write got through between the edits", func() bool {
		return apply(t, index, wanted(t, index, configMap(ns, "a", "2")))[0].Err == nil
	})
	close(stop)
	<-done
	value, _, _ := unstructured.NestedString(read(t, u).Object, "data", "value")
	require.Equal(t, "2", value)
}
