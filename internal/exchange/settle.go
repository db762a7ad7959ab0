package exchange

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Settle takes over what the branch got, which Git has the hashes of by now. It reports whether the cluster is still
// to get something.
func (s *Sharing) Settle() (outstanding bool) {
	memory := s.Memory
	for _, o := range s.Stored {
		if git, ok := s.Git.Get(o.Path); ok && !o.Live.IsZero() {
			memory.Agreed[o.Path] = plan.Pair{Git: git, Live: o.Live}
		}
	}
	for _, o := range slices.Concat(s.Stored, s.Decided) {
		if s.Failed[o.Path] == nil {
			s.returned(o)
		}
	}
	outstanding = len(s.Decided) > 0 || s.Settled.Revision == ""
	for _, o := range s.Subjects {
		outstanding = outstanding || !o.Elusive && (o.Action == plan.ToCluster || o.Action == plan.Merge && s.AlreadyDecided(o))
	}
	if outstanding {
		s.settleStored()
	}
	for _, o := range s.Decided {
		decision := workflows.Open{Path: o.Path, Base: s.BaseOf(o.Path), Live: o.Live.String()}
		if git, ok := s.Git.Get(o.Path); ok {
			decision.Git = git.String()
		}
		memory.accord.open[o.Path] = decision
		if merged, ok := s.merged[o.Path]; ok {
			memory.accord.merged[o.Path] = merged
		}
	}
	memory.accord.unstored = maps.Clone(s.Failed)
	return outstanding
}

// settleStored takes over, object by object, what Git got: what is changed in the cluster from now until Apply looks
// at it is an edit of that, and not of what was agreed on before.
func (s *Sharing) settleStored() {
	accord := &s.Memory.accord
	tell := len(accord.open)+len(s.Stored)+len(s.Decided) <= workflows.MaxOpen // or the workflow would remember none
	base := tree.NewEditor(accord.base)
	for _, o := range s.Stored {
		if s.Failed[o.Path] != nil {
			continue
		}
		open := workflows.Open{Path: o.Path}
		base.Remove(o.Path)
		if git, ok := s.Git.Get(o.Path); ok {
			open.Base = s.Tip.String()
			base.Put(o.Path, git)
		}
		if tell {
			accord.open[o.Path] = open
		}
	}
	accord.base = base.Tree()
}

// LeftByGit are the objects of the cluster that Git held when both sides agreed last, and holds no more.
func (x *Exchange) LeftByGit() []string {
	var paths []string
	for path, s := range x.Subjects {
		if !s.Base.IsZero() && s.Git.IsZero() && !s.Live.IsZero() {
			paths = append(paths, path)
		}
	}
	return paths
}

// Keep says which records of the workflow what is remembered goes with from now on.
func (m *Memory) Keep(records ...Record) {
	m.accord.keys = nil
	for _, r := range records {
		m.accord.keys = append(m.accord.keys, r.key())
	}
}

// Return makes an object that Git doesn't declare any more, and that must stay in the cluster, one that is new there.
func (x *Exchange) Return(path string) {
	accord := &x.Memory.accord
	accord.base = accord.base.Edit(func(e *tree.Editor) { e.Remove(path) })
	delete(x.Subjects, path)
}

// SettleAll takes over how the two sides were left: what agrees is the base of the next look, and what doesn't
// stays open.
func (x *Exchange) SettleAll(live tree.Tree) {
	accord := &x.Memory.accord
	base := tree.NewEditor(accord.base)
	for path, s := range x.Subjects {
		now := plan.Sides{Base: s.Base}
		now.Git, _ = x.Git.Get(path)
		now.Live, _ = live.Get(path)
		switch {
		case s.Elusive && now.Git == s.Base && (now.Live == s.Base || s.LiveIsBase == plan.Yes || s.LiveIsGit == plan.Yes):
		case !s.Elusive && x.agree(s, now):
			if base.Remove(path); !now.Git.IsZero() {
				base.Put(path, now.Git)
				x.Memory.Agreed[path] = plan.Pair{Git: now.Git, Live: now.Live}
			}
			delete(accord.open, path)
			delete(accord.known, path)
			delete(accord.held, path)
			delete(accord.merged, path)
		case !s.Elusive && now.Git.IsZero() && s.MayGoToCluster(x):
			// It is to be deleted, and waits: prune finds it again.
		default:
			x.leaveOpen(s, now)
		}
	}
	accord.base, accord.git, accord.live = base.Tree(), x.Git, live
}

