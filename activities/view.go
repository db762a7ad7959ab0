package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// kubeSystem is the path of the namespace whose UID identifies a cluster.
const kubeSystem = "cluster/namespaces/kube-system.yaml"

// rules decide what of a cluster takes part in the sync, and how Secrets do.
type rules struct {
	scope     manifest.Scope
	selection manifest.Selection
	// keys encrypt and decrypt; empty where the policy is another one.
	keys agekey.Keys
	// name changes with the rules.
	name string
}

// rulesOf brings the enrolment and the cluster's keys together.
func (a *Activities) rulesOf(ctx context.Context, c workflows.Config) (rules, error) {
	labels, err := manifest.ParseLabels(c.Selector)
	if err != nil {
		return rules{}, lasting(workflows.InvalidConfig, err.Error())
	}
	r := rules{
		scope: manifest.Scope{IgnoredNamespaces: c.IgnoredNamespaces},
		selection: manifest.Selection{
			Include: c.IncludeResources, Exclude: c.ExcludeResources, IgnoreNames: c.IgnoreNames, Labels: labels,
			Secrets: manifest.SecretsTakePart,
		},
	}
	switch c.Secrets {
	case workflows.SecretsExclude:
		r.selection.Secrets = manifest.SecretsLeftOut
	case workflows.SecretsEncrypt:
		r.keys, err = a.Credentials.Keys(ctx)
		if errors.Is(err, errUnusableKeys) {
			a.Logger.Warn(err.Error(), "cluster", a.Cluster)
		} else if err != nil {
			return rules{}, err
		}
		if r.keys.Empty() && c.Strategy != workflows.Pull {
			r.selection.Secrets = manifest.SecretsUnreadable
		}
	}
	r.name = strings.Join([]string{
		fmt.Sprint(c.IncludeResources, c.ExcludeResources, c.IgnoreNames, r.selection.Secrets), c.Selector, r.keys.Digest(),
	}, "\n")
	return r, nil
}

// secretHash is what stands for the content of a Secret in trees.
func (r rules) secretHash(yaml []byte) plumbing.Hash {
	if r.keys.Empty() {
		return manifest.Hash(yaml)
	}
	return secrets.Fingerprint(r.keys, yaml)
}

// leftOut is where a state has the objects that don't take part by somebody's choice.
const leftOut = ".left-out"

// state names a tree of the cluster together with what else a sync depends on: which objects were taken out of
// it by choice, and who can read the Secrets in it.
func (v *view) state(live tree.Tree) string {
	return live.Edit(func(e *tree.Editor) {
		e.PutTree(leftOut, v.left)
		if !v.keys.Empty() {
			e.Put(secrets.ConfigFile, manifest.Hash(secrets.Config(v.keys)))
		}
	}).Hash().String()
}

// view is a cluster as one activity sees it.
type view struct {
	rules
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
		rules: rules, index: index, snapshot: snapshot,
		live: withoutIgnored(snapshot.Tree, c), left: withoutIgnored(snapshot.Left, c),
	}, nil
}

// leaves reports whether a push has to leave a file of Git as it is: because its object isn't looked at, by
// somebody's choice, or because nobody knows whether it still exists.
func (v *view) leaves(path string) bool {
	if v.scope.Ignores(path) || !v.snapshot.Knows(path) {
		return true
	}
	if location, ok := manifest.ParsePath(path); ok && v.selection.Excludes(manifest.Resource{Group: location.Group, Name: location.Resource}) {
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
