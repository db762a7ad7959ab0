package preview

import (
	"context"
	"errors"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// deletions finds the objects that would be deleted, and those whose deletion would wait.
func (p *pulling) deletions(ctx context.Context) error {
	if p.Config.Prune == workflows.PruneOff {
		return nil
	}
	var removal plan.Prune
	gone := map[string]departed{}
	for i, tracked := range p.tracked() {
		found, err := p.gone(ctx, tracked)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		for _, g := range found {
			gone[g.Path] = departed{g, tracked}
		}
		if i == 0 {
			continues, err := p.Repository.Descends(ctx, p.Revision, tracked)
			if err != nil {
				return err
			}
			removal.Unrelated = !continues
		}
	}
	removal.Declared = p.git.Len()
	removal.Tracked = removal.Declared + len(gone)
	for path, g := range gone {
		entry, there := p.Index.Lookup(path)
		if _, live := p.live.Get(path); there && live && !g.Protected && !entry.Bond.Holds(false) {
			removal.Candidates = append(removal.Candidates, plan.Candidate{Path: path, UID: entry.UID})
		}
	}
	decided := removal.Decide()
	return p.deleted(ctx, decided, gone)
}

// departed is an object that Git held until a revision.
type departed struct {
	desired.Gone
	since plumbing.Hash
}

// tracked are the revisions whose objects may have to go.
func (p *pulling) tracked() []plumbing.Hash {
	revisions := p.Tracked
	if len(revisions) == 0 && !p.Settled.IsZero() {
		revisions = []plumbing.Hash{p.Settled}
	}
	return slices.DeleteFunc(slices.Clone(revisions), func(r plumbing.Hash) bool { return r == p.Revision })
}

// gone are the objects that a revision held and this one doesn't, as far as that is certain.
func (p *pulling) gone(ctx context.Context, tracked plumbing.Hash) ([]desired.Gone, error) {
	switch err := p.Repository.Fetch(ctx, tracked); {
	case errors.Is(err, repo.ErrMoved):
		p.changes = append(p.changes, Change{
			Object: "revision " + tracked.String(), Action: Fail, Reason: Unreadable,
			Message: "it can't be had any more, so nothing is deleted on its account",
		})
		return nil, nil
	case err != nil:
		return nil, err
	}
	// Having fetched an older revision, the store may have made room for it.
	if err := p.Repository.Fetch(ctx, p.Revision); err != nil {
		return nil, err
	}
	found, unread, err := p.wanted.Gone(tracked, p.kinds)
	if unread != "" {
		p.changes = append(p.changes, Change{
			Object: unread, File: unread, Action: Fail, Reason: Mistake,
			Message: "deletions wait until this file can be read in full and holds nothing of another tool: what is gone may stand in it",
		})
	}
	return found, err
}

func (p *pulling) deleted(ctx context.Context, d plan.Deletions, gone map[string]departed) error {
	changes := make([]tree.Change, 0, len(d.Objects))
	for _, path := range d.Paths() {
		live, _ := p.live.Get(path)
		changes = append(changes, tree.Change{Path: path, To: live})
	}
	content, err := p.Index.Content(ctx, changes)
	if err != nil {
		return err
	}
	for _, path := range d.Paths() {
		g := gone[path]
		c := Change{
			Object: manifest.ObjectName(path), Action: Delete, Reason: GoneFromGit, File: manifest.FileLine(g.Origin.File, g.Origin.Line),
			Message: "gone from Git since " + short(g.since),
		}
		if d.Withheld != "" {
			c.Action = Withhold
			c.Message += "; the deletion waits for `starter approve`: " + d.Withheld
		}
		if yaml := content[path]; yaml != nil {
			c.Diff, c.Masked = compared("live/"+path, nothing, yaml, nil, g.Origin.Encrypted)
		}
		p.changes = append(p.changes, c)
	}
	return nil
}
