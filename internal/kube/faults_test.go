package kube_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

func contextWithin(t testing.TB, seconds int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
}

// restricted connects as a ServiceAccount that may read the given resources, and nothing else.
func restricted(t testing.TB, resources ...string) (*kube.Cluster, *unstructured.Unstructured) {
	ns := namespace(t)
	create(t, fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: reader, namespace: %s}", ns))
	role := create(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %s}
rules:
- {apiGroups: [""], resources: [%s], verbs: [get, list, watch]}
`, ns, strings.Join(resources, ", ")))
	create(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}
subjects: [{kind: ServiceAccount, name: reader, namespace: %s}]
`, ns, ns, ns))
	request := object(t, "apiVersion: authentication.k8s.io/v1\nkind: TokenRequest\nmetadata: {name: reader}")
	accounts := api.Resource(schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}).Namespace(ns)
	token, err := accounts.Create(t.Context(), request, metav1.CreateOptions{}, "token")
	require.NoError(t, err)
	text, _, _ := unstructured.NestedString(token.Object, "status", "token")
	return connect(t, adminCluster(), &clientcmdapi.AuthInfo{Token: text}), role
}

func adminCluster() *clientcmdapi.Cluster {
	return &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData, CertificateAuthority: admin.CAFile}
}

func TestForbiddenResourceIsUnreadUntilItIsPermitted(t *testing.T) {
	t.Parallel()
	c, role := restricted(t, "configmaps", "services")
	index := startIndex(t, c)
	ns := namespace(t)
	allowed := create(t, configMap(ns, "a", "1"))
	forbidden := create(t, fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: mine, namespace: %s}", ns))

	until(t, "what is permitted is there", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(allowed)); return in })
	s := snapshot(t, index)
	require.True(t, s.Knows(pathOf(allowed)))
	require.False(t, s.Knows(pathOf(forbidden)))
	var message string
	for _, u := range s.Unread {
		require.NotEqual(t, "configmaps", u.Resource)
		if u.Resource == "serviceaccounts" {
			message = u.Message
		}
	}
	require.Contains(t, message, "permission denied")
	require.Contains(t, message, "grant it with a ClusterRole")
	require.NotContains(t, staleResources(s), "serviceaccounts", "what may not be read is not a watch that broke")

	edit(t, role, func(obj map[string]any) {
		_ = unstructured.SetNestedSlice(obj, []any{map[string]any{
			"apiGroups": []any{"*"}, "resources": []any{"*"}, "verbs": []any{"get", "list", "watch"},
		}}, "rules")
	})
	until(t, "it is read once permitted", func() bool {
		s := snapshot(t, index)
		_, in := s.Tree.Get(pathOf(forbidden))
		return in && s.Knows(pathOf(forbidden))
	})
}

func TestUnreachableAPIServerLosesNothing(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	var log lines
	index := startLogging(t, g.cluster(), slog.New(slog.NewTextHandler(&log, nil)))
	ns := namespace(t)
	stays, goes := create(t, configMap(ns, "stays", "1")), create(t, configMap(ns, "goes", "1"))
	until(t, "both are there", func() bool { return snapshot(t, index).Tree.Sub("namespaces/"+ns+"/configmaps").Len() >= 2 })
	before := snapshot(t, index).Tree.Sub("namespaces/" + ns + "/configmaps")

	g.Shut()
	remove(t, goes)
	edit(t, stays, func(obj map[string]any) { obj["data"] = map[string]any{"value": "2"} })
	until(t, "the snapshot is stale", func() bool { return snapshot(t, index).Stale != nil })
	s := snapshot(t, index)
	require.Equal(t, before.Hash(), s.Tree.Sub("namespaces/"+ns+"/configmaps").Hash(), "content is as of then")
	require.True(t, s.Knows(pathOf(goes)), "it was read, only a while ago")
	until(t, "no watch is up", func() bool { return snapshot(t, index).Stale.Unreachable })
	require.Contains(t, snapshot(t, index).Stale.Message, "does not answer")

	_, err := g.cluster().UID(t.Context())
	require.ErrorIs(t, err, kube.ErrUnreachable)

	g.Open()
	expected := listed(t, ns, resources["ConfigMap"]).Hash()
	until(t, "the index is current", func() bool {
		s := snapshot(t, index)
		now := s.Tree.Sub("namespaces/" + ns + "/configmaps")
		want := listed(t, ns, resources["ConfigMap"]).Sub("namespaces/" + ns + "/configmaps")
		return len(staleResources(s)) == 0 && now.Hash() == want.Hash()
	})
	require.Equal(t, expected, listed(t, ns, resources["ConfigMap"]).Hash())
	until(t, "the log tells of the end", func() bool { return log.count("readable again") > 0 })
	require.LessOrEqual(t, log.count("cannot be read"), 3, "one line for all, not one for each resource or retry")
	require.Positive(t, log.count("cannot be read"))
}

