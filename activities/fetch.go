package activities

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Fetch reads the tip of the branch, in one request, and brings its content here if it is new.
func (a *Activities) Fetch(ctx context.Context, in workflows.FetchInput) (workflows.FetchResult, error) {
	return run(ctx, a, workflows.FetchActivity, func(ctx context.Context, p *progress) (workflows.FetchResult, []any, error) {
		repository, err := a.open(in.Config)
		if err != nil {
			return workflows.FetchResult{}, nil, err
		}
		tip, err := repository.Tip(ctx)
		if err != nil {
			return workflows.FetchResult{}, nil, err
		}
		seen := plumbing.NewHash(in.Seen)
		if tip.IsZero() {
			result := workflows.FetchResult{}
			if !seen.IsZero() {
				result.Branch = workflows.BranchDeleted
			}
			return result, []any{"revision", ""}, nil
		}
		p.say("fetching %s", tip)
		if err := repository.Fetch(ctx, tip); err != nil {
			return workflows.FetchResult{}, nil, err
		}
		happened, err := branchChange(ctx, repository, seen, tip)
		if err != nil {
			return workflows.FetchResult{}, nil, err
		}
		facts := []any{"revision", tip.String()}
		if happened != "" {
			facts = append(facts, "branch", string(happened))
		}
		return workflows.FetchResult{Revision: tip.String(), Branch: happened}, facts, nil
	})
}

// branchChange tells how the branch came from one tip to another.
func branchChange(ctx context.Context, repository *repo.Repository, seen, tip plumbing.Hash) (workflows.BranchChange, error) {
	if seen.IsZero() || seen == tip {
		return "", nil
	}
	continues, err := repository.Descends(ctx, tip, seen)
	if err != nil {
		return "", err
	}
	if continues {
		return workflows.BranchMoved, nil
	}
	switch continued, err := repository.Descends(ctx, seen, tip); {
	case errors.Is(err, repo.ErrMoved):
		return workflows.BranchReplaced, nil // the server doesn't know the old tip any more
	case err != nil:
		return "", err
	case continued:
		return workflows.BranchRewound, nil
	}
	return workflows.BranchReplaced, nil
}
