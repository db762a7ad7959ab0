package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func (h *harness) history() []workflows.Record {
	h.t.Helper()
	answer, err := h.QueryWorkflow(workflows.HistoryQuery)
	require.NoError(h.t, err)
	var records []workflows.Record
	require.NoError(h.t, answer.Get(&records))
	return records
}

func TestRecordsTellDurationAndFailures(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		return workflows.ApplyResult{
			Tree: "a", Tracked: []string{"r1"}, Changes: workflows.Changes{Added: 1}, FailedCount: 2,
			Failed: []workflows.Failure{{Object: "a", Message: "m"}, {Object: "b", Message: "m"}}, RetryAfter: time.Hour,
		}, nil
	}
	h := newHarness(t, s)
	h.run(workflows.State{Config: config(workflows.Pull)}, 5*time.Second)
	records := h.history()
	require.Len(t, records, 1)
	require.Equal(t, 2, records[0].Failed)
	require.Less(t, records[0].Duration.Duration, 5*time.Second)
	require.Equal(t, []string{"r1"}, h.status().Tracked)
}

func TestRecordsOfOneProblemAreOne(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	var problem error
	s.onExport = func() error { return problem }
	h := newHarness(t, s)
	fail := func(reason, message string) func() {
		return func() { problem = temporal.NewNonRetryableApplicationError(message, reason, nil) }
	}
	h.at(15*time.Second, fail(workflows.AuthFailed, strings.Repeat("wörter ", 100)))
	h.at(100*time.Second, fail(workflows.PathOwned, "another"))
	h.at(400*time.Second, fail(workflows.AuthFailed, "again"))
	h.at(700*time.Second, func() { problem, s.cluster = nil, "b" })
	h.run(workflows.State{Config: config(workflows.Push)}, 20*time.Minute)
	var told []string
	for _, r := range h.history() {
		if r.Problem == nil {
			told = append(told, fmt.Sprint("changed ", r.Changes.Total()))
			continue
		}
		require.Greater(t, r.Times, 1)
		require.True(t, r.Until().After(r.Time))
		require.Empty(t, r.Revision)
		require.LessOrEqual(t, len(r.Problem.Message), 300)
		told = append(told, r.Problem.Reason+" "+r.Problem.Message)
	}
	require.Equal(t, []string{"changed 1", "PathOwned another", "AuthFailed again", "changed 1"}, told)
	for _, r := range h.status().Recent {
		require.Nil(t, r.Problem, "the status shows what was changed")
	}
}

func TestRecordsAreBounded(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	n := 0
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		n++
		changes := workflows.Changes{Updated: 1000}
		for i := range 100 {
			changes.Objects = append(changes.Objects, fmt.Sprintf("customresources.%s namespace-%d/%s-%d", strings.Repeat("g", 60), i, strings.Repeat("n", 200), n))
		}
		return workflows.ApplyResult{Tree: "b", Tracked: []string{"r1"}, Changes: changes}, nil
	}
	h := newHarness(t, s) // the cluster never becomes "b", so that each tick applies
	h.run(workflows.State{Config: config(workflows.Pull)}, 20*time.Minute)
	require.Greater(t, n, 100)
	records := h.history()
	require.Len(t, records, 50)
	require.Contains(t, records[0].Changes.Objects[0], fmt.Sprintf("-%d", n))
	text, err := json.Marshal(records)
	require.NoError(t, err)
	require.Less(t, len(text), 300<<10)
	require.Len(t, h.status().Recent, 10)
	require.LessOrEqual(t, len(currentDetails(t, h)), 4096)
}
