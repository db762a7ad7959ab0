package workflows

import (
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

// Told is what ClusterSync tells the worker that runs it, for its metrics.
type Told struct {
	State    SyncState
	Strategy Strategy
	// BehindSince is when a difference was first seen that isn't settled yet; nil while both sides agree.
	BehindSince *time.Time
	// LastAgreement is when both sides were last seen to agree; nil before the first time.
	LastAgreement *time.Time
	Objects       int
	Failed        int
	Waiting       int // conflicts
	Pending       int // deletions
	// Next is when more will be told at the latest; 0 where that takes a message.
	Next time.Duration
}

// Listener is what a metrics handler of the SDK may be, to be told.
type Listener interface {
	Tell(cluster string, told Told)
}

// tell tells the worker, by no event and no command: a replay tells nothing, and nobody waits for an answer.
func (s *clusterSync) tell(ctx workflow.Context, status Status, next time.Duration) {
	if workflow.IsReplaying(ctx) {
		return
	}
	told := status.Told()
	told.BehindSince, told.Next = nil, next
	if s.state.running() {
		told.BehindSince = s.state.BehindSince
	}
	for handler := workflow.GetMetricsHandler(ctx); handler != nil; {
		if listener, ok := handler.(Listener); ok {
			listener.Tell(status.Cluster, told)
			return
		}
		wrapper, ok := handler.(interface{ Unwrap() client.MetricsHandler })
		if !ok {
			return
		}
		handler = wrapper.Unwrap()
	}
}

// tellBusy tells before what may take long.
func (s *clusterSync) tellBusy(ctx workflow.Context) {
	s.tell(ctx, s.state.status(workflow.Now(ctx)), activityLimit)
}

// Told is what a status tells.
func (s Status) Told() Told {
	told := Told{
		State: s.State, Strategy: s.Strategy, LastAgreement: s.LastSyncTime,
		Objects: s.Objects, Failed: s.FailedCount, Pending: s.PendingDeletions,
	}
	for _, c := range s.Conflicts {
		if c.Winner == "" {
			told.Waiting++
		}
	}
	return told
}
