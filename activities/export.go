package activities

import (
	"context"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Export reads the state of the cluster from the watch index: no request to the API server, unless the
// worker has just started and lists it for the first time.
func (a *Activities) Export(ctx context.Context, in workflows.ExportInput) (workflows.ExportResult, error) {
	return run(ctx, a, workflows.ExportActivity, func(ctx context.Context, p *progress) (workflows.ExportResult, []any, error) {
		v, err := a.look(ctx, in.Config, p)
		if err != nil {
			return workflows.ExportResult{}, nil, err
		}
		result := workflows.ExportResult{
			Tree: v.state(v.live), Objects: v.live.Len(),
			Excluded: v.snapshot.Skipped, UnreadCount: len(v.snapshot.Unread), Locked: a.locked.inPlace(in.Config, v),
		}
		for _, unread := range v.snapshot.Unread[:min(len(v.snapshot.Unread), workflows.MaxListed)] {
			result.Unread = append(result.Unread, workflows.Failure{Object: unread.Resource, Message: unread.Message})
		}
		switch stale := v.snapshot.Stale; {
		case stale == nil:
		case stale.Unreachable:
			result.StaleSince, result.StaleMessage = &stale.Since, stale.Message
		default:
			result.UnreadCount += len(stale.Resources)
			for _, resource := range stale.Resources[:min(len(stale.Resources), workflows.MaxListed-len(result.Unread))] {
				result.Unread = append(result.Unread, workflows.Failure{Object: resource, Message: stale.Message})
			}
		}
		return result, []any{"tree", result.Tree, "objects", result.Objects, "unread", result.UnreadCount}, nil
	})
}
