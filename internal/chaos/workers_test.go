package chaos

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestOneOfTwoWorkersGoesOnWhenTheOtherIsKilled(t *testing.T) {
	workers := []*worker{startWorker(t, "twin-push", primary), startWorker(t, "twin-push", primary)}
	startWorker(t, "twin-pull", standby)
	p := newPair(t, "twin")
	for i := range workers {
		require.True(t, workers[i].kill())
		value := p.change()
		p.arrives(value)
		require.NoError(t, workers[i].start())
	}
	requireNoCommitDoubled(t, p.repo, p.push, git(t, p.repo, "rev-list", "--max-parents=0", "main"))
	requireEachActivityOnce(t, requireSoundHistory(t, p.push))
}

// TestTheCurrentVersionDoesTheWorkWhileAnotherRunsBesideIt upgrades an enrolment from a worker without versioning to
// one with it, to a newer one, and back.
func TestTheCurrentVersionDoesTheWorkWhileAnotherRunsBesideIt(t *testing.T) {
	plain := startWorker(t, "versions-push", primary)
	startWorker(t, "versions-pull", standby)
	p := newPair(t, "versions")
	versions := map[string]*worker{}
	for _, build := range []string{"old", "new"} {
		versions[build] = startWorker(t, p.push, primary, "--deployment-name", "sync-of-primary", "--build-id", build)
	}
	deployment := temporal.WorkerDeploymentClient().GetHandle("sync-of-primary")
	makeCurrent := func(build string) {
		t.Helper()
		var err error
		eventually(t, func() bool { // Temporal has to have seen it first
			_, err = deployment.SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
			return err == nil
		}, func() string { return err.Error() })
		eventually(t, func() bool {
			d, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID(p.push), "")
			return err == nil && d.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId() == build
		}, func() string { return "the enrolment does not move to " + build })
	}

	p.changeArrives()
	require.Zero(t, worked(versions["old"])+worked(versions["new"]), "before one of them is the current version")
	for _, build := range []string{"old", "new", "old"} {
		makeCurrent(build)
		other := map[string]string{"old": "new", "new": "old"}[build]
		before, idle := worked(versions[build]), worked(versions[other])+worked(plain)
		p.changeArrives()
		require.Greater(t, worked(versions[build]), before, "%s works", build)
		require.LessOrEqual(t, worked(versions[other])+worked(plain), idle+2, "but for what was under way")
		idle = worked(versions[other]) + worked(plain)
		p.changeArrives()
		require.Equal(t, idle, worked(versions[other])+worked(plain), "the others don't")
	}
	plain.stop()
	versions["new"].stop()
	p.changeArrives()
	requireNoCommitDoubled(t, p.repo, p.push, git(t, p.repo, "rev-list", "--max-parents=0", "main"))
	requireSoundHistory(t, p.push)
}

// worked is how many activities a worker has ended.
func worked(w *worker) int { return strings.Count(w.log.String(), `"activity":`) }

// slowHost is the Git server behind a gate that holds requests up.
type slowHost struct {
	*stacktest.Gate
	mu      sync.Mutex
	waiting chan struct{} // closed to let requests go on; nil for none that wait
	held    chan struct{} // gets a word for each request that is held up
}

func newSlowHost(t *testing.T) *slowHost {
	h := &slowHost{Gate: stacktest.NewGate(t, host.Env["GIT_URL"], http.DefaultTransport, nil), held: make(chan struct{}, 100)}
	h.Refuse(func(r *http.Request) int {
		h.mu.Lock()
		waiting := h.waiting
		h.mu.Unlock()
		if waiting != nil {
			h.held <- struct{}{}
			select {
			case <-waiting:
			case <-r.Context().Done():
			}
		}
		return 0
	})
	t.Cleanup(h.release)
	return h
}

// hold holds requests up from now on, and returns when there is one.
func (h *slowHost) hold(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	h.waiting = make(chan struct{})
	h.mu.Unlock()
	select {
	case <-h.held:
	case <-time.After(time.Minute):
		require.Fail(t, "no request comes")
	}
}

func (h *slowHost) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting != nil {
		close(h.waiting)
		h.waiting = nil
	}
}

func TestAStoppingWorkerLetsRunningWorkEnd(t *testing.T) {
	slow := newSlowHost(t)
	w := startWorker(t, "drained-push", primary, "--stop-timeout", "1m")
	startWorker(t, "drained-pull", standby)
	p := newPair(t, "drained", "--repo", slow.URL()+"/"+strings.ToLower(t.Name())+".git")

	slow.hold(t)
	stopped := make(chan time.Duration)
	go func() { stopped <- w.stop() }()
	eventually(t, func() bool { return strings.Contains(w.log.String(), "stopping: running activities") }, w.log.String)
	select {
	case <-stopped:
		require.Fail(t, "the worker ended with a Fetch under way")
	case <-time.After(time.Second):
	}
	slow.release()
	require.Less(t, <-stopped, 30*time.Second, "it doesn't wait for longer than it has to")
	require.NotContains(t, w.log.String(), "Fetch failed")
	require.NoError(t, w.start())
	p.changeArrives()
	requireNoAttemptLost(t, requireSoundHistory(t, p.push))
}

func requireNoAttemptLost(t *testing.T, events []*history.HistoryEvent) {
	t.Helper()
	started := 0
	for _, event := range events {
		if a := event.GetActivityTaskStartedEventAttributes(); a != nil {
			started++
			require.EqualValues(t, 1, a.GetAttempt(), event.String())
		}
	}
	require.Positive(t, started)
}

func TestWorkThatOutlivesTheStopTimeoutGoesToTheNextWorker(t *testing.T) {
	slow := newSlowHost(t)
	w := startWorker(t, "cut-push", primary, "--stop-timeout", "1s")
	startWorker(t, "cut-pull", standby)
	p := newPair(t, "cut", "--repo", slow.URL()+"/"+strings.ToLower(t.Name())+".git")

	slow.hold(t)
	took := w.stop()
	require.GreaterOrEqual(t, took, time.Second, "it waits as long as it was told to")
	require.Less(t, took, 6*time.Second, "and not for longer")
	d, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID(p.push), "")
	require.NoError(t, err)
	require.Len(t, d.GetPendingActivities(), 1)
	pending := d.GetPendingActivities()[0]
	require.Equal(t, enums.PENDING_ACTIVITY_STATE_SCHEDULED, pending.GetState(), "Temporal knows at once, without a time-out: %s", pending)
	require.EqualValues(t, 2, pending.GetAttempt())
	require.Contains(t, pending.GetLastFailure().GetMessage(), "the worker was told to stop")

	slow.release()
	require.NoError(t, w.start())
	p.changeArrives()
	require.Equal(t, workflows.InSync, reaches(t, p.push, inSync).State)
}
