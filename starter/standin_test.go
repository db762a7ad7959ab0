package main

import (
	"context"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// standin is a worker with the real workflow and activities that only say what a test wants: here the
// command line is under test, and the real activities have tests of their own.
type standin struct {
	mu       sync.Mutex
	tree     string
	revision string
	export   error
	withheld int
	approved bool
	hold     chan struct{} // Export waits for it when it is set
	locked   bool
	stuck    bool // the lock can't be taken away
}

// startWorker serves the cluster until stop is called or the test ends.
func (w *world) startWorker(s *standin) (stop func()) {
	w.Helper()
	s.tree, s.revision = "tree-1", strings.Repeat("0123456789", 4)
	real := worker.New(w.temporal, workflows.WorkflowID(w.cluster), worker.Options{})
	real.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
	for name, does := range map[string]any{
		workflows.ExportActivity: s.exports, workflows.FetchActivity: s.fetches,
		workflows.CommitActivity: s.commits, workflows.ApplyActivity: s.applies, workflows.LockActivity: s.locks,
	} {
		real.RegisterActivityWithOptions(does, activity.RegisterOptions{Name: name})
	}
	require.NoError(w, real.Start())
	var once sync.Once
	stop = func() { once.Do(real.Stop) }
	w.Cleanup(stop)
	return stop
}

func (s *standin) set(change func(*standin)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *standin) exports(ctx context.Context, in workflows.ExportInput) (workflows.ExportResult, error) {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return workflows.ExportResult{Tree: s.tree, Objects: 12, Locked: s.locked, Excluded: map[string]int{workflows.ExcludedSecrets: 3}}, s.export
}

func (s *standin) fetches(context.Context, workflows.FetchInput) (workflows.FetchResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return workflows.FetchResult{Revision: s.revision}, nil
}

func (s *standin) commits(context.Context, workflows.CommitInput) (workflows.CommitResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return workflows.CommitResult{Revision: s.revision, Tree: s.tree, Changes: workflows.Changes{Added: 12}}, nil
}

func (s *standin) applies(_ context.Context, in workflows.ApplyInput) (workflows.ApplyResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := workflows.ApplyResult{Tree: s.tree, Tracked: []string{in.Revision}}
	if s.withheld > 0 {
		if in.Approved == "these" {
			s.approved = true
			s.withheld = 0
			return result, nil
		}
		result.Withheld = workflows.Pending{Digest: "these", Count: s.withheld}
	}
	return result, nil
}

func (s *standin) locks(_ context.Context, in workflows.LockInput) (workflows.LockResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locked = in.On; !in.On && s.stuck {
		return workflows.LockResult{Present: true, Message: "not permitted"}, nil
	}
	return workflows.LockResult{InPlace: in.On, Present: in.On}, nil
}

// refusal is what the real activities fail with when a person is needed.
func refusal(reason, message string) error {
	return temporal.NewNonRetryableApplicationError(message, reason, nil)
}
