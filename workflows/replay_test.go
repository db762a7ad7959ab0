package workflows_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// TestRecordedHistoriesReplay guards running workflows against a change of behaviour: what a real server
// recorded must still be what ClusterSync does. One history runs across updates and ends in
// continue-as-new, the other begins with what was carried over.
func TestRecordedHistoriesReplay(t *testing.T) {
	recorded, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.Len(t, recorded, 2)
	for _, file := range recorded {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, file))
		})
	}
}
