package kube_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

// asked are the last watches of each path that got through a gate.
type asked struct {
	mu   sync.Mutex
	last map[string]url.Values
}

func (a *asked) note(r *http.Request) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if query := r.URL.Query(); query.Has("watch") {
		a.last[r.URL.Path] = query
	}
	return 0
}

// marked reports whether the watch of a path wants bookmarks; false until it is more than the stream of a list.
func (a *asked) marked(path string) (bookmarks, watched bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	query := a.last[path]
	return query.Get("allowWatchBookmarks") == "true", query != nil && !query.Has("sendInitialEvents")
}

func TestOnlyWatchesOfManyObjectsAskForBookmarks(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	binding := func(name string) string {
		return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: %s, namespace: %s}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}", name, ns)
	}
	first := create(t, binding("first"))
	crowd(t, 501)

	transport, err := rest.TransportFor(admin)
	require.NoError(t, err)
	g, a := stacktest.NewGate(t, admin.Host, transport, nil), &asked{last: map[string]url.Values{}}
	g.Refuse(a.note)
	index := startIndex(t, connect(t, &clientcmdapi.Cluster{Server: g.URL()}, &clientcmdapi.AuthInfo{}))
	has := func(u *unstructured.Unstructured) bool { _, in := snapshot(t, index).Tree.Get(pathOf(u)); return in }
	require.True(t, has(first), "it is listed")

	few := func() bool {
		bookmarks, watched := a.marked("/apis/rbac.authorization.k8s.io/v1/rolebindings")
		return watched && !bookmarks
	}
	until(t, "the few objects are watched without bookmarks", few)
	second := create(t, binding("second"))
	until(t, "a new object is seen", func() bool { return has(second) })
	remove(t, first)
	until(t, "that an object is gone is seen", func() bool { return !has(first) })

	_, watched := a.marked("/api/v1/configmaps")
	require.False(t, watched, "the stream of the many objects goes on as their watch")
	// A break that is noticed while nobody listens at the gate ends in a new list.
	looks := 0
	until(t, "the watches go on after a break", func() bool {
		if looks%100 == 0 {
			g.Shut()
			g.Open()
		}
		looks++
		_, watched := a.marked("/api/v1/configmaps")
		return watched && few()
	})
	third := create(t, binding("third"))
	until(t, "what is new after the break is seen", func() bool { return has(third) })
	bookmarks, _ := a.marked("/api/v1/configmaps")
	require.True(t, bookmarks, "many objects are not listed again for want of a bookmark")
}
