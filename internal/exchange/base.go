package exchange

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// forgotten stands for the content of an object that Git held once and whose deletion waits for approval, after
// the worker has lost its memory.
var forgotten = manifest.Hash([]byte("forgotten"))

// recallBase finds out what both sides agreed on last, from the revisions that the workflow remembers.
func (x *Exchange) recallBase(ctx context.Context) error {
	memory := x.Memory
	memory.accord = accord{open: map[string]workflows.Open{}, known: map[string]plan.Sides{}, held: map[string]held{}, merged: map[string]desired.Former{}}
	for _, o := range x.Open {
		memory.accord.open[o.Path] = o
	}
	if x.Settled.Revision == "" || x.OpenCount > len(x.Open) {
		return nil // not known for each object, so for none: then nothing is deleted, and no edit taken for the only one
	}
	settled := plumbing.NewHash(x.Settled.Revision)
	switch there, err := x.obtain(ctx, settled); {
	case err != nil:
		return err
	case !there:
		return nil
	}
	if err := memory.Desired.Follow(settled, x.Kinds); err != nil {
		return err
	}
	base := tree.NewEditor(x.Within(memory.Desired.Tree()))
	for _, o := range x.Open {
		base.Remove(o.Path)
	}
	memory.accord.base = base.Tree()
	if err := x.FollowTip(); err != nil {
		return err
	}
	for path, former := range x.formers(ctx, slices.Collect(maps.Keys(memory.accord.open))) {
		base.Put(path, former.Hash)
	}
	if err := x.recallDeletions(ctx, base); err != nil {
		return err
	}
	memory.accord.base = base.Tree()
	memory.accord.git, memory.accord.live = memory.accord.base, memory.accord.base
	return nil
}

// recallDeletions puts into base what Git held and holds no longer, as long as that waits for approval.
func (x *Exchange) recallDeletions(ctx context.Context, base *tree.Editor) error {
	if !x.Waiting {
		return nil
	}
	for _, revision := range x.Tracked {
		before := plumbing.NewHash(revision)
		if there, err := x.obtain(ctx, before); err != nil || !there {
			if err != nil {
				return err
			}
			continue
		}
		gone, _, err := x.Memory.Desired.Gone(before, x.Kinds)
		if err != nil {
			return err
		}
		for _, g := range gone {
			if _, known := base.Get(g.Path); !known {
				base.Put(g.Path, forgotten)
			}
		}
	}
	return nil
}

// obtain brings an earlier revision here, beside the tip; false where the Git host doesn't hand it out any more.
func (x *Exchange) obtain(ctx context.Context, revision plumbing.Hash) (there bool, err error) {
	if revision == x.Tip {
		return true, nil
	}
	switch err := x.Repository.Fetch(ctx, revision); {
	case errors.Is(err, repo.ErrMoved):
		x.Logger.Warn("an earlier revision can't be had any more; what differs on the two sides is compared without it",
			"cluster", x.Config.Cluster, "revision", revision.String())
		return false, nil
	case err != nil:
		return false, err
	}
	// Having fetched an older revision, the store may have made room for it.
	return true, x.Repository.Fetch(ctx, x.Tip)
}

// formers reads what both sides agreed on for some objects. What can't be had is left out.
func (x *Exchange) formers(ctx context.Context, paths []string) map[string]desired.Former {
	wanted := map[string]map[string]bool{} // by revision
	found := map[string]desired.Former{}
	for _, path := range paths {
		if m, ok := x.Memory.accord.merged[path]; ok && x.Subjects[path] != nil && x.Subjects[path].Base == m.Hash {
			found[path] = m
			continue
		}
		revision := x.BaseOf(path)
		if revision == "" {
			continue
		}
		if wanted[revision] == nil {
			wanted[revision] = map[string]bool{}
		}
		wanted[revision][path] = true
	}
	for revision, paths := range wanted {
		hash := plumbing.NewHash(revision)
		there, err := x.obtain(ctx, hash)
		if err != nil || !there {
			continue
		}
		some, err := x.Memory.Desired.Former(hash, paths, x.Kinds)
		if err != nil {
			continue
		}
		maps.Copy(found, some)
		for path := range paths {
			if _, differs := some[path]; !differs {
				if same, ok := x.present(path); ok {
					found[path] = same
				}
			}
		}
	}
	return found
}

// present is an object as Git has it now.
func (x *Exchange) present(path string) (desired.Former, bool) {
	hash, ok := x.Git.Get(path)
	if !ok {
		return desired.Former{}, false
	}
	resource, object, err := x.Memory.Desired.Object(path, x.Kinds)
	return desired.Former{Resource: resource, Object: object, Hash: hash}, err == nil
}

// BaseOf is the revision at which both sides agreed on an object; empty where there is none.
func (x *Exchange) BaseOf(path string) string {
	if o, open := x.Memory.accord.open[path]; open {
		return o.Base
	}
	if _, ok := x.Memory.accord.base.Get(path); ok {
		return x.Settled.Revision
	}
	return ""
}
