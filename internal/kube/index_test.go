package kube_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

func configMap(namespace, name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {value: %q}", name, namespace, value)
}

func service(namespace, name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec: {selector: {app: %q}, ports: [{port: 80}]}", name, namespace, value)
}

func deployment(namespace, name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: %s}
spec:
  replicas: %d
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      containers:
      - {name: cart, image: registry.example.com/cart:1}
`, name, namespace, replicas)
}

func TestIndexEqualsFullListAfterRandomChanges(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(t *testing.T, g *gate, until <-chan struct{}){
		"in peace": func(_ *testing.T, _ *gate, until <-chan struct{}) { <-until },
		"while connections break": func(_ *testing.T, g *gate, until <-chan struct{}) {
			for over := false; !over; {
				select {
				case <-until:
					over = true
				case <-time.After(300 * time.Millisecond):
				}
				g.Shut()
				g.Open()
			}
		},
		"while watches expire": func(_ *testing.T, g *gate, until <-chan struct{}) {
			expire := true
			g.refusing(func(request string) int {
				if expire = !expire; expire && strings.HasPrefix(request, "WATCH ") {
					return http.StatusGone
				}
				return 0
			})
			for over := false; !over; {
				select {
				case <-until:
					over = true
				case <-time.After(time.Second):
				}
				g.Shut()
				g.Open()
			}
			g.refusing(func(string) int { return 0 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			index := startIndex(t, g.cluster())
			snapshot(t, index)
			ns := namespace(t)
			over, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				disturb(t, g, over)
			}()
			changeAtRandom(t, index, ns)
			close(over)
			<-done

			expected := listed(t, ns, resources["ConfigMap"], resources["Service"]).Hash()
			until(t, "the index holds what the cluster does", func() bool {
				s := snapshot(t, index)
				actual := tree.Tree{}.Edit(func(e *tree.Editor) {
					for _, dir := range []string{"configmaps", "services"} {
						e.PutTree("namespaces/"+ns+"/"+dir, s.Tree.Sub("namespaces/"+ns+"/"+dir))
					}
				})
				return actual.Hash() == expected && s.Stale == nil
			})
		})
	}
}

// changeAtRandom creates, updates and deletes objects from four sides, and through the index as well.
func changeAtRandom(t *testing.T, index *kube.Index, ns string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var writers errgroup.Group
	for i := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, i))
		text := []func(namespace, name, value string) string{configMap, service}[i%2]
		writers.Go(func() error {
			for range 100 {
				u := object(t, text(ns, fmt.Sprint("o", random.IntN(15)), fmt.Sprint(random.IntN(4))))
				if random.IntN(3) > 0 {
					changeDirectly(t, random, u)
					continue
				}
				r := resourceOf(u)
				write := kube.Write{Path: pathOf(u), Resource: r}
				if random.IntN(3) > 0 {
					manifest.Normalise(r, u.Object, manifest.Surroundings{})
					write.Object = u.Object
				}
				if e, ok := index.Lookup(write.Path); ok {
					write.Live = e.Hash
				}
				apply(t, index, write)
			}
			return nil
		})
	}
	require.NoError(t, writers.Wait())
}

// changeDirectly may lose against another change, as changes of people do.
func changeDirectly(t *testing.T, random *rand.Rand, u *unstructured.Unstructured) {
	live, err := of(u).Get(t.Context(), u.GetName(), metav1.GetOptions{})
	switch {
	case err != nil:
		_, _ = of(u).Create(t.Context(), u, metav1.CreateOptions{})
	case random.IntN(3) == 0:
		_ = of(u).Delete(t.Context(), u.GetName(), metav1.DeleteOptions{})
	default:
		live.SetLabels(map[string]string{"v": fmt.Sprint(random.IntN(9))})
		_, _ = of(u).Update(t.Context(), live, metav1.UpdateOptions{})
	}
}

func TestFirstSnapshotHoldsTheWholeClusterAndTellsProgress(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	u := create(t, configMap(ns, "a", "1"))
	g := newGate(t)
	told := make(chan struct{})
	g.refusing(func(request string) int {
		if strings.HasSuffix(request, "/services") {
			<-told // a list that takes long
		}
		return 0
	})
	index := startIndex(t, g.cluster())
	var said []string
	tell := sync.OnceFunc(func() { close(told) })
	t.Cleanup(tell)
	s, err := index.Snapshot(t.Context(), func(words string) { said = append(said, words); tell() })
	require.NoError(t, err)
	require.NotEmpty(t, said)
	require.Regexp(t, `^listed \d+ of \d+ resources, [\d,]+ objects$`, said[len(said)-1])
	_, found := s.Tree.Get(pathOf(u))
	require.True(t, found)
	require.True(t, s.Knows(pathOf(u)))
	require.Empty(t, staleResources(s))
}

func TestSkippedObjectsAreCountedAndKnown(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	ns := namespace(t)
	u := create(t, configMap(ns, "mine", "1"))
	until(t, "it is in the tree", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(u)); return in })

	edit(t, u, func(obj map[string]any) {
		_ = unstructured.SetNestedField(obj, "true", "metadata", "annotations", "active-cluster-sync.io/ignore")
	})
	until(t, "it is out of the tree", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(u)); return !in })
	e, found := index.Lookup(pathOf(u))
	require.True(t, found)
	require.NotEmpty(t, e.SkippedFor)
	require.Zero(t, e.Hash)
	require.Positive(t, snapshot(t, index).Skipped[e.SkippedFor])

	remove(t, u)
	until(t, "it is forgotten", func() bool { _, found := index.Lookup(pathOf(u)); return !found })
}

func TestAutoscalerTakesReplicasOutOfItsTarget(t *testing.T) {
	t.Parallel()
	index := startIndex(t, connectAdmin(t))
	ns := namespace(t)
	u := create(t, deployment(ns, "cart", 3))
	hash := func(s manifest.Surroundings) string {
		obj := read(t, u).Object
		manifest.Normalise(resources["Deployment"], obj, s)
		content, err := manifest.Encode(obj)
		require.NoError(t, err)
		return manifest.Hash(content).String()
	}
	indexed := func() string { h, _ := snapshot(t, index).Tree.Get(pathOf(u)); return h.String() }
	own, scaled := hash(manifest.Surroundings{}), hash(manifest.Surroundings{Scaled: true})
	require.NotEqual(t, own, scaled)
	until(t, "replicas are its own", func() bool { return indexed() == own })

	hpa := create(t, fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: cart, namespace: %s}
spec:
  maxReplicas: 5
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}
`, ns))
	until(t, "replicas are the autoscaler's", func() bool { return indexed() == scaled })

	later := startIndex(t, connectAdmin(t))
	h, _ := snapshot(t, later).Tree.Get(pathOf(u))
	require.Equal(t, scaled, h.String(), "an index that starts later sees the same")

	remove(t, hpa)
	until(t, "replicas are its own again", func() bool { return indexed() == own })
}

func TestIdleIndexSendsNoRequests(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startIndex(t, g.cluster())
	ns := namespace(t)
	u := create(t, configMap(ns, "a", "1"))
	until(t, "the index is current", func() bool { return snapshot(t, index).Tree.Sub("namespaces/"+ns).Len() > 0 })
	calm := func() []string {
		g.requests()
		for i := range 20 {
			edit(t, u, func(obj map[string]any) { obj["data"] = map[string]any{"value": fmt.Sprint("calm", i)} })
			snapshot(t, index)
		}
		last := read(t, u).GetResourceVersion()
		until(t, "the changes are in", func() bool { e, _ := index.Lookup(pathOf(u)); return e.ResourceVersion == last })
		return g.requests()
	}
	// Definitions of other tests make this index look around; in between it must be calm.
	until(t, "twenty changes and snapshots without a request", func() bool { return len(calm()) == 0 })
}

func TestRunEndsItsGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	g := newGate(t)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		index := g.cluster().NewIndex(kube.IndexOptions{})
		done := make(chan error)
		go func() { done <- index.Run(ctx) }()
		snapshot(t, index)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	}
	g.Shut()
	until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+3 })
}
