package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/exchange"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// pruning is what became of the deletions of one Apply.
type pruning struct {
	plan.Deletions
	// undecided: nobody can tell for now what is to be deleted.
	undecided bool
	// finished: nothing that the tracked revisions held is left to delete.
	finished bool
	// removed are the resources of the objects that may have to be deleted, kept the reasons for which some of
	// them are not, by path.
	removed map[string]manifest.Resource
	kept    map[string]string
	// lost are what nobody can tell the content of: revisions that can't be had any more, files that hold
	// something else than objects now.
	lost []workflows.Failure
}

// withheld is what waits for approval.
func (p *pruning) withheld() workflows.Pending {
	if p.Withheld == "" {
		return workflows.Pending{}
	}
	pending := workflows.Pending{Digest: p.Digest(), Count: len(p.Objects), Reason: p.Withheld, Strays: p.Strays}
	for _, c := range p.Objects[:min(len(p.Objects), workflows.MaxListed)] {
		pending.Objects = append(pending.Objects, manifest.ObjectName(c.Path))
	}
	return pending
}

// mirrored reports whether strays were deleted, which a person has approved now or before.
func (p *pruning) mirrored() bool {
	return p.Withheld == "" && slices.ContainsFunc(p.Objects, func(c plan.Candidate) bool { return c.Stray })
}

// prune deletes the objects that the tracked revisions held and this one doesn't, and under policy mirror
// those that Git never held, unless that looks like an accident.
func (r *application) prune(ctx context.Context, repository *repo.Repository) error {
	p := &r.pruning
	p.removed, p.kept = map[string]manifest.Resource{}, map[string]string{}
	removal, err := r.candidates(ctx, repository)
	if err != nil || p.undecided {
		return err
	}
	if r.exchange != nil {
		if removal.Candidates, err = r.exchange.ToDelete(ctx, removal.Candidates); err != nil {
			return err
		}
	}
	p.Deletions = removal.Decide()
	paths := p.Paths()
	for path, f := range r.pulled.failing {
		if f.Git.IsZero() && !slices.Contains(paths, path) {
			delete(r.pulled.failing, path) // nothing to delete any more
		}
	}
	if p.Withheld != "" {
		p.finished = false
		return nil
	}
	return r.delete(ctx)
}

// candidates finds what there is to decide about, and what it is decided by.
func (r *application) candidates(ctx context.Context, repository *repo.Repository) (plan.Prune, error) {
	p := &r.pruning
	p.finished = true
	gone := map[string]bool{} // whether the last revision still held it
	removal := plan.Prune{Waiting: r.in.Waiting, Mirrored: r.in.Mirrored, Approved: r.in.Approved}
	for i, tracked := range r.in.Tracked {
		var last []desired.Gone
		if tracked != r.in.Revision {
			before := plumbing.NewHash(tracked)
			var err error
			if last, err = r.gone(ctx, repository, before); err != nil || p.undecided {
				return removal, err
			}
			// Only the first one was carried out in full: whatever came between, going on from there is no accident.
			if i == 0 && len(last) > 0 {
				continues, err := repository.Descends(ctx, r.revision, before)
				if err != nil {
					return removal, err
				}
				removal.Unrelated = !continues
			}
		}
		for path := range gone {
			gone[path] = false
		}
		for _, g := range last {
			gone[g.Path] = true
			p.removed[g.Path] = g.Resource
			if delete(p.kept, g.Path); g.Protected {
				p.kept[g.Path] = desired.ProtectedInGit
			}
		}
	}
	removal.Declared = r.git().Len()
	removal.Tracked = removal.Declared + len(gone)
	for path, recent := range gone {
		if c, ok := r.candidate(path, false); ok {
			c.Recent = recent
			removal.Candidates = append(removal.Candidates, c)
		}
	}
	if r.exchange != nil {
		removal.Candidates = append(removal.Candidates, r.leftByGit(gone)...)
	}
	if r.in.Config.Prune == workflows.PruneMirror && r.exchange == nil { // push-pull stores what Git lacks
		strays, known := r.strays(gone)
		removal.Candidates = append(removal.Candidates, strays...)
		p.undecided = !known && r.in.Waiting
	}
	removal.Candidates = plan.WithoutAliases(removal.Candidates, r.pulled.Desired.Declared(), r.index.UID)
	return removal, nil
}

// leftByGit are the objects that push-pull may have to delete though the tracked revisions don't tell of them: what
// was put off, because the object had changed in the cluster, may since have been decided against the cluster.
func (r *application) leftByGit(gone map[string]bool) []plan.Candidate {
	var candidates []plan.Candidate
	for _, path := range r.exchange.LeftByGit() {
		if _, known := gone[path]; known {
			continue
		}
		if c, ok := r.candidate(path, false); ok {
			entry, _ := r.index.Lookup(path)
			r.pruning.removed[path], c.Recent = entry.Resource, true
			candidates = append(candidates, c)
		}
	}
	return candidates
}

