package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestWhatChangesWhileTemporalIsDownArrivesOnceItIsBack(t *testing.T) {
	startWorker(t, "down-push", primary)
	startWorker(t, "down-pull", standby)
	p := newPair(t, "down")
	before := p.commits()

	server.Kill()
	value := ""
	for down := time.NewTicker(4 * time.Second); p.values < 6; <-down.C {
		value = p.change()
	}
	require.LessOrEqual(t, p.commits(), before+1, "but for what was under way, nothing goes on without Temporal")
	require.NoError(t, server.Again(t.Context()))
	back := time.Now()
	p.arrives(value)
	t.Logf("all had arrived %s after Temporal was back", time.Since(back).Round(time.Second))

	require.LessOrEqual(t, p.commits(), before+2, "one for what was under way, and one for all that came then")
	requireNoCommitDoubled(t, p.repo, p.push, git(t, p.repo, "rev-list", "--max-parents=0", "main"))
	for _, name := range []string{p.push, p.pull} {
		requireEachActivityOnce(t, requireSoundHistory(t, name))
	}
}

// requireEachActivityOnce makes sure that every activity that was begun has one end.
func requireEachActivityOnce(t *testing.T, events []*history.HistoryEvent) {
	t.Helper()
	ends := map[int64]int{}
	for _, event := range events {
		for _, scheduled := range []int64{
			event.GetActivityTaskCompletedEventAttributes().GetScheduledEventId(), event.GetActivityTaskFailedEventAttributes().GetScheduledEventId(),
			event.GetActivityTaskTimedOutEventAttributes().GetScheduledEventId(), event.GetActivityTaskCanceledEventAttributes().GetScheduledEventId(),
		} {
			if scheduled != 0 {
				ends[scheduled]++
				require.Equal(t, 1, ends[scheduled], event.String())
			}
		}
	}
	require.NotEmpty(t, ends)
}

func TestATemporalDatabaseFromBeforeUndoesAndDeletesNothing(t *testing.T) {
	startWorker(t, "restored-push", primary)
	pulling := startWorker(t, "restored-pull", standby)
	p := newPair(t, "restored")
	// The same objects are exchanged with another repository.
	const both = "restored-both"
	require.NoError(t, host.AddRepo(t.Context(), both, token))
	startWorker(t, both, primary)
	enroll(t, both, primary, both, workflows.PushPull, "--secrets", "exclude", "--selector", "acs=restored")
	exchanged := func() string { return git(t, both, "rev-parse", "main") }
	p.create("early")
	p.changeArrives()
	reaches(t, both, inSync)

	database, backup := filepath.Join(server.Dir, "temporal"), filepath.Join(t.TempDir(), "temporal")
	server.Kill()
	require.NoError(t, os.CopyFS(backup, os.DirFS(database)))
	require.NoError(t, server.Again(t.Context()))
	p.changeArrives()
	p.create("later")
	p.create("gone-meanwhile")
	p.changeArrives()
	p.remove("early")
	p.changeArrives()
	pulling.kill()
	p.remove("gone-meanwhile")
	eventually(t, func() bool {
		return !strings.Contains(git(t, p.repo, "ls-tree", "-r", "--name-only", "main"), "gone-meanwhile")
	},
		func() string { return "the deletion does not arrive in Git" })

	eventually(t, func() bool {
		return git(t, both, "rev-parse", "main^{tree}:namespaces") == git(t, p.repo, "rev-parse", "main^{tree}:namespaces")
	},
		func() string { return "push-pull stores something else than push" })
	reaches(t, both, func(s workflows.Status) bool { return at(exchanged())(s) })

	server.Kill()
	head, lives, exchangedHead := p.head(), p.lives(), exchanged()
	require.Contains(t, lives, "later")
	require.NotContains(t, lives, "early")
	require.NoError(t, os.RemoveAll(database))
	require.NoError(t, os.CopyFS(database, os.DirFS(backup)))
	require.NoError(t, server.Again(t.Context()))
	require.NoError(t, pulling.start())
	p.agree()
	s := reaches(t, both, func(s workflows.Status) bool { return at(exchangedHead)(s) })
	require.Empty(t, s.Conflicts)
	require.Equal(t, head, p.head(), "what is in Git already is not committed again")
	require.Equal(t, exchangedHead, exchanged())
	require.Equal(t, lives, p.lives(), "nothing in the standby was deleted or written")
	require.Contains(t, lives, "gone-meanwhile", "an object that the restored state has never heard of stays")

	// It goes on from there, with deletions, too.
	p.remove("later")
	p.changeArrives()
	eventually(t, func() bool { return p.inStandby("later") == nil }, func() string { return "the deletion does not arrive" })
	require.Equal(t, head, git(t, p.repo, "merge-base", head, "main"))
	for _, name := range []string{p.push, p.pull, both} {
		requireSoundHistory(t, name)
	}
}

func TestAResetOfTheWorkflowGoesOnFromThereAndKeepsTheMessages(t *testing.T) {
	startWorker(t, "reset-push", primary)
	startWorker(t, "reset-pull", standby)
	p := newPair(t, "reset")
	early := map[string]int64{p.push: lastStep(t, p.push), p.pull: lastStep(t, p.pull)}
	p.create("later")
	p.changeArrives()
	ignored := []string{"kube-system", "kube-public", "kube-node-lease", "somewhere-else"}
	for _, name := range []string{p.push, p.pull} {
		_, err := temporal.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: workflows.WorkflowID(name), UpdateName: workflows.SetIgnoredNamespacesMessage,
			Args: []any{workflows.SetIgnoredNamespaces{Namespaces: ignored}}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		require.NoError(t, err)
	}
	p.changeArrives()
	head, lives := p.head(), p.lives()

	for _, name := range []string{p.push, p.pull} {
		d, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID(name), "")
		require.NoError(t, err)
		reset, err := temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: client.DefaultNamespace, Reason: "as from the Web UI", RequestId: t.Name() + name,
			WorkflowExecution:         &common.WorkflowExecution{WorkflowId: workflows.WorkflowID(name), RunId: d.GetWorkflowExecutionInfo().GetExecution().GetRunId()},
			WorkflowTaskFinishEventId: early[name],
		})
		require.NoError(t, err)
		require.NotEqual(t, d.GetWorkflowExecutionInfo().GetExecution().GetRunId(), reset.GetRunId())
	}
	for _, name := range []string{p.push, p.pull} {
		reaches(t, name, func(s workflows.Status) bool {
			return at(head)(s) && len(s.IgnoredNamespaces) == len(ignored)
		})
	}
	require.Equal(t, head, p.head(), "what is in Git already is not committed again")
	require.Equal(t, lives, p.lives(), "nothing in the standby was deleted or written")
	p.remove("later")
	p.changeArrives()
	eventually(t, func() bool { return p.inStandby("later") == nil }, func() string { return "the deletion does not arrive" })
}

// lastStep is the last event of an enrolment that it can be reset to.
func lastStep(t *testing.T, name string) (last int64) {
	t.Helper()
	events := temporal.GetWorkflowHistory(t.Context(), workflows.WorkflowID(name), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			last = event.GetEventId()
		}
	}
	return last
}
