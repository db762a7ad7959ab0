package kube_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// crowd makes many ConfigMaps, and removes them after the test. Nobody else touches them. It returns their
// namespace.
func crowd(t *testing.T, size int) string {
	ns := namespace(t)
	maps := api.Resource(resources["ConfigMap"].GVR()).Namespace(ns)
	var makers errgroup.Group
	makers.SetLimit(16)
	for i := range size {
		makers.Go(func() error {
			u := object(t, configMap(ns, fmt.Sprint("c", i), strings.Repeat("x", 200)))
			_, err := maps.Create(t.Context(), u, metav1.CreateOptions{})
			return err
		})
	}
	require.NoError(t, makers.Wait())
	t.Cleanup(func() {
		_ = maps.DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{})
	})
	return ns
}

// whole waits until all of a namespace's ConfigMaps are known, and returns a check that they still are.
func whole(t *testing.T, index *kube.Index, ns string) (check func() kube.Snapshot) {
	t.Helper()
	expected := listed(t, ns, resources["ConfigMap"])
	until(t, "all is known", func() bool { return only(snapshot(t, index).Tree, ns, "configmaps").Hash() == expected.Hash() })
	return func() kube.Snapshot {
		t.Helper()
		s := snapshot(t, index)
		require.True(t, s.Knows("namespaces/"+ns+"/configmaps/any.yaml"))
		require.Equal(t, expected.Len(), only(s.Tree, ns, "configmaps").Len(), "what nobody touched is still there")
		require.Equal(t, expected.Hash(), only(s.Tree, ns, "configmaps").Hash())
		return s
	}
}

// A list of over 5,000 objects is about 3 MB; this is in its middle.
const (
	crowdSize = 5_200
	middle    = 1 << 20
)

func TestListsThatBreakInTheMiddleLoseNothing(t *testing.T) {
	t.Parallel()
	crowded := crowd(t, crowdSize)
	t.Run("streamed", func(t *testing.T) { cutLists(t, crowded, true) })
	t.Run("listed", func(t *testing.T) { cutLists(t, crowded, false) })
	t.Run("API server killed", func(t *testing.T) { killAPIServer(t, crowded) })
}

func cutLists(t *testing.T, crowded string, streams bool) {
	g := newGate(t)
	var cuts atomic.Int32
	var tearing atomic.Bool
	g.refusing(func(request string) int {
		switch {
		case !streams && strings.HasPrefix(request, "STREAM "):
			return http.StatusUnprocessableEntity
		case tearing.Load() && request == "WATCH /api/v1/configmaps":
			return http.StatusGone // so that it is listed again
		}
		return 0
	})
	g.tampering(func(request string, body io.ReadCloser) io.ReadCloser {
		if !tearing.Load() || !listsConfigMaps(request) {
			return body
		}
		return &torn{body, middle, func() error { cuts.Add(1); return errors.New("the connection broke") }}
	})

	tearing.Store(true)
	found := new(defects)
	index := startWith(t, g.cluster(), kube.IndexOptions{AuditEvery: 4 * time.Second, Defect: found.add, Logger: slog.New(slog.DiscardHandler)})
	s := snapshot(t, index)
	require.Positive(t, cuts.Load())
	require.False(t, s.Knows("namespaces/"+crowded+"/configmaps/any.yaml"), "half a list is no knowledge")
	tearing.Store(false)
	check := whole(t, index, crowded)

	ns := namespace(t)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // choices of a test
	tearing.Store(true)
	cuts.Store(0)
	g.Shut()
	g.Open()
	until(t, "lists were cut", func() bool {
		changeDirectly(t, random, object(t, configMap(ns, fmt.Sprint("o", random.IntN(40)), fmt.Sprint(random.IntN(9)))))
		check()
		return cuts.Load() >= 2
	})
	tearing.Store(false)
	untilExact(t, index, ns, "ConfigMap")
	check()

	pages := 0
	g.requests()
	until(t, "an audit has seen each page of them", func() bool {
		for _, request := range g.requests() {
			if request == "LIST /api/v1/configmaps" {
				pages++
			}
		}
		return pages > 2*crowdSize/500
	})
	require.Empty(t, found.all())
	check()
}

func listsConfigMaps(request string) bool {
	return request == "STREAM /api/v1/configmaps" || request == "LIST /api/v1/configmaps"
}

