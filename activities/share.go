package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/exchange"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// share is Commit for push-pull: it stores what was changed in the cluster, together with what was changed in Git.
// Who loses the race for the branch plans again.
func (a *Activities) share(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput, p *progress) (workflows.CommitResult, error) {
	a.applying.Lock()
	defer a.applying.Unlock()
	for attempt := 1; ; attempt++ {
		result, err := a.shareOnce(ctx, repository, tip, in, p)
		if attempt == maxAttempts || !errors.Is(err, repo.ErrMoved) && !errors.Is(err, repo.ErrStale) {
			return result, err
		}
		if tip, err = repository.Tip(ctx); err != nil {
			return result, err
		}
		if err := repository.Fetch(ctx, tip); err != nil {
			return result, err
		}
	}
}

func (a *Activities) shareOnce(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput, p *progress) (workflows.CommitResult, error) {
	place, err := mayMerge(ctx, repository, tip, in)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	marker := place.Marker.Encode()
	v, err := a.look(ctx, in.Config, p)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	if place.Beginning == terms.Fills {
		return a.pushAll(ctx, v, repository, tip, marker, p)
	}
	x, err := a.exchange(ctx, repository, tip, v, exchange.Record{
		Config: in.Config, Settled: in.Settled, Open: in.Open, OpenCount: in.OpenCount, Tracked: in.Tracked, Waiting: in.Waiting,
	}, p)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	s := &sharing{Activities: a, view: v, Sharing: x.Share(), marker: marker, shared: len(place.Marker.Members) > 1}
	if err := s.Draft(ctx); err != nil {
		return workflows.CommitResult{}, err
	}
	return s.commit(ctx)
}

// sharing is one run of Commit for push-pull.
type sharing struct {
	*Activities
	view *view
	*exchange.Sharing
	// marker says whose place it is, shared that it is that of several clusters.
	marker []byte
	shared bool
}

// commit brings the files to the branch.
func (s *sharing) commit(ctx context.Context) (workflows.CommitResult, error) {
	for {
		result, err := s.commitOnce(ctx)
		var obstacle *repo.FileError
		if !errors.As(err, &obstacle) || !s.Disown(map[string]error{obstacle.Path: err}) {
			return result, err
		}
	}
}

// commitOnce is that for all files that nothing is in the way of.
func (s *sharing) commitOnce(ctx context.Context) (workflows.CommitResult, error) {
	beside, err := s.Beside(s.marker, s.shared)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	files, failed := s.Ours.Contents()
	s.Disown(failed)
	lost, failed := s.Lost.Contents()
	s.Disown(failed)
	changes := s.Changes()
	maps.Copy(files, beside)
	edit := repo.Edit{
		Parent: s.Tip, Files: files, When: time.Now(),
		Message: commitMessage(ctx, s.Cluster, changes, s.overruled()...),
	}
	if len(lost) > 0 && len(files) == 0 {
		edit.Message = message(ctx, s.Cluster, fmt.Sprintf("sync(%s): keep what Git says", s.Cluster), nil, 0)
	}
	if len(lost) > 0 {
		edit.Aside = &repo.Aside{Files: lost, Message: s.lostMessage(ctx)}
	}
	pushed := repo.Pushed{Revision: s.Tip}
	if len(files) > 0 || len(lost) > 0 {
		s.Say("storing %d objects", len(changes))
		if pushed, err = s.Repository.Edit(ctx, edit); err != nil {
			return workflows.CommitResult{}, err
		}
	}
	s.stored(changes)
	s.attribute(ctx)
	s.Tip = pushed.Revision
	if err := s.FollowTip(); err != nil {
		return workflows.CommitResult{}, err
	}
	s.Index.Release(s.Snapshot.Tree)
	return s.settle(pushed, changes), nil
}

// overruled are the objects for which the cluster's edit was kept over Git's, as the commit that does it says.
func (s *sharing) overruled() []string {
	var lines []string
	for _, c := range s.Conflicts {
		if c.Winner == workflows.ConflictCluster && len(lines) < workflows.MaxListed {
			lines = append(lines, strings.Join(append([]string{c.Object}, c.Fields...), " "))
		}
	}
	return lines
}

// lostMessage is that of the commit which keeps the edits that lost.
func (s *sharing) lostMessage(ctx context.Context) string {
	var objects []string
	for _, c := range s.Conflicts {
		if c.Winner == workflows.ConflictGit {
			objects = append(objects, c.Object)
		}
	}
	subject := fmt.Sprintf("conflict(%s): keep %d edits of the cluster that lose against Git's", s.Cluster, len(objects))
	if len(objects) == 1 {
		subject = fmt.Sprintf("conflict(%s): keep an edit of the cluster that loses against Git's", s.Cluster)
	}
	return message(ctx, s.Cluster, subject, objects[:min(len(objects), workflows.MaxListed)], len(objects))
}

// settle takes over what was pushed.
func (s *sharing) settle(pushed repo.Pushed, changes []tree.Change) workflows.CommitResult {
	outstanding := s.Settle()
	result := workflows.CommitResult{
		Revision: pushed.Revision.String(), Tree: s.view.state(s.Live), Changes: summarise(changes), Outstanding: outstanding,
	}
	next := s.Record
	if !outstanding {
		s.SettleAll(s.Live)
		next.Settled = workflows.Settled{Revision: result.Revision, Tree: result.Tree}
	}
	result.Open, result.OpenCount = s.ListOpen()
	next.Open, next.OpenCount = result.Open, result.OpenCount
	records := []exchange.Record{next}
	if next.Settled = s.Settled; !outstanding {
		records = append(records, next) // an Apply may follow all the same
	}
	s.Memory.Keep(records...)
	for _, path := range slices.Sorted(maps.Keys(s.Failed)) {
		result.Failed = append(result.Failed, s.failure(path, s.Failed[path]))
	}
	result.FailedCount, result.RetryAfter = len(result.Failed), s.RetryAfter()
	result.Failed = result.Failed[:min(len(result.Failed), workflows.MaxListed)]
	s.reportConflicts(&result, pushed)
	return result
}
