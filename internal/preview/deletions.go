package preview

import (
	"context"
	"errors"

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
	gone, removal, err := p.departed(ctx)
	if err != nil {
		return err
	}
	for path, g := range gone {
		if c, ok := p.candidate(path, g); ok {
			removal.Candidates = append(removal.Candidates, c)
		}
	}
	removal.Candidates = append(removal.Candidates, p.strays(gone)...)
	removal.Candidates = plan.WithoutAliases(removal.Candidates, p.wanted.Declared(), p.Index.UID)
	if p.mayDelete != nil {
		if removal.Candidates, err = p.mayDelete(ctx, removal.Candidates); err != nil {
			return err
		}
	}
	return p.deleted(ctx, removal.Decide(), gone)
}

// departed is an object that Git held until a revision.
type departed struct {
	desired.Gone
	since plumbing.Hash
	// recent: the last of these revisions still held it.
	recent bool
}

// departed finds the objects that the tracked revisions held and this one doesn't, and what deletions are decided by.
func (p *pulling) departed(ctx context.Context) (map[string]departed, plan.Prune, error) {
	removal := plan.Prune{Waiting: p.Agreement.Waiting, Approved: p.Agreement.Approved, Mirrored: p.Agreement.Mirrored}
	gone := map[string]departed{}
	for i, tracked := range p.tracked() {
		var found []desired.Gone
		if tracked != p.Revision {
			var err error
			if found, err = p.gone(ctx, tracked); err != nil {
				return nil, removal, err
			}
		}
		if i == 0 && len(found) > 0 {
			continues, err := p.Repository.Descends(ctx, p.Revision, tracked)
			if err != nil {
				return nil, removal, err
			}
			removal.Unrelated = !continues
		}
		for path, g := range gone {
			g.recent = false
			gone[path] = g
		}
		for _, g := range found {
			gone[g.Path] = departed{g, tracked, true}
		}
	}
	removal.Declared = p.git.Len()
	removal.Tracked = removal.Declared + len(gone)
	return gone, removal, nil
}

// candidate is an object that Git doesn't declare any more, if it is there and is to be deleted.
func (p *pulling) candidate(path string, g departed) (plan.Candidate, bool) {
	entry, there := p.Index.Lookup(path)
	_, live := p.live.Get(path)
	if !there || !live {
		return plan.Candidate{}, false
	}
	if why := p.stays(entry.Bond, g); why != "" {
		if entry.Bond != manifest.Leaving {
			p.staying[path] = why
		}
		return plan.Candidate{}, false
	}
	return plan.Candidate{Path: path, UID: entry.UID, Recent: g.recent}, true
}

// stays is why an object that Git doesn't declare any more isn't deleted; empty where it is.
func (p *pulling) stays(bond manifest.Bond, g departed) string {
	switch {
	case g.Protected:
		return manifest.Protected.String()
	case bond.Holds(false):
		return bond.String()
	case p.Config.Prune == workflows.PruneOff:
		return "prune is off"
	}
	return ""
}

// tracked are the revisions whose objects may have to go.
func (p *pulling) tracked() []plumbing.Hash {
	if len(p.Tracked) == 0 && !p.Settled.IsZero() {
		return []plumbing.Hash{p.Settled}
	}
	return p.Tracked
}

// gone are the objects that a revision held and this one doesn't, as far as that is certain.
func (p *pulling) gone(ctx context.Context, tracked plumbing.Hash) ([]desired.Gone, error) {
	switch err := p.Repository.Fetch(ctx, tracked); {
	case errors.Is(err, repo.ErrMoved):
		p.changes = append(p.changes, Change{
			Object: "revision " + tracked.String(), Action: Fail, Direction: ToCluster, Reason: Unreadable,
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
			Object: unread, File: unread, Action: Fail, Direction: ToCluster, Reason: Mistake,
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
	for _, candidate := range d.Objects {
		path, g := candidate.Path, gone[candidate.Path]
		c := Change{
			Object: manifest.ObjectName(path), Action: Delete, Direction: ToCluster, Reason: GoneFromGit, File: manifest.FileLine(g.Origin.File, g.Origin.Line),
			Message: "gone from Git since " + short(g.since),
		}
		if candidate.Stray {
			c.Reason, c.File, c.Message = AddedInCluster, "", "in no file of Git, and prune is mirror"
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