// lines is a log.
type lines struct{ stacktest.Output }

func (l *lines) count(words string) int { return strings.Count(l.String(), words) }

func TestFailingListsDeleteNothing(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startIndex(t, g.cluster())
	ns := namespace(t)
	u := create(t, configMap(ns, "a", "1"))
	until(t, "it is there", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(u)); return in })

	g.refusing(func(request string) int {
		if strings.HasSuffix(request, "/configmaps") {
			return http.StatusInternalServerError
		}
		return 0
	})
	g.Shut()
	g.Open()
	until(t, "config maps are stale", func() bool {
		s := snapshot(t, index)
		return slices.Equal(staleResources(s), []string{"configmaps"})
	})
	s := snapshot(t, index)
	require.False(t, s.Stale.Unreachable)
	_, in := s.Tree.Get(pathOf(u))
	require.True(t, in)

	remove(t, u)
	g.refusing(func(string) int { return 0 })
	until(t, "they are current again", func() bool {
		s := snapshot(t, index)
		_, in := s.Tree.Get(pathOf(u))
		return !in && !slices.Contains(staleResources(s), "configmaps")
	})
}

// staleResources are those whose watch is down. Tests share an API server, and kinds of other tests come and
// go on it: what is said of these is no test's business.
func staleResources(s kube.Snapshot) []string {
	if s.Stale == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.Stale.Resources), func(name string) bool {
		return strings.HasSuffix(name, ".example.com")
	})
}

func TestAPIServerWithoutStreamedListsIsListed(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.refusing(func(request string) int {
		if strings.HasPrefix(request, "STREAM ") {
			return http.StatusUnprocessableEntity
		}
		return 0
	})
	ns := namespace(t)
	first := create(t, configMap(ns, "first", "1"))
	index := startIndex(t, g.cluster())
	s := snapshot(t, index)
	_, in := s.Tree.Get(pathOf(first))
	require.True(t, in)
	require.True(t, s.Knows(pathOf(first)))
	require.Contains(t, g.requests(), "LIST /api/v1/configmaps")

	second := create(t, configMap(ns, "second", "1"))
	remove(t, first)
	until(t, "it is watched", func() bool {
		tree := snapshot(t, index).Tree
		_, one := tree.Get(pathOf(first))
		_, two := tree.Get(pathOf(second))
		return !one && two
	})
}

func TestDiscoveryThatLacksADefinedGroupDropsNothing(t *testing.T) {
	t.Parallel()
	ns, grp := namespace(t), group()
	definition := create(t, widgets(grp, "v1"))
	served(t, definition)
	w := object(t, widget(grp, "v1", ns, 1))
	until(t, "a widget can be made", func() bool {
		_, err := of(w).Create(t.Context(), w, metav1.CreateOptions{})
		return err == nil
	})
	g := newGate(t)
	g.rewriteDiscovery(grp)
	index := startIndex(t, g.cluster())
	until(t, "the definition is indexed", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(definition)); return in })
	s := snapshot(t, index)
	_, in := s.Tree.Get(pathOf(w))
	require.False(t, in)
	require.False(t, s.Knows(pathOf(w)), "a definition says that there may be widgets")
	require.NotEmpty(t, s.Unread)

	g.rewriteDiscovery("")
	until(t, "the widget is known", func() bool { _, in := snapshot(t, index).Tree.Get(pathOf(w)); return in })
	g.rewriteDiscovery(grp)
	other := group()
	served(t, create(t, widgets(other, "v1"))) // makes the index look again
	until(t, "discovery lacked the widgets", func() bool { return !snapshot(t, index).Knows("cluster/things.unheard.of/x.yaml") })
	_, in = snapshot(t, index).Tree.Get(pathOf(w))
	require.True(t, in)
}

func TestSnapshotSaysWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.Shut()
	index := startIndex(t, g.cluster())
	_, err := index.Snapshot(t.Context(), nil)
	require.ErrorIs(t, err, kube.ErrUnreachable)

	wrong := connect(t, adminCluster(), &clientcmdapi.AuthInfo{Token: "wrong"})
	_, err = startIndex(t, wrong).Snapshot(t.Context(), nil)
	require.ErrorIs(t, err, kube.ErrUnauthorized)
	require.NotContains(t, err.Error(), "wrong")
}
