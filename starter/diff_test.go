package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/preview"
)

// The whole of the command is tested with the real worker in internal/e2e; here are the users who may not do what
// the worker may, and a settled revision that the Git server doesn't have.
func TestDiffForAUserWhoMayOnlyRead(t *testing.T) {
	w := newWorld(t)
	w.commit(map[string]string{"cart.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cart, namespace: default}\ndata: {key: one}\n"})
	cart := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cart"}, Data: map[string]string{"key": "by-hand"}}
	_, err := w.kube.CoreV1().ConfigMaps("default").Create(t.Context(), cart, metav1.CreateOptions{})
	require.NoError(t, err)
	w.Cleanup(func() {
		require.NoError(t, w.kube.CoreV1().ConfigMaps("default").Delete(context.Background(), "cart", metav1.DeleteOptions{}))
	})
	w.startWorker(&standin{})
	require.Equal(t, done, w.enroll("--strategy", "pull", "--secrets", "exclude").code)
	w.awaitState("InSync")
	w.serviceAccount("get", "list", "watch")

	a := w.run("diff", w.cluster, "-o", "json")
	require.Equal(t, done, a.code)
	var p preview.Preview
	require.NoError(t, json.Unmarshal([]byte(a.out), &p))
	require.Len(t, p.Changes, 2, a.out)
	require.Equal(t, "configmaps default/cart", p.Changes[0].Object)
	require.True(t, p.Changes[0].Unconfirmed)
	require.Equal(t, preview.Differs, p.Changes[0].Reason)
	require.Contains(t, p.Changes[0].Diff, "-  key: by-hand\n+  key: one\n")
	require.Equal(t, preview.Unreadable, p.Changes[1].Reason, "a revision that can't be had")

	w.serviceAccount("list")
	require.Contains(t, w.run("diff", w.cluster).sentence(t), "lacks a permission in the cluster at ")
	t.Setenv("KUBECONFIG", w.stack.Kubeconfig(kubernetesName))
	require.NoError(t, w.kube.CoreV1().Secrets("active-cluster-sync").Delete(t.Context(), "git-credentials", metav1.DeleteOptions{}))
	require.Contains(t, w.run("diff", w.cluster).sentence(t), "the cluster holds no Git credentials (Secret active-cluster-sync/git-credentials): store them with `starter enroll ")
}
