package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// requireNoCommitDoubled makes sure that every commit after the first sync changed something, and what its subject
// says.
func requireNoCommitDoubled(t *testing.T, repo, name, first string) {
	t.Helper()
	commits := strings.Split(git(t, repo, "log", "--reverse", "--format=%H %T", "main"), "\n")
	for i, commit := range commits[1:] {
		_, before, _ := strings.Cut(commits[i], " ")
		_, after, _ := strings.Cut(commit, " ")
		require.NotEqual(t, before, after, "commit %s has the tree of the one before it", commit)
	}
	for _, commit := range strings.Split(git(t, repo, "log", "--format=%H", first+"..main"), "\n") {
		changed := map[byte]int{}
		for _, line := range strings.Split(git(t, repo, "diff-tree", "--no-commit-id", "--name-status", "-r", commit), "\n") {
			changed[line[0]]++
		}
		var counts []string
		for _, c := range []struct {
			status byte
			word   string
		}{{'M', "updated"}, {'A', "added"}, {'D', "deleted"}} {
			if n := changed[c.status]; n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, c.word))
			}
		}
		require.Equal(t, fmt.Sprintf("sync(%s): %s", name, strings.Join(counts, ", ")), git(t, repo, "log", "-1", "--format=%s", commit))
	}
	t.Logf("%d commits", len(commits))
}

// maxEvents is at how many events Temporal asks for a fresh history, with those that a tick under way may add.
const maxEvents = 4096 + 200

// requireSoundHistory follows an enrolment from its last run back to its first: each went on as the next, none
// failed, and none is longer than it may be. It answers with all events, in their order.
func requireSoundHistory(t *testing.T, name string) (all []*history.HistoryEvent) {
	t.Helper()
	run, runs := "", 0
	for {
		var events []*history.HistoryEvent
		iterator := temporal.GetWorkflowHistory(t.Context(), workflows.WorkflowID(name), run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for iterator.HasNext() {
			event, err := iterator.Next()
			require.NoError(t, err)
			events = append(events, event)
		}
		require.Less(t, len(events), maxEvents, "the history is bounded")
		last := events[len(events)-1]
		if runs > 0 {
			require.Equal(t, enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW, last.GetEventType(), "run %s", run)
		}
		for _, event := range events {
			switch event.GetEventType() {
			case enums.EVENT_TYPE_WORKFLOW_TASK_FAILED:
				cause := event.GetWorkflowTaskFailedEventAttributes().GetCause()
				// A message that came while the run was about to go on as the next is carried out before.
				require.Equal(t, enums.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, cause, event.String())
			case enums.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT, enums.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
				enums.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
				require.Fail(t, "the workflow has ended", event.String())
			}
		}
		t.Logf("%s: a run of %d events", name, len(events))
		all, runs = append(events, all...), runs+1
		if run = events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId(); run == "" {
			return all
		}
	}
}

// requireEveryCommitTold makes sure that what the workflow was told of names every commit.
func requireEveryCommitTold(t *testing.T, repo string, events []*history.HistoryEvent) {
	t.Helper()
	told := map[string]bool{}
	for _, event := range events {
		for _, payload := range event.GetActivityTaskCompletedEventAttributes().GetResult().GetPayloads() {
			var result struct {
				Revision string `json:"revision"`
			}
			if converter.GetDefaultDataConverter().FromPayload(payload, &result) == nil {
				told[result.Revision] = true
			}
		}
	}
	for _, commit := range strings.Split(git(t, repo, "log", "--format=%H", "main"), "\n") {
		require.True(t, told[commit], "commit %s is in the history of the workflow", commit)
	}
}

// states are those that the enrolments were seen in.
type states struct {
	mu   sync.Mutex
	seen map[string][]workflows.SyncState
	stop func()
}

// watchStates asks for the states every half second, as somebody does who looks at the dashboard.
func watchStates(t *testing.T, names ...string) *states {
	s := &states{seen: map[string][]workflows.SyncState{}}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	s.stop = func() { cancel(); group.Wait() }
	t.Cleanup(s.stop)
	for _, name := range names {
		group.Go(func() {
			last := ""
			for ctx.Err() == nil {
				if now, err := status(ctx, name); err == nil {
					s.add(name, now.State)
					if text := fmt.Sprintf("%s %s", now.State, now.Reason); text != last {
						t.Logf("%s %s: %s", clock(), name, text)
						last = text
					}
				}
				select {
				case <-ctx.Done():
				case <-time.After(500 * time.Millisecond):
				}
			}
		})
	}
	return s
}

func (s *states) add(name string, state workflows.SyncState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.seen[name], state) {
		s.seen[name] = append(s.seen[name], state)
	}
}

// requireOutageShown takes the Git server away for as long as it takes the enrolments to say so.
func requireOutageShown(t *testing.T, names ...string) {
	t.Helper()
	host.Kill()
	for _, name := range names {
		s := reaches(t, name, func(s workflows.Status) bool { return s.State == workflows.Degraded })
		require.Equal(t, workflows.RemoteUnreachable, s.Reason)
	}
	require.NoError(t, host.Again(t.Context()))
	for _, name := range names {
		reaches(t, name, inSync)
		answer, err := temporal.QueryWorkflow(t.Context(), workflows.WorkflowID(name), "", workflows.HistoryQuery)
		require.NoError(t, err)
		var records []workflows.Record
		require.NoError(t, answer.Get(&records))
		require.True(t, slices.ContainsFunc(records, func(r workflows.Record) bool {
			return r.Problem != nil && r.Problem.Reason == workflows.RemoteUnreachable
		}), "%s remembers the outage: %v", name, records)
	}
}

// requireShown makes sure that the list of workflows has shown every state that an enrolment was in when a tick had
// ended; Syncing is also what a query sees in the middle of one.
func (s *states) requireShown(t *testing.T, name string, events []*history.HistoryEvent) {
	t.Helper()
	shown := map[workflows.SyncState]int{}
	for _, event := range events {
		if payload := event.GetUpsertWorkflowSearchAttributesEventAttributes().GetSearchAttributes().GetIndexedFields()["SyncState"]; payload != nil {
			var state workflows.SyncState
			require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &state))
			shown[state]++
		}
	}
	t.Logf("%s was shown as %v", name, shown)
	for _, state := range s.seen[name] {
		if state == workflows.Syncing {
			continue
		}
		require.Positive(t, shown[state], "%s was shown as %s", name, state)
	}
	require.Positive(t, shown[workflows.InSync])
	require.Positive(t, shown[workflows.Degraded])
}
