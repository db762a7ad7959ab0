package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"go.temporal.io/sdk/activity"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Commit makes Git equal to the cluster as this worker sees it now. It writes only on top of the tip
// that Fetch saw, and only where the branch is this cluster's to write.
func (a *Activities) Commit(ctx context.Context, in workflows.CommitInput) (workflows.CommitResult, error) {
	return run(ctx, a, workflows.CommitActivity, func(ctx context.Context, p *progress) (workflows.CommitResult, []any, error) {
		a.committing.Lock()
		defer a.committing.Unlock()
		repository, err := a.open(in.Config)
		if err != nil {
			return workflows.CommitResult{}, nil, err
		}
		tip := plumbing.NewHash(in.Revision)
		if !tip.IsZero() {
			if err := repository.Fetch(ctx, tip); err != nil {
				return workflows.CommitResult{}, nil, err
			}
		}
		if in.Config.Strategy == workflows.PushPull {
			result, err := a.share(ctx, repository, tip, in, p)
			return result, append([]any{"revision", result.Revision, "conflicts", len(result.Conflicts)}, counts(result.Changes)...), err
		}
		if !tip.IsZero() {
			if err := mayPush(ctx, repository, tip, in); err != nil {
				return workflows.CommitResult{}, nil, err
			}
		}
		result, err := a.commit(ctx, repository, tip, in, p)
		return result, append([]any{"revision", result.Revision}, counts(result.Changes)...), err
	})
}

// maxAttempts bounds how often Commit starts over because an object changed under its hands.
const maxAttempts = 5

func (a *Activities) commit(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput, p *progress) (workflows.CommitResult, error) {
	for attempt := 1; ; attempt++ {
		v, err := a.look(ctx, in.Config, p)
		if err != nil {
			return workflows.CommitResult{}, err
		}
		marker := manifest.Marker{Layout: manifest.MarkerLayout, Cluster: a.Cluster, UID: in.Config.ClusterUID}.Encode()
		result, err := a.pushAll(ctx, v, repository, tip, marker, p)
		if errors.Is(err, repo.ErrStale) && attempt < maxAttempts {
			continue
		}
		return result, err
	}
}

// pushAll stores one view of the cluster, with a marker that says whose the place is.
func (a *Activities) pushAll(ctx context.Context, v *view, repository *repo.Repository, tip plumbing.Hash, marker []byte, p *progress) (workflows.CommitResult, error) {
	s, err := a.seal(ctx, v, repository, tip, p)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	p.say("storing %d objects", v.live.Len())
	pushed, err := repository.Push(ctx, repo.Push{
		Parent:  tip,
		Desired: s.tree.Tree(),
		Content: s.contents,
		Keep:    v.leaves,
		Files:   s.files(marker),
		Message: func(changes []tree.Change) string { return commitMessage(ctx, a.Cluster, changes) },
		When:    time.Now(),
	})
	if err != nil {
		return workflows.CommitResult{}, err
	}
	a.stored(pushed.Changes)
	v.index.Release(v.snapshot.Tree)
	a.sealed = s.remember(pushed.Revision)
	failures := s.failures()
	return workflows.CommitResult{
		Revision: pushed.Revision.String(), Tree: v.state(v.live), Changes: summarise(pushed.Changes),
		Failed: failures[:min(len(failures), workflows.MaxListed)], FailedCount: len(failures),
	}, nil
}

// mayPush tells whether the content of the tip may be overwritten.
func mayPush(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput) error {
	var pushed plumbing.Hash
	if strings.HasPrefix(in.Settled.Scope, string(workflows.Push)+" ") {
		pushed = plumbing.NewHash(in.Settled.Revision)
	}
	return refused(terms.MayPush(ctx, repository, in.Config, tip, pushed))
}

// mayMerge tells whether push-pull may change the content of the tip.
func mayMerge(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput) (terms.Place, error) {
	place, err := terms.MayMerge(ctx, repository, in.Config, tip, plumbing.NewHash(in.Settled.Revision))
	return place, refused(err)
}

// refused makes the error of the contract of a refusal.
func refused(err error) error {
	var refusal *terms.Refusal
	if errors.As(err, &refusal) {
		return lasting(refusal.Reason, refusal.Message)
	}
	return err
}

// commitMessage follows the repository contract: counts in the subject, objects in the body, trailers. Overruled are
// objects for which an edit in Git gives way.
func commitMessage(ctx context.Context, cluster string, changes []tree.Change, overruled ...string) string {
	c := summarise(changes)
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{c.Updated, "updated"}, {c.Added, "added"}, {c.Deleted, "deleted"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(parts) == 0 {
		parts = []string{"mark the path as this cluster's"}
	}
	return message(ctx, cluster, fmt.Sprintf("sync(%s): %s", cluster, strings.Join(parts, ", ")), c.Objects, c.Total(), overruled...)
}

// message is a subject, objects of some total as far as they are listed, and trailers.
func message(ctx context.Context, cluster, subject string, objects []string, total int, overruled ...string) string {
	var m strings.Builder
	fmt.Fprintf(&m, "%s\n\n", subject)
	for _, object := range objects {
		fmt.Fprintf(&m, "- %s\n", object)
	}
	if more := total - len(objects); more > 0 {
		fmt.Fprintf(&m, "- and %d more\n", more)
	}
	if total > 0 {
		m.WriteString("\n")
	}
	if len(overruled) > 0 {
		fmt.Fprintf(&m, "Kept over an edit in Git:\n- %s\n\n", strings.Join(overruled, "\n- "))
	}
	info := activity.GetInfo(ctx)
	fmt.Fprintf(&m, "Cluster: %s\nWorkflow-Run: %s\n", cluster, info.WorkflowExecution.RunID)
	return m.String()
}

func counts(c workflows.Changes) []any {
	return []any{"added", c.Added, "updated", c.Updated, "deleted", c.Deleted}
}
