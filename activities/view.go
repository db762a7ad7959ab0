package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// kubeSystem is the path of the namespace whose UID identifies a cluster.
const kubeSystem = "cluster/namespaces/kube-system.yaml"

// rulesOf brings the enrolment and the cluster's keys together.
func (a *Activities) rulesOf(ctx context.Context, c workflows.Config) (desired.Rules, error) {
	var keys agekey.Keys
	if c.Secrets == workflows.SecretsEncrypt {
		var err error
		keys, err = a.Credentials.Keys(ctx)
		if errors.Is(err, terms.ErrUnusableKeys) {
			a.Logger.Warn(err.Error(), "cluster", a.Cluster)
		} else if err != nil {
			return desired.Rules{}, err
		}
	}
	rules, err := terms.Rules(c, keys)
	if err != nil {
		return desired.Rules{}, lasting(workflows.InvalidConfig, err.Error())
	}
	return rules, nil
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
		live: rules.Within(snapshot.Tree), left: rules.Within(snapshot.Left),
	}, nil
}

// leaves reports whether a push has to leave a file of Git as it is.
func (v *view) leaves(path string) bool { return v.Leaves(path, v.left, v.snapshot.Knows) }

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
	return a.checkUID(c, uid)
}

func (a *Activities) checkUID(c workflows.Config, uid string) error {
	if uid != c.ClusterUID {
		return lasting(workflows.ClusterMismatch, fmt.Sprintf(
			"the worker is connected to a cluster with UID %s, but %s was enrolled with UID %s: start the worker with the right kubeconfig and context, or unenroll and enroll again",
			uid, a.Cluster, c.ClusterUID))
	}
	return nil
}
