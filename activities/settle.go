package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/exchange"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// exchange compares the three sides of push-pull.
func (a *Activities) exchange(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, v *view, record exchange.Record, p *progress) (*exchange.Exchange, error) {
	a.remember(repository, v, record.Config)
	x := exchange.New(exchange.View{
		Rules: v.Rules, Index: v.index, Snapshot: v.snapshot, Kinds: v.index, Live: v.live, Left: v.left,
		Repository: repository, Tip: tip, Logger: a.Logger, Say: p.say,
	}, record, &a.pulled.Memory)
	return x, x.Compare(ctx)
}

// exchanged takes over what Apply did under push-pull.
func (r *application) exchanged(result *workflows.ApplyResult) {
	x := r.exchange
	x.LeaveToCommit(r.settled)
	for path := range r.pruning.kept {
		x.Return(path) // it must stay in the cluster
		r.settled.Put(path, exchange.Outdated)
	}
	x.SettleAll(r.settled.Tree())
	result.Tree = r.state(r.settled.Tree())
	result.Kept, result.KeptCount = nil, 0
	result.Open, result.OpenCount = x.ListOpen()
	next := x.Record
	next.Settled = workflows.Settled{Revision: r.in.Revision, Tree: result.Tree}
	next.Open, next.OpenCount = result.Open, result.OpenCount
	x.Memory.Keep(next)
}

// reportConflicts tells the workflow, the log and the metrics of the conflicts.
func (s *sharing) reportConflicts(result *workflows.CommitResult, pushed repo.Pushed) {
	slices.SortFunc(s.Conflicts, func(a, b exchange.Conflict) int {
		return cmp.Or(cmp.Compare(a.Winner, b.Winner), cmp.Compare(a.Path, b.Path)) // those that wait first
	})
	for _, c := range s.Conflicts {
		if c.Winner == workflows.ConflictGit && !pushed.Aside.IsZero() {
			c.Revision = pushed.Aside.String()
		}
		if c.Winner == "" {
			result.Waiting++
		}
		if len(result.Conflicts) < workflows.MaxListed {
			result.Conflicts = append(result.Conflicts, c.Conflict)
		}
		if c.Repeated {
			continue
		}
		s.Metrics.Conflict(string(c.Winner))
		s.Logger.Warn("conflict", "cluster", s.Cluster, "object", c.Object, "file", c.File, "winner", string(c.Winner),
			"fields", c.Fields, "git", c.Git, "fieldManager", c.Cluster, "revision", c.Revision, "message", c.Message)
	}
}

// attribute finds out who changed the objects of conflicts in Git.
func (s *sharing) attribute(ctx context.Context) {
	files := map[plumbing.Hash][]string{} // by the revision at which both sides agreed
	for _, c := range s.Conflicts {
		if origin, ok := s.Memory.Desired.Origin(c.Path); ok && !c.Repeated {
			base := plumbing.NewHash(s.BaseOf(c.Path))
			files[base] = append(files[base], origin.File)
		}
	}
	for base, names := range files {
		if base.IsZero() {
			continue
		}
		changes, err := s.Repository.LastChanges(ctx, base, s.Tip, names)
		if err != nil {
			s.Logger.Warn("who changed the files in Git can't be found out", "cluster", s.Cluster, "error", err.Error())
			continue
		}
		for i := range s.Conflicts {
			c := &s.Conflicts[i]
			origin, _ := s.Memory.Desired.Origin(c.Path)
			if change, ok := changes[origin.File]; ok && s.BaseOf(c.Path) == base.String() {
				c.Git = fmt.Sprintf("%s <%s> in %s", change.Author.Name, change.Author.Email, change.Revision.String()[:10])
			}
		}
	}
}
