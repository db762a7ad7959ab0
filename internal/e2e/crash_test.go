package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// moment is a point in the life of a tick, as the workflow's history shows it.
type moment struct {
	activity string
	event    enums.EventType
}

func (m moment) String() string { return m.activity + " " + m.event.String() }

const (
	scheduled = enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
	completed = enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
)

// await follows the history of an enrolment from now on until the moment comes.
func await(t *testing.T, name string, m moment, from int64) {
	t.Helper()
	names := map[int64]string{}
	events := temporal.GetWorkflowHistory(t.Context(), workflows.WorkflowID(name), "", true, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil {
			names[event.GetEventId()] = a.GetActivityType().GetName()
		}
		if event.GetEventId() > from && event.GetEventType() == m.event && names[activityOf(event)] == m.activity {
			return
		}
	}
	require.Fail(t, "the history ended before "+m.String())
}

// activityOf is the event in which the activity of an event was scheduled.
func activityOf(event *history.HistoryEvent) int64 {
	if a := event.GetActivityTaskCompletedEventAttributes(); a != nil {
		return a.GetScheduledEventId()
	}
	return event.GetEventId()
}

// historyLength is the number of the last event.
func historyLength(t *testing.T, name string) int64 {
	t.Helper()
	d, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID(name), "")
	require.NoError(t, err)
	return d.GetWorkflowExecutionInfo().GetHistoryLength()
}

// TestAKilledWorkerLosesAndDoublesNothing kills the worker between any two activities, and in the middle
// of those that write, while changes come in.
func TestAKilledWorkerLosesAndDoublesNothing(t *testing.T) {
	outer := t // workers outlive the parts of the test
	primary, standby, repo := clusters["primary"], clusters["standby"], newRepo(t)
	newNamespace(t, primary, "crash")
	dropAfter(t, standby, "crash")
	create(t, primary, configMaps, configMap("crash", "counter", "start"))
	pushData, pullData := t.TempDir(), t.TempDir()
	pusher := startWorker(t, "crash-push", primary, pushData)
	enroll(t, "crash-push", primary, repo, workflows.Push)
	reaches(t, "crash-push", inSync)
	puller := startWorker(t, "crash-pull", standby, pullData)
	enroll(t, "crash-pull", standby, repo, workflows.Pull)
	reaches(t, "crash-pull", inSync)

	arrived := func(value string) bool {
		got := get(t, standby, configMaps, "crash", "counter")
		if got == nil {
			return false
		}
		found, _, _ := unstructured.NestedString(got.Object, "data", "key")
		return found == value
	}
	for i, m := range []moment{
		{workflows.ExportActivity, completed},
		{workflows.CommitActivity, scheduled},
		{workflows.CommitActivity, completed},
		{workflows.ApplyActivity, scheduled},
		{workflows.ApplyActivity, completed},
	} {
		t.Run(m.String(), func(t *testing.T) {
			commits := strings.Count(git(t, repo, "log", "--format=%h", "main"), "\n")
			onPull := m.activity == workflows.ApplyActivity
			enrolment := "crash-push"
			if onPull {
				enrolment = "crash-pull"
			}
			from := historyLength(t, enrolment)
			value := fmt.Sprintf("v%d", i)
			change(t, primary, configMaps, "crash", "counter", func(o *unstructured.Unstructured) {
				require.NoError(t, unstructured.SetNestedField(o.Object, value, "data", "key"))
			})
			await(t, enrolment, m, from)
			if onPull {
				puller.kill()
				puller = startWorker(outer, "crash-pull", standby, pullData)
			} else {
				pusher.kill()
				pusher = startWorker(outer, "crash-push", primary, pushData)
			}
			eventually(t, func() bool { return arrived(value) }, func() string { return tail(pusher.log.String() + puller.log.String()) })
			reaches(t, "crash-push", inSync)
			require.Equal(t, commits+1, strings.Count(git(t, repo, "log", "--format=%h", "main"), "\n"), "one change, one commit")
			require.Contains(t, git(t, repo, "log", "-1", "--format=%s"), "1 updated")
		})
	}
	requireSameObjects(t, repo)
}

// requireSameObjects compares what Git holds with a fresh push of the standby.
func requireSameObjects(t *testing.T, repo string) {
	t.Helper()
	again := repo + "-again"
	require.NoError(t, stack.AddRepo(t.Context(), again, token))
	startWorker(t, "crash-check", clusters["standby"], t.TempDir())
	enroll(t, "crash-check", clusters["standby"], again, workflows.Push)
	reaches(t, "crash-check", inSync)
	require.Equal(t,
		git(t, repo, "ls-tree", "-r", "main:namespaces/crash"),
		git(t, again, "ls-tree", "-r", "main:namespaces/crash"))
}
