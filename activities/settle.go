package activities

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// settleAll takes over how the two sides were left: what agrees is the base of the next look, and what doesn't
// stays open.
func (x *exchange) settleAll(live tree.Tree) {
	accord := &x.pulled.accord
	base := tree.NewEditor(accord.base)
	for path, s := range x.subjects {
		now := plan.Sides{Base: s.Base}
		now.Git, _ = x.git.Get(path)
		now.Live, _ = live.Get(path)
		switch {
		case s.elusive && now.Git == s.Base && (now.Live == s.Base || s.LiveIsBase == plan.Yes || s.LiveIsGit == plan.Yes):
		case !s.elusive && x.agree(path, now):
			if base.Remove(path); !now.Git.IsZero() {
				base.Put(path, now.Git)
			}
			delete(accord.open, path)
			delete(accord.known, path)
			delete(accord.held, path)
		case !s.elusive && now.Git.IsZero() && s.mayGoToCluster(x):
			// It is to be deleted, and waits: prune finds it again.
		default:
			x.leaveOpen(s, now)
		}
	}
	accord.base, accord.git, accord.live = base.Tree(), x.git, live
}

// agree reports whether the two sides are equivalent, as far as that is known.
func (x *exchange) agree(path string, now plan.Sides) bool {
	if now.Git == now.Live {
		return true
	}
	return !now.Git.IsZero() && x.pulled.agreed[path] == plan.Pair{Git: now.Git, Live: now.Live}
}

// leaveOpen remembers an object on which the two sides don't agree.
func (x *exchange) leaveOpen(s *subject, now plan.Sides) {
	accord := &x.pulled.accord
	if _, open := accord.open[s.path]; !open {
		accord.open[s.path] = workflows.Open{Path: s.path, Base: x.baseOf(s.path)}
	}
	delete(accord.known, s.path)
	if now.Git == s.Git && now.Live == s.Live && !s.elusive {
		accord.known[s.path] = s.Sides
	}
}

// listOpen is what the workflow remembers of the objects that are open.
func (x *exchange) listOpen() ([]workflows.Open, int) {
	open := x.pulled.accord.open
	list := slices.SortedFunc(maps.Values(open), func(a, b workflows.Open) int { return cmp.Compare(a.Path, b.Path) })
	return list[:min(len(list), workflows.MaxOpen)], len(list)
}

// mayGoToCluster reports whether Apply is to make the object what Git holds.
func (s *subject) mayGoToCluster(x *exchange) bool {
	switch {
	case s.elusive:
		return false
	case s.Action == plan.ToCluster && !s.Conflict:
		return true
	}
	return (s.Action == plan.ToCluster || s.Action == plan.Merge) && x.alreadyDecided(s)
}

// toApply lists the objects that Apply writes.
func (x *exchange) toApply() []string {
	var paths []string
	for path, s := range x.subjects {
		if !s.Git.IsZero() && s.mayGoToCluster(x) {
			paths = append(paths, path)
		}
	}
	return paths
}

// toDelete keeps those of some candidates that Git alone has changed, or whose deletion was decided.
func (x *exchange) toDelete(ctx context.Context, candidates []plan.Candidate) ([]plan.Candidate, error) {
	for _, c := range candidates {
		if x.subjects[c.Path] == nil {
			x.consider(c.Path)
		}
	}
	if err := x.findOut(ctx); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(candidates, func(c plan.Candidate) bool { return !x.subjects[c.Path].mayGoToCluster(x) }), nil
}

// outdated stands in the cluster's tree for what Commit has to look at: it is never the hash of an object, so the
// next tick finds a difference.
var outdated = plumbing.NewHash("ffffffffffffffffffffffffffffffffffffffff")

// leaveToCommit marks the objects that were changed in the cluster since Commit looked at it.
func (x *exchange) leaveToCommit(settled *tree.Editor) {
	for path, s := range x.subjects {
		_, unstored := x.pulled.accord.unstored[path]
		if s.elusive || unstored || s.mayGoToCluster(x) {
			continue
		}
		if s.Action == plan.ToGit || s.Action == plan.Merge || s.Action == plan.ToCluster {
			settled.Put(path, outdated)
		}
	}
}

// applied takes over what Apply did.
func (x *exchange) applied(result *workflows.ApplyResult, r *application) {
	accord := &x.pulled.accord
	x.leaveToCommit(r.settled)
	for path := range r.pruning.kept {
		// It must stay in the cluster, so it returns to Git.
		accord.base = accord.base.Edit(func(e *tree.Editor) { e.Remove(path) })
		delete(x.subjects, path)
		r.settled.Put(path, outdated)
	}
	x.settleAll(r.settled.Tree())
	result.Tree = r.state(r.settled.Tree())
	result.Kept, result.KeptCount = nil, 0
	result.Open, result.OpenCount = x.listOpen()
	next := x.record
	next.settled = workflows.Settled{Revision: r.in.Revision, Tree: result.Tree}
	next.unsettled, next.openCount = result.Open, result.OpenCount
	accord.keys = []string{next.key()}
}

// held is an object that waits for somebody, with what is reported.
type held struct {
	plan.Sides
	conflict workflows.Conflict
}

// reportConflicts tells the workflow, the log and the metrics of the conflicts.
func (s *sharing) reportConflicts(result *workflows.CommitResult, pushed repo.Pushed) {
	slices.SortFunc(s.conflicts, func(a, b conflict) int {
		return cmp.Or(cmp.Compare(a.Winner, b.Winner), cmp.Compare(a.path, b.path)) // those that wait first
	})
	for _, c := range s.conflicts {
		if c.Winner == workflows.ConflictGit && !pushed.Aside.IsZero() {
			c.Revision = pushed.Aside.String()
		}
		if c.Winner == "" {
			result.Waiting++
		}
		if len(result.Conflicts) < workflows.MaxListed {
			result.Conflicts = append(result.Conflicts, c.Conflict)
		}
		if c.repeated {
			continue
		}
		s.Conflict(string(c.Winner))
		s.Logger.Warn("conflict", "cluster", s.Cluster, "object", c.Object, "file", c.File, "winner", string(c.Winner),
			"fields", c.Fields, "git", c.Git, "fieldManager", c.Cluster, "revision", c.Revision, "message", c.Message)
	}
}

// attribute finds out who changed the objects of conflicts in Git.
func (s *sharing) attribute(ctx context.Context) {
	files := map[plumbing.Hash][]string{} // by the revision at which both sides agreed
	for _, c := range s.conflicts {
		if origin, ok := s.pulled.desired.Origin(c.path); ok && !c.repeated {
			base := plumbing.NewHash(s.baseOf(c.path))
			files[base] = append(files[base], origin.File)
		}
	}
	for base, names := range files {
		if base.IsZero() {
			continue
		}
		changes, err := s.repository.LastChanges(ctx, base, s.tip, names)
		if err != nil {
			s.Logger.Warn("who changed the files in Git can't be found out", "cluster", s.Cluster, "error", err.Error())
			continue
		}
		for i := range s.conflicts {
			c := &s.conflicts[i]
			origin, _ := s.pulled.desired.Origin(c.path)
			if change, ok := changes[origin.File]; ok && s.baseOf(c.path) == base.String() {
				c.Git = fmt.Sprintf("%s <%s> in %s", change.Author.Name, change.Author.Email, change.Revision.String()[:10])
			}
		}
	}
}
