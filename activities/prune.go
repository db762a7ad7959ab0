package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// prune deletes the objects that the tracked revisions held and this one doesn't, unless that looks like
// an accident. It is finished when nothing of the tracked revisions is left to delete.
func (r *application) prune(ctx context.Context, repository *repo.Repository) (d plan.Deletions, finished bool, err error) {
	removal := plan.Prune{Git: r.git(), Live: r.live, Approved: r.in.Approved}
	for _, tracked := range r.in.Tracked {
		if tracked == r.in.Revision {
			continue
		}
		before := plumbing.NewHash(tracked)
		gone, certain, err := r.gone(ctx, repository, before)
		if err != nil {
			return plan.Deletions{}, false, err
		}
		if !certain {
			return plan.Deletions{}, false, nil
		}
		if len(gone) == 0 {
			continue
		}
		removal.Gone = append(removal.Gone, gone...)
		continues, err := repository.Descends(ctx, r.revision, before)
		if err != nil {
			return plan.Deletions{}, false, err
		}
		removal.Unrelated = removal.Unrelated || !continues
	}
	removal.Tracked = removal.Git.Len() + len(removal.Gone)
	d = removal.Decide()
	if d.Withheld != "" {
		return d, false, nil
	}
	finished, err = r.delete(ctx, d.Paths)
	for path, f := range r.pulled.failing {
		if f.Git.IsZero() && !slices.Contains(d.Paths, path) {
			delete(r.pulled.failing, path) // nothing to delete any more
		}
	}
	return d, finished, err
}

// gone lists the objects that an earlier revision declared and this one doesn't, from the files that
// differ. It isn't certain of them when one of these files can't be read in full: what seems to be gone
// may stand in there.
func (r *application) gone(ctx context.Context, repository *repo.Repository, before plumbing.Hash) (paths []string, certain bool, err error) {
	switch err := repository.Fetch(ctx, before); {
	case errors.Is(err, repo.ErrMoved):
		r.lose(before, err)
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	// Having fetched an older revision, the store may have made room for it.
	if err := repository.Fetch(ctx, r.revision); err != nil {
		return nil, false, err
	}
	gone, unread, err := r.pulled.desired.Gone(before, r.index)
	if err != nil {
		return nil, false, err
	}
	if unread != "" {
		if r.pulled.desired.PassesOver(unread) {
			r.doubt(unread)
		} else {
			r.Logger.Warn("deletions wait until a file can be read", "cluster", r.Cluster, "file", unread)
		}
		return nil, false, nil
	}
	for _, g := range gone {
		r.removed[g.Path] = g.Resource
		paths = append(paths, g.Path)
	}
	return paths, true, nil
}

// doubt reports a file that is there and holds no objects any more, but something that isn't Kubernetes'.
func (r *application) doubt(file string) {
	const message = "the file held objects in an earlier revision, and now holds something else; deletions wait: restore the objects, or remove the file"
	r.lost = append(r.lost, workflows.Failure{File: file, Message: message})
	r.Logger.Warn(message, "cluster", r.Cluster, "file", file)
}

// lose reports that the Git host doesn't hand out a revision any more, so that nobody can tell what it
// held. Nothing is deleted on its account.
func (r *application) lose(revision plumbing.Hash, err error) {
	const message = "this earlier revision can't be had any more, so nothing is deleted on its account: delete by hand what is left of it in the cluster"
	r.lost = append(r.lost, workflows.Failure{Object: "revision " + revision.String(), Message: message})
	r.Logger.Warn(message, "cluster", r.Cluster, "revision", revision.String(), "error", err.Error())
}

// delete carries out deletions, stage by stage. It is finished when none of them failed.
func (r *application) delete(ctx context.Context, paths []string) (finished bool, err error) {
	finished = true
	for _, stage := range plan.DeletionStages(paths) {
		writes := make([]kube.Write, 0, len(stage))
		for _, path := range stage {
			live, _ := r.live.Get(path)
			writes = append(writes, kube.Write{Path: path, Resource: r.removed[path], Live: live})
		}
		for _, written := range r.index.Apply(ctx, writes, r.reporting("deleted")) {
			switch written.Action {
			case kube.Deleted:
				r.settled.Remove(written.Path)
				delete(r.pulled.agreed, written.Path)
				delete(r.pulled.failing, written.Path)
				r.note(written.Path, kube.Deleted)
			case kube.Failed:
				finished = false
				live, _ := r.live.Get(written.Path)
				r.fail(plan.Write{Path: written.Path, Live: live}, fmt.Errorf("delete: %w", written.Err))
			}
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	return finished, nil
}
