package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// kubeSystem is the path of the namespace whose UID identifies a cluster.
const kubeSystem = "cluster/namespaces/kube-system.yaml"

// rulesOf brings the enrolment and the cluster's keys together.
func (a *Activities) rulesOf(ctx context.Context, c workflows.Config) (desired.Rules, error) {
	selection, err := c.Selection()
	if err != nil {
		return desired.Rules{}, lasting(workflows.InvalidConfig, err.Error())
	}
	r := desired.Rules{Scope: manifest.Scope{IgnoredNamespaces: c.IgnoredNamespaces}, Selection: selection}
	if c.Secrets == workflows.SecretsEncrypt {
		r.Keys, err = a.Credentials.Keys(ctx)
		if errors.Is(err, errUnusableKeys) {
			a.Logger.Warn(err.Error(), "cluster", a.Cluster)
		} else if err != nil {
			return desired.Rules{}, err
		}
		if r.Keys.Empty() && c.Strategy != workflows.Pull {
			r.Selection.Secrets = manifest.SecretsUnreadable
		}
	}
	return r, nil
}

// leftOut is where a state has the objects that don't take part by somebody's choice.
const leftOut = ".left-out"

// state names a tree of the cluster together with what else a sync depends on: which objects were taken out of
// it by choice, and who can read the Secrets in it.
func (v *view) state(live tree.Tree) string {
	return live.Edit(func(e *tree.Editor) {
		e.PutTree(leftOut, v.left)
		if !v.Keys.Empty() {
			e.Put(secrets.ConfigFile, manifest.Hash(secrets.Config(v.Keys)))
		}
	}).Hash().String()
}

// view is a cluster as one activity sees it.
type view struct {
	desired.Rules
	index    *kube.Index
	snapshot kube.Snapshot
	// live is the snapshot without the namespaces that are ignored, left are the objects that don't take part
	// by somebody's choice, by path.
	live, left tree.Tree
}

// look waits until the cluster has been listed and makes sure that it is the enrolled one.
func (a *Activities) look(ctx context.Context, c workflows.Config, p *progress) (*view, error) {
	rules, err := a.rulesOf(ctx, c)
	if err != nil {
		return nil, err
	}
	index := a.lease.get(c.Interval.Duration, rules)
	snapshot, err := index.Snapshot(ctx, func(text string) { p.say("%s", text) })
	if err != nil {
		return nil, err
	}
	if err := a.checkIdentity(ctx, c, index); err != nil {
		return nil, err
	}
	return &view{
		Rules: rules, index: index, snapshot: snapshot,
		live: withoutIgnored(snapshot.Tree, c), left: withoutIgnored(snapshot.Left, c),
	}, nil
}

// leaves reports whether a push has to leave a file of Git as it is: because its object isn't looked at, by
// somebody's choice, or because nobody knows whether it still exists.
func (v *view) leaves(path string) bool {
	if v.Scope.Ignores(path) || !v.snapshot.Knows(path) {
		return true
	}
	if location, ok := manifest.ParsePath(path); ok && v.Selection.Excludes(manifest.Resource{Group: location.Group, Name: location.Resource}) {
		return true
	}
	_, left := v.left.Get(path)
	return left
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
