package activities

import (
	"context"
	"fmt"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// kubeSystem is the path of the namespace whose UID identifies a cluster.
const kubeSystem = "cluster/namespaces/kube-system.yaml"

// view is a cluster as one activity sees it.
type view struct {
	index    *kube.Index
	snapshot kube.Snapshot
	scope    manifest.Scope
	// live is the snapshot without the namespaces that are ignored.
	live tree.Tree
}

// look waits until the cluster has been listed and makes sure that it is the enrolled one.
func (a *Activities) look(ctx context.Context, c workflows.Config, p *progress) (*view, error) {
	index := a.lease.get(c.Interval.Duration)
	snapshot, err := index.Snapshot(ctx, func(text string) { p.say("%s", text) })
	if err != nil {
		return nil, err
	}
	if err := a.checkIdentity(ctx, c, index); err != nil {
		return nil, err
	}
	v := &view{index: index, snapshot: snapshot, scope: manifest.Scope{IgnoredNamespaces: c.IgnoredNamespaces}}
	v.live = withoutIgnored(snapshot.Tree, c)
	return v, nil
}

// withoutIgnored cuts the ignored namespaces and the sync's own out of a tree of canonical paths.
func withoutIgnored(t tree.Tree, c workflows.Config) tree.Tree {
	return t.Edit(func(e *tree.Editor) {
		for _, namespace := range append([]string{workflows.CredentialsNamespace}, c.IgnoredNamespaces...) {
			e.Remove("namespaces/" + namespace)
			e.Remove("cluster/namespaces/" + namespace + ".yaml")
		}
	})
}

// checkIdentity refuses a cluster that isn't the enrolled one. The UID comes from the watch, so that
// another cluster appearing behind the same address is noticed too; without permission to watch
// namespaces it is asked for.
func (a *Activities) checkIdentity(ctx context.Context, c workflows.Config, index *kube.Index) error {
	var uid string
	if entry, ok := index.Lookup(kubeSystem); ok {
		uid = entry.UID
	} else {
		var err error
		if uid, err = a.Kube.UID(ctx); err != nil {
			return err
		}
	}
	if uid != c.ClusterUID {
		return lasting(workflows.ClusterMismatch, fmt.Sprintf(
			"the worker is connected to a cluster with UID %s, but %s was enrolled with UID %s: start the worker with the right kubeconfig and context, or unenroll and enroll again",
			uid, a.Cluster, c.ClusterUID))
	}
	return nil
}
