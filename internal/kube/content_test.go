package kube_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

func TestContentComesFromMemoryUntilItIsReleased(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	index := startIndex(t, g.cluster())
	ns := namespace(t)
	const many = 70
	for i := range many {
		create(t, configMap(ns, fmt.Sprint("c", i), fmt.Sprint(i)))
	}
	dir := "namespaces/" + ns + "/configmaps"
	until(t, "all are indexed", func() bool { return snapshot(t, index).Tree.Sub(dir).Len() >= many })
	s := snapshot(t, index)
	var all []tree.Change
	for name, h := range s.Tree.Sub(dir).Files() {
		all = append(all, tree.Change{Path: dir + "/" + name, To: h})
	}
	asked := func() (requests []string) {
		for _, r := range g.requests() {
			if strings.Contains(r, "configmaps") && (strings.HasPrefix(r, "GET") || strings.HasPrefix(r, "LIST")) {
				requests = append(requests, r)
			}
		}
		return requests
	}
	check := func(changes []tree.Change) {
		t.Helper()
		content, err := index.Content(t.Context(), changes)
		require.NoError(t, err)
		require.Len(t, content, len(changes))
		for _, c := range changes {
			require.Equal(t, c.To, manifest.Hash(content[c.Path]))
		}
	}
	asked()
	check(all)
	require.Empty(t, asked())

	index.Release(s.Tree)
	check(all[:3])
	require.Len(t, asked(), 3, "a few are read one by one")
	check(all)
	require.Equal(t, []string{"LIST /api/v1/namespaces/" + ns + "/configmaps"}, asked(), "many are listed")

	u := object(t, configMap(ns, "c0", "0"))
	edit(t, u, func(obj map[string]any) { obj["data"] = map[string]any{"value": "new"} })
	until(t, "the change is seen", func() bool { h, _ := snapshot(t, index).Tree.Get(pathOf(u)); return h != hashOf(all, pathOf(u)) })
	h, _ := snapshot(t, index).Tree.Get(pathOf(u))
	asked()
	check([]tree.Change{{Path: pathOf(u), To: h}})
	require.Empty(t, asked(), "what changed is in memory again")

	content, err := index.Content(t.Context(), []tree.Change{
		{Path: pathOf(u), To: hashOf(all, pathOf(u))}, // superseded
		{Path: dir + "/absent.yaml", To: h},
		{Path: "not/a/path", To: h},
		{Path: all[1].Path, From: all[1].To}, // a deletion
	})
	require.NoError(t, err)
	require.Empty(t, content)

	g.Shut()
	_, err = index.Content(t.Context(), all[:5])
	require.ErrorIs(t, err, kube.ErrUnreachable)
}

func hashOf(changes []tree.Change, path string) (h [20]byte) {
	for _, c := range changes {
		if c.Path == path {
			return c.To
		}
	}
	return h
}