func killAPIServer(t *testing.T, crowded string) {
	ns := namespace(t)
	changed, removed := create(t, configMap(ns, "changed", "before")), create(t, configMap(ns, "removed", "before"))
	server := startAPIServer(t)
	g := newGateTo(t, server.url)
	var armed atomic.Bool
	g.tampering(func(request string, body io.ReadCloser) io.ReadCloser {
		if !listsConfigMaps(request) {
			return body
		}
		return &torn{body, middle, func() error {
			if armed.CompareAndSwap(true, false) {
				server.kill()
			}
			return nil
		}}
	})
	g.refusing(func(request string) int {
		if armed.Load() && request == "WATCH /api/v1/configmaps" {
			return http.StatusGone // so that it is listed again
		}
		return 0
	})
	index := startIndex(t, g.cluster())
	check := whole(t, index, crowded)

	armed.Store(true)
	g.Shut()
	g.Open()
	until(t, "the API server was killed in mid-list", func() bool { check(); return server.ended() })
	edit(t, changed, func(obj map[string]any) { obj["data"] = map[string]any{"value": "while it was down"} })
	remove(t, removed)
	check()
	server.start()
	expected := listed(t, ns, resources["ConfigMap"]).Hash()
	until(t, "the index is current", func() bool {
		s := check()
		return only(s.Tree, ns, "configmaps").Hash() == expected && len(staleResources(s)) == 0
	})
}

func TestWatchThatBreaksEverySecondTellsOfEveryChange(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startIndex(t, g.cluster())
	still, ns := namespace(t), namespace(t)
	for i := range 50 {
		create(t, configMap(still, fmt.Sprint("s", i), "still"))
	}
	check := whole(t, index, still)

	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		every(over, time.Second, func() { g.Shut(); g.Open() })
	})
	var changes atomic.Int32
	const clients, perSecond = 8, 100
	for i := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(i))) //nolint:gosec // choices of a test
			text := []func(namespace, name, value string) string{configMap, service}[i%2]
			exists := map[string]bool{}
			every(over, clients*time.Second/perSecond, func() {
				name := fmt.Sprintf("o%d-%d", i, random.IntN(10))
				require.NoError(t, changeOwn(t, random, object(t, text(ns, name, fmt.Sprint(random.IntN(4)))), exists))
				changes.Add(1)
			})
		})
	}
	lasts := stacktest.Lasting(12*time.Second, time.Minute)
	snapshots := 0
	for end := time.Now().Add(lasts); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		check()
		snapshots++
	}
	close(over)
	wg.Wait()
	t.Logf("%d changes and %d snapshots in %s", changes.Load(), snapshots, lasts)
	untilExact(t, index, ns, "ConfigMap", "Service")
	check()
}

// every does something again and again until it is over.
func every(over <-chan struct{}, d time.Duration, do func()) {
	for tick := time.NewTicker(d); ; {
		select {
		case <-over:
			tick.Stop()
			return
		case <-tick.C:
			do()
		}
	}
}

// changeOwn creates, updates or deletes an object that nobody else touches, with one request.
func changeOwn(t *testing.T, random *rand.Rand, u *unstructured.Unstructured, exists map[string]bool) error {
	name := u.GetName()
	switch {
	case !exists[name]:
		exists[name] = true
		_, err := of(u).Create(t.Context(), u, metav1.CreateOptions{})
		return err
	case random.IntN(4) == 0:
		exists[name] = false
		return of(u).Delete(t.Context(), name, metav1.DeleteOptions{})
	default:
		patch := fmt.Sprintf(`{"metadata": {"labels": {"v": "%d"}}}`, random.IntN(9))
		_, err := of(u).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}
}

// untilExact waits until the index holds of a namespace what a fresh list shows, and its watches are up.
func untilExact(t *testing.T, index *kube.Index, ns string, kinds ...string) {
	t.Helper()
	var wanted []manifest.Resource
	var dirs []string
	for _, kind := range kinds {
		wanted, dirs = append(wanted, resources[kind]), append(dirs, resources[kind].Name)
	}
	expected := listed(t, ns, wanted...).Hash()
	until(t, "the index holds what the cluster does", func() bool {
		s := snapshot(t, index)
		return only(s.Tree, ns, dirs...).Hash() == expected && len(staleResources(s)) == 0
	})
}

// only is what a tree holds of some resources of a namespace.
func only(t tree.Tree, ns string, dirs ...string) tree.Tree {
	return tree.Tree{}.Edit(func(e *tree.Editor) {
		for _, dir := range dirs {
			e.PutTree("namespaces/"+ns+"/"+dir, t.Sub("namespaces/"+ns+"/"+dir))
		}
	})
}
