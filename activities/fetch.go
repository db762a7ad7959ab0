package activities

import (
	"context"

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
		if tip.IsZero() {
			return workflows.FetchResult{}, []any{"revision", ""}, nil
		}
		p.say("fetching %s", tip)
		if err := repository.Fetch(ctx, tip); err != nil {
			return workflows.FetchResult{}, nil, err
		}
		return workflows.FetchResult{Revision: tip.String()}, []any{"revision", tip.String()}, nil
	})
}
