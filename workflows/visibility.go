package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Search attributes of ClusterSync, all of type Keyword.
var (
	ClusterNameAttribute  = temporal.NewSearchAttributeKeyKeyword("ClusterName")
	SyncStrategyAttribute = temporal.NewSearchAttributeKeyKeyword("SyncStrategy")
	SyncStateAttribute    = temporal.NewSearchAttributeKeyKeyword("SyncState")
	SyncRevisionAttribute = temporal.NewSearchAttributeKeyKeyword("SyncRevision")
)

// attributes are the values of the search attributes that change.
type attributes struct {
	strategy Strategy
	state    SyncState
	revision string
}

// InitialAttributes are the search attributes that an enrolment starts with.
func InitialAttributes(c Config) temporal.SearchAttributes {
	state, _, _ := (&State{Config: c}).health()
	return temporal.NewSearchAttributes(
		ClusterNameAttribute.ValueSet(c.Cluster),
		SyncStrategyAttribute.ValueSet(string(c.Strategy)),
		SyncStateAttribute.ValueSet(string(state)),
		SyncRevisionAttribute.ValueSet(""),
	)
}

// publish shows the state in the Web UI. Search attributes cost an event each time, so they are sent
// only when they changed.
func (s *clusterSync) publish(ctx workflow.Context) error {
	status := s.state.status(workflow.Now(ctx))
	workflow.SetCurrentDetails(ctx, details(status))
	var next time.Duration
	if s.state.running() {
		next = s.pauseNow(ctx)
	}
	s.tell(ctx, status, next)
	now := attributes{strategy: status.Strategy, state: status.State, revision: status.Revision}
	if now == s.published {
		return nil
	}
	s.published = now
	return workflow.UpsertTypedSearchAttributes(ctx,
		ClusterNameAttribute.ValueSet(status.Cluster),
		SyncStrategyAttribute.ValueSet(string(now.strategy)),
		SyncStateAttribute.ValueSet(string(now.state)),
		SyncRevisionAttribute.ValueSet(now.revision))
}
