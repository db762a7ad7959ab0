package kube_test

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
)

// defects collects what audits found, by resource.
type defects struct {
	mu    sync.Mutex
	found map[string]int
}

func (d *defects) add(resource string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found == nil {
		d.found = map[string]int{}
	}
	d.found[resource]++
}

func (d *defects) all() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.found)
}

// audited is an index behind a gate that is audited all the time.
type audited struct {
	*gate
	*defects
	index *kube.Index
	log   *lines
}

func startAudited(t *testing.T, g *gate, every time.Duration) audited {
	a := audited{g, new(defects), nil, new(lines)}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(a.log, testLog(t)), nil))
	a.index = startWith(t, a.cluster(), kube.IndexOptions{Logger: log, AuditEvery: every, Defect: a.add})
	snapshot(t, a.index)
	return a
}

// lists counts the audits of a resource since the last call.
func (a audited) lists(path string) int {
	return len(slices.DeleteFunc(a.requests(), func(request string) bool { return request != "LIST "+path }))
}

func TestAuditFindsAndCorrectsWhatTheWatchDidNotTell(t *testing.T) {
	t.Parallel()
	a := startAudited(t, newGate(t), 3*time.Second)
	ns := namespace(t)
	updated, deleted := create(t, configMap(ns, "updated", "1")), create(t, configMap(ns, "deleted", "1"))
	remade, bystander := create(t, configMap(ns, "remade", "1")), create(t, configMap(ns, "bystander", "1"))
	dir := "namespaces/" + ns + "/configmaps"
	expected := func() string { return listed(t, ns, resources["ConfigMap"]).Sub(dir).Hash().String() }
	actual := func() string { return snapshot(t, a.index).Tree.Sub(dir).Hash().String() }
	until(t, "the index is current", func() bool { return actual() == expected() })

	var swallows atomic.Int32
	a.tampering(func(request string, body io.ReadCloser) io.ReadCloser {
		if !strings.HasPrefix(request, "WATCH ") {
			return body
		}
		return swallow(body, func(e event) bool {
			m := e.Object.Metadata
			lacks := m.Namespace == ns && m.Name != "bystander" && m.Name != "kube-root-ca.crt"
			if lacks {
				swallows.Add(1)
			}
			return lacks
		})
	})
	// Watches that run on are not tampered with.
	a.Shut()
	a.Open()
	number := 0
	pass := func() { // by this the watch comes past what was swallowed
		number++
		edit(t, bystander, func(obj map[string]any) { obj["data"] = map[string]any{"value": fmt.Sprint("n", number)} })
	}
	until(t, "watches are up again", func() bool {
		pass()
		live := read(t, bystander).GetResourceVersion()
		until(t, "the bystander is current", func() bool { e, _ := a.index.Lookup(pathOf(bystander)); return e.ResourceVersion == live })
		return snapshot(t, a.index).Stale == nil
	})

	// A 404 that is not the API server's word about the object proves nothing.
	gone := "GET /api/v1/namespaces/" + ns + "/configmaps/deleted"
	var refused atomic.Int32
	a.refusing(func(request string) int {
		if request == gone {
			refused.Add(1)
			return http.StatusNotFound
		}
		return 0
	})
	edit(t, updated, func(obj map[string]any) { obj["data"] = map[string]any{"value": "2"} })
	remove(t, deleted)
	remove(t, remade)
	create(t, configMap(ns, "remade", "2"))
	created := create(t, configMap(ns, "created", "1"))
	until(t, "the deletion was asked about twice", func() bool { pass(); return refused.Load() >= 2 })
	require.EqualValues(t, 5, swallows.Load())
	_, in := a.index.Lookup(pathOf(deleted))
	require.True(t, in, "not dropped without proof")
	a.refusing(func(string) int { return 0 })

	until(t, "all is corrected", func() bool { pass(); return actual() == expected() })
	_, in = snapshot(t, a.index).Tree.Get(pathOf(created))
	require.True(t, in)
	require.Equal(t, map[string]int{"configmaps": 4}, a.all())
	for _, u := range []string{"updated", "deleted", "remade", "created"} {
		require.Equal(t, 1, a.log.count(`level=ERROR msg="the index was wrong about an object, and is corrected" object=`+dir+"/"+u+".yaml"), u)
	}
	a.requests()
	for audits := 0; audits < 2; audits += a.lists("/api/v1/configmaps") {
		pass()
	}
	require.Equal(t, map[string]int{"configmaps": 4}, a.all(), "each is counted once")
}

func TestAuditOfABusyIndexFindsNothing(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]struct {
		lag    time.Duration
		breaks bool
	}{
		"in peace":                {},
		"while connections break": {breaks: true},
		"while the watch lags":    {lag: 400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			g.tampering(func(request string, body io.ReadCloser) io.ReadCloser {
				if strings.HasPrefix(request, "LIST ") || strings.HasPrefix(request, "GET ") {
					return body
				}
				return delay(body, o.lag)
			})
			a := startAudited(t, g, time.Second)
			ns := namespace(t)
			for audits := 0; audits < 4; audits += a.lists("/api/v1/configmaps") {
				changeAtRandom(t, a.index, ns)
				if o.breaks {
					g.Shut()
					g.Open()
				}
			}
			require.Empty(t, a.all())
		})
	}
}