// agree reports whether the two sides are equivalent, as far as that is known: because the one was made from the
// other, or because the API server said so when it was asked about these two.
func (x *Exchange) agree(s *Subject, now plan.Sides) bool {
	switch {
	case now.Git == now.Live:
		return true
	case now.Git.IsZero():
		return false
	case x.Memory.Agreed[s.Path] == plan.Pair{Git: now.Git, Live: now.Live}:
		return true
	}
	return now.Git == s.Git && now.Live == s.Live && s.sameAsGit()
}

// sameAsGit reports whether the API server said that the cluster has what Git holds.
func (s *Subject) sameAsGit() bool {
	return s.LiveIsGit == plan.Yes || s.Git == s.Base && s.LiveIsBase == plan.Yes
}

// leaveOpen remembers an object on which the two sides don't agree.
func (x *Exchange) leaveOpen(s *Subject, now plan.Sides) {
	accord := &x.Memory.accord
	if _, open := accord.open[s.Path]; !open {
		accord.open[s.Path] = workflows.Open{Path: s.Path, Base: x.BaseOf(s.Path)}
	}
	delete(accord.known, s.Path)
	if now.Git == s.Git && now.Live == s.Live && !s.Elusive {
		accord.known[s.Path] = s.Sides
	}
}

// ListOpen is what the workflow remembers of the objects that are open.
func (x *Exchange) ListOpen() ([]workflows.Open, int) {
	open := x.Memory.accord.open
	list := slices.SortedFunc(maps.Values(open), func(a, b workflows.Open) int { return cmp.Compare(a.Path, b.Path) })
	return list[:min(len(list), workflows.MaxOpen)], len(list)
}

// MayGoToCluster reports whether Apply is to make the object what Git holds.
func (s *Subject) MayGoToCluster(x *Exchange) bool {
	switch {
	case s.Elusive:
		return false
	case s.Action == plan.ToCluster && !s.Conflict:
		return true
	}
	return (s.Action == plan.ToCluster || s.Action == plan.Merge) && x.AlreadyDecided(s)
}

// ToApply lists the objects that Apply writes.
func (x *Exchange) ToApply() []string {
	var paths []string
	for path, s := range x.Subjects {
		if !s.Git.IsZero() && s.MayGoToCluster(x) {
			paths = append(paths, path)
		}
	}
	return paths
}

// ToDelete keeps those of some candidates that Git alone has changed, or whose deletion was decided.
func (x *Exchange) ToDelete(ctx context.Context, candidates []plan.Candidate) ([]plan.Candidate, error) {
	for _, c := range candidates {
		if x.Subjects[c.Path] == nil {
			x.consider(c.Path)
		}
	}
	if err := x.findOut(ctx); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(candidates, func(c plan.Candidate) bool { return !x.Subjects[c.Path].MayGoToCluster(x) }), nil
}

// Outdated stands in the cluster's tree for what Commit has to look at: it is never the hash of an object, so the
// next tick finds a difference.
var Outdated = plumbing.NewHash("ffffffffffffffffffffffffffffffffffffffff")

// LeaveToCommit marks the objects that were changed in the cluster since Commit looked at it.
func (x *Exchange) LeaveToCommit(settled *tree.Editor) {
	for path, s := range x.Subjects {
		_, unstored := x.Memory.accord.unstored[path]
		if s.Elusive || unstored || s.MayGoToCluster(x) {
			continue
		}
		h, told := x.Memory.accord.held[path]
		untold := s.Action == plan.Wait && (!told || h.Sides != s.Sides) // Commit tells of what waits
		if untold || s.Action == plan.ToGit || s.Action == plan.Merge || s.Action == plan.ToCluster {
			settled.Put(path, Outdated)
		}
	}
}

// held is an object that waits for somebody, with what is reported.
type held struct {
	plan.Sides
	conflict workflows.Conflict
}