// candidate is an object that Git doesn't declare, if it is there and is to be deleted.
func (r *application) candidate(path string, stray bool) (plan.Candidate, bool) {
	p := &r.pruning
	entry, ok := r.index.Lookup(path)
	_, live := r.live.Get(path)
	if !ok || !live {
		if !r.snapshot.Knows(path) {
			p.finished = false // it may be there
		}
		delete(p.kept, path)
		return plan.Candidate{}, false
	}
	switch {
	case entry.Bond == manifest.Leaving:
		delete(p.kept, path)
	case entry.Bond == manifest.Protected:
		p.kept[path] = manifest.Protected.String()
	case entry.Bond.Holds(stray):
		if !stray {
			p.kept[path] = entry.Bond.String()
		}
	case !stray && r.in.Config.Prune == workflows.PruneOff:
		p.kept[path] = "pull deletes nothing (prune: off)"
	case p.kept[path] == "":
		return plan.Candidate{Path: path, UID: entry.UID, Stray: stray}, true
	}
	return plan.Candidate{}, false
}

// gone lists the objects that an earlier revision declared and this one doesn't. That is undecided while a file
// that differs can't be read in full: what seems to be gone may stand in there.
func (r *application) gone(ctx context.Context, repository *repo.Repository, before plumbing.Hash) ([]desired.Gone, error) {
	switch err := repository.Fetch(ctx, before); {
	case errors.Is(err, repo.ErrMoved):
		r.lose(before, err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	// Having fetched an older revision, the store may have made room for it.
	if err := repository.Fetch(ctx, r.revision); err != nil {
		return nil, err
	}
	kinds := &asking{kinds: r.index}
	gone, unread, err := r.pulled.Desired.Gone(before, kinds)
	if err != nil {
		return nil, err
	}
	switch r.pruning.undecided = unread != ""; {
	case unread == "":
	case r.pulled.Desired.Reads(unread): // but it has become another tool's
		r.doubt(unread)
	default:
		r.Logger.Warn("deletions wait until a file can be read", "cluster", r.Cluster, "file", unread)
	}
	if kinds.unknown && !r.snapshot.Complete() {
		r.pruning.finished = false // they may be there, and be seen later
	}
	return gone, nil
}

// asking notes whether there was a kind that the cluster doesn't know.
type asking struct {
	kinds   desired.Kinds
	unknown bool
}

func (a *asking) Resolve(kind schema.GroupKind) (manifest.Resource, bool) {
	r, ok := a.kinds.Resolve(kind)
	a.unknown = a.unknown || !ok
	return r, ok
}

// doubt reports a file that is there and holds no objects any more, but something that isn't Kubernetes'.
func (r *application) doubt(file string) {
	const message = "the file held objects in an earlier revision, and now holds something else; deletions wait: restore the objects, or remove the file"
	r.pruning.lost = append(r.pruning.lost, workflows.Failure{File: file, Message: message})
	r.Logger.Warn(message, "cluster", r.Cluster, "file", file)
}

// lose reports that the Git host doesn't hand out a revision any more, so that nobody can tell what it
// held. Nothing is deleted on its account.
func (r *application) lose(revision plumbing.Hash, err error) {
	const message = "this earlier revision can't be had any more, so nothing is deleted on its account: delete by hand what is left of it in the cluster"
	r.pruning.lost = append(r.pruning.lost, workflows.Failure{Object: "revision " + revision.String(), Message: message})
	r.Logger.Warn(message, "cluster", r.Cluster, "revision", revision.String(), "error", err.Error())
}

// delete carries out the deletions, stage by stage.
func (r *application) delete(ctx context.Context) error {
	planned := map[string]plan.Candidate{}
	for _, c := range r.pruning.Objects {
		planned[c.Path] = c
	}
	for _, stage := range plan.DeletionStages(r.pruning.Paths()) {
		writes := make([]kube.Write, 0, len(stage))
		for _, path := range stage {
			live, _ := r.live.Get(path)
			writes = append(writes, kube.Write{
				Path: path, Resource: r.pruning.removed[path], Live: live,
				UID: types.UID(planned[path].UID), Stray: planned[path].Stray, Exactly: r.exchange != nil,
			})
		}
		for _, written := range r.index.Apply(ctx, writes, r.reporting("deleted")) {
			r.deleted(written)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// deleted takes over what became of one deletion.
func (r *application) deleted(written kube.Written) {
	if written.Action == kube.Failed {
		r.pruning.finished = false
		live, _ := r.live.Get(written.Path)
		r.fail(plan.Write{Path: written.Path, Live: live}, fmt.Errorf("delete: %w", written.Err))
		return
	}
	delete(r.pulled.failing, written.Path)
	switch written.Action {
	case kube.Deleted:
		r.settled.Remove(written.Path)
		delete(r.pulled.Agreed, written.Path)
		r.note(written.Path, kube.Deleted)
	case kube.Moved:
		r.settled.Put(written.Path, exchange.Outdated) // for Commit to look at
	case kube.Kept:
		r.pruning.kept[written.Path] = written.Reason
	case kube.Replaced:
		// It is planned again: as something that others changed, it is a difference at the next tick.
		r.pruning.finished = false
		r.settled.Remove(written.Path)
	}
}
