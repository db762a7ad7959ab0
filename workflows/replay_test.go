package workflows_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// TestRecordedHistoriesReplay guards running workflows against a change of behaviour: what a real server
// recorded must still be what ClusterSync does. One history runs across updates and ends in
// continue-as-new, the next one begins with what was carried over, and one is push-pull's with a conflict that
// waits. internal/e2e records them.
func TestRecordedHistoriesReplay(t *testing.T) {
	recorded, err := filepath.Glob("testdata/*.json.gz")
	require.NoError(t, err)
	require.Len(t, recorded, 3)
	for _, path := range recorded {
		t.Run(filepath.Base(path), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
			require.NoError(t, replayer.ReplayWorkflowHistory(nil, read(t, path)))
		})
	}
}

func read(t *testing.T, path string) *history.History {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	require.NoError(t, err)
	text, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	h := new(history.History)
	require.NoError(t, protojson.Unmarshal(text, h))
	return h
}
