package e2e

import (
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// record names a folder to write the histories of TestMessagesSurviveContinueAsNew and TestAHeldConflictWaitsAndHoldsUpNothing
// to. What is committed in workflows/testdata was written so:
// go test ./internal/e2e -run 'ContinueAsNew|HeldConflict' -record ../../workflows/testdata
var record = flag.String("record", "", "`folder` to record histories to")

// TestMessagesSurviveContinueAsNew runs ClusterSync on the real server, with stand-ins for the activities
// so that thousands of ticks' worth of events pass in seconds, under a rain of messages.
func TestMessagesSurviveContinueAsNew(t *testing.T) {
	const name = "rain"
	w := sdkworker.New(temporal, workflows.WorkflowID(name), sdkworker.Options{})
	w.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
	state := 0
	for activityName, run := range map[string]any{
		workflows.ExportActivity: func(context.Context, workflows.ExportInput) (workflows.ExportResult, error) {
			state++
			return workflows.ExportResult{Tree: fmt.Sprintf("tree-%d", state/5), Objects: state}, nil
		},
		workflows.FetchActivity: func(context.Context, workflows.FetchInput) (workflows.FetchResult, error) {
			return workflows.FetchResult{Revision: "r0"}, nil
		},
		workflows.CommitActivity: func(_ context.Context, in workflows.CommitInput) (workflows.CommitResult, error) {
			return workflows.CommitResult{Revision: "r0", Tree: fmt.Sprintf("tree-%d", state/5), Changes: workflows.Changes{Updated: 1}}, nil
		},
		workflows.ApplyActivity: func(_ context.Context, in workflows.ApplyInput) (workflows.ApplyResult, error) {
			return workflows.ApplyResult{Tree: fmt.Sprintf("tree-%d", state/5), Tracked: []string{in.Revision}}, nil
		},
	} {
		w.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: activityName})
	}
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	config := workflows.Config{
		Cluster: name, ClusterUID: "uid", Repository: "https://git.example.com/demo.git", Branch: "main", Path: ".",
		Strategy: workflows.Push, Interval: metav1.Duration{Duration: 50 * time.Millisecond}, Secrets: workflows.SecretsExclude,
	}
	first, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: workflows.WorkflowID(name), TaskQueue: workflows.WorkflowID(name), TypedSearchAttributes: workflows.InitialAttributes(config),
	}, workflows.WorkflowType, workflows.State{Config: config})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = temporal.TerminateWorkflow(context.Background(), workflows.WorkflowID(name), "", "the test has ended")
	})

	update(t, name, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.Pull})
	sent, answered := 0, 0
	for run := first.GetRunID(); run == first.GetRunID(); {
		for range 20 {
			sent++
			require.NoError(t, temporal.SignalWorkflow(t.Context(), workflows.WorkflowID(name), "", workflows.SetIgnoredNamespacesMessage,
				workflows.SetIgnoredNamespaces{Namespaces: []string{fmt.Sprintf("ns-%d", sent)}}))
		}
		if s := update(t, name, workflows.SyncNowMessage); s.Cluster == name {
			answered++
		}
		d, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID(name), "")
		require.NoError(t, err)
		run = d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	}
	require.Positive(t, answered)
	s := syncNow(t, name)
	require.Equal(t, []string{fmt.Sprintf("ns-%d", sent)}, s.IgnoredNamespaces, "the last message counts")
	require.Equal(t, workflows.Pull, s.Strategy)

	before := fetchHistory(t, name, first.GetRunID())
	last := before.GetEvents()[len(before.GetEvents())-1]
	require.Equal(t, enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW, last.GetEventType())
	require.Less(t, len(before.GetEvents()), 6000, "history is bounded")
	after := fetchHistory(t, name, "")
	for file, h := range map[string]*history.History{"before-continue-as-new.json.gz": before, "after-continue-as-new.json.gz": after} {
		replays(t, file, h)
	}
}

// replays makes sure that a history can be replayed, and writes it to a file when that is asked for.
func replays(t *testing.T, file string, h *history.History) {
	t.Helper()
	replayer := sdkworker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
	require.NoError(t, replayer.ReplayWorkflowHistory(nil, h))
	if *record != "" {
		recordHistory(t, filepath.Join(*record, file), h)
	}
}

func recordHistory(t *testing.T, path string, h *history.History) {
	t.Helper()
	text, err := protojson.Marshal(h)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.Create(path)
	require.NoError(t, err)
	packed := gzip.NewWriter(f)
	_, err = packed.Write(text)
	require.NoError(t, errors.Join(err, packed.Close(), f.Close()))
}

func fetchHistory(t *testing.T, name, run string) *history.History {
	t.Helper()
	h := new(history.History)
	events := temporal.GetWorkflowHistory(t.Context(), workflows.WorkflowID(name), run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		h.Events = append(h.Events, event)
	}
	return h
}
