package workflows_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// sides stands in for the activities: two sides that are a hash each. The real ones are tested with real
// servers; here only the loop is.
type sides struct {
	cluster, branch string
	exports         int
	commits         int
	applies         []workflows.ApplyInput

	onExport func() error
	onCommit func() error
	onShare  func(workflows.CommitInput) (workflows.CommitResult, error)
	onApply  func(context.Context) (workflows.ApplyResult, error)

	lockSide
}

func (s *sides) export(context.Context, workflows.ExportInput) (workflows.ExportResult, error) {
	s.exports++
	if s.onExport != nil {
		if err := s.onExport(); err != nil {
			return workflows.ExportResult{}, err
		}
	}
	return workflows.ExportResult{Tree: s.cluster, Objects: 3, Locked: s.locked}, nil
}

func (s *sides) fetch(context.Context, workflows.FetchInput) (workflows.FetchResult, error) {
	return workflows.FetchResult{Revision: s.branch}, nil
}

func (s *sides) commit(_ context.Context, in workflows.CommitInput) (workflows.CommitResult, error) {
	s.commits++
	if s.onShare != nil {
		return s.onShare(in)
	}
	if s.onCommit != nil {
		if err := s.onCommit(); err != nil {
			return workflows.CommitResult{}, err
		}
	}
	s.branch = "commit of " + s.cluster
	return workflows.CommitResult{Revision: s.branch, Tree: s.cluster, Changes: workflows.Changes{Updated: 1, Objects: []string{"services shop/cart"}}}, nil
}

func (s *sides) apply(ctx context.Context, in workflows.ApplyInput) (workflows.ApplyResult, error) {
	s.applies = append(s.applies, in)
	if s.onApply != nil {
		return s.onApply(ctx)
	}
	s.cluster = "state of " + in.Revision
	return workflows.ApplyResult{Tree: s.cluster, Tracked: []string{in.Revision}, Changes: workflows.Changes{Added: 2}}, nil
}

type harness struct {
	*testsuite.TestWorkflowEnvironment
	t     *testing.T
	sides *sides
}

func newHarness(t *testing.T, s *sides) *harness {
	h := newHarnessWith(t, map[string]any{
		workflows.ExportActivity: s.export, workflows.FetchActivity: s.fetch,
		workflows.CommitActivity: s.commit, workflows.ApplyActivity: s.apply,
		workflows.LockActivity: s.lock,
	})
	h.sides = s
	return h
}

// newHarnessWith runs these activities.
func newHarnessWith(t *testing.T, activities map[string]any) *harness {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(20 * time.Second)
	env.SetWorkerOptions(worker.Options{
		MaxHeartbeatThrottleInterval: 10 * time.Millisecond,
		// A busy machine may keep the workflow from running for longer than the default of a second.
		DeadlockDetectionTimeout: time.Minute,
	})
	env.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
	for name, run := range activities {
		env.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: name})
	}
	return &harness{TestWorkflowEnvironment: env, t: t}
}

func config(strategy workflows.Strategy) workflows.Config {
	return workflows.Config{
		Cluster: "primary", ClusterUID: "uid", Repository: "https://git.example.com/demo.git", Branch: "main", Path: ".",
		Strategy: strategy, IgnoredNamespaces: workflows.DefaultIgnoredNamespaces(), Interval: metav1.Duration{Duration: 10 * time.Second}, Secrets: workflows.SecretsExclude,
	}
}

// run lets the workflow live for a while of its own time and cancels it then.
func (h *harness) run(state workflows.State, lifetime time.Duration) {
	h.RegisterDelayedCallback(h.CancelWorkflow, lifetime)
	h.ExecuteWorkflow(workflows.WorkflowType, state)
	require.True(h.t, h.IsWorkflowCompleted())
	require.True(h.t, temporal.IsCanceledError(errors.Unwrap(h.GetWorkflowError())), "%v", h.GetWorkflowError())
}

func (h *harness) at(when time.Duration, do func()) { h.RegisterDelayedCallback(do, when) }

func (h *harness) status() workflows.Status {
	h.t.Helper()
	answer, err := h.QueryWorkflow(workflows.StatusQuery)
	require.NoError(h.t, err)
	var status workflows.Status
	require.NoError(h.t, answer.Get(&status))
	return status
}

// update sends an update and gives its outcome to then.
func (h *harness) update(name string, then func(workflows.Status, error), args ...any) {
	h.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
		OnAccept: func() {},
		OnReject: func(err error) { then(workflows.Status{}, err) },
		OnComplete: func(result any, err error) {
			status, _ := result.(workflows.Status)
			then(status, err)
		},
	}, args...)
}

func TestIdleTicksRunOnlyExportAndFetch(t *testing.T) {
	s := &sides{cluster: "a"}
	h := newHarness(t, s)
	h.run(workflows.State{Config: config(workflows.Push)}, 65*time.Second)
	require.Equal(t, 7, s.exports)
	require.Equal(t, 1, s.commits)
	require.Empty(t, s.applies)
	status := h.status()
	require.Equal(t, workflows.InSync, status.State)
	require.Equal(t, "commit of a", status.Revision)
	require.Zero(t, status.LagSeconds)
	require.Len(t, status.Recent, 1)
}

func TestPushOverwritesManualEditInGit(t *testing.T) {
	s := &sides{cluster: "a"}
	h := newHarness(t, s)
	h.at(25*time.Second, func() { s.branch = "edited by hand" })
	h.run(workflows.State{Config: config(workflows.Push)}, 45*time.Second)
	require.Equal(t, 2, s.commits)
	require.Equal(t, "commit of a", s.branch)
}

func TestPullRestoresDrift(t *testing.T) {
	s := &sides{cluster: "old", branch: "r1"}
	h := newHarness(t, s)
	h.at(25*time.Second, func() { s.cluster = "edited by hand" })
	h.run(workflows.State{Config: config(workflows.Pull)}, 45*time.Second)
	require.Len(t, s.applies, 2)
	require.Empty(t, s.applies[0].Tracked)
	require.Equal(t, []string{"r1"}, s.applies[1].Tracked)
	require.Equal(t, "state of r1", s.cluster)
	require.Zero(t, s.commits)
}

func TestPullWithoutBranchIsBlockedAndHealsByItself(t *testing.T) {
	s := &sides{cluster: "a"}
	h := newHarness(t, s)
	h.at(5*time.Second, func() {
		status := h.status()
		require.Equal(t, workflows.Blocked, status.State)
		require.Equal(t, workflows.BranchNotFound, status.Reason)
		require.Contains(t, status.Message, `branch "main"`)
		s.branch = "r1"
	})
	h.run(workflows.State{Config: config(workflows.Pull)}, 3*time.Minute)
	require.Equal(t, workflows.InSync, h.status().State)
}

func TestStrategyNoneRunsNothing(t *testing.T) {
	s := &sides{}
	h := newHarness(t, s)
	h.SetOnTimerScheduledListener(func(string, time.Duration) { t.Error("a timer was scheduled") })
	h.run(workflows.State{Config: config(workflows.None)}, time.Hour)
	require.Zero(t, s.exports)
	require.Equal(t, workflows.Stopped, h.status().State)
}

func TestStrategyChangesByUpdateAndBySignal(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	h := newHarness(t, s)
	var answered workflows.Status
	h.at(time.Second, func() {
		h.update(workflows.SetStrategyMessage, func(status workflows.Status, err error) {
			require.NoError(t, err)
			answered = status
		}, workflows.SetStrategy{Strategy: workflows.Push})
	})
	h.at(30*time.Second, func() {
		h.SignalWorkflow(workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: workflows.Pull})
	})
	h.at(60*time.Second, func() {
		h.SignalWorkflow(workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: "sideways"})
	})
	h.run(workflows.State{Config: config(workflows.None)}, 90*time.Second)
	require.Equal(t, workflows.Push, answered.Strategy)
	require.Equal(t, 1, s.commits)
	require.Len(t, s.applies, 1)
	require.Equal(t, workflows.Pull, h.status().Strategy)
}

func TestMessagesThatMakeNoSenseAreRejected(t *testing.T) {
	for name, c := range map[string]struct {
		message string
		args    []any
		says    string
	}{
		"adopt for push":   {workflows.SetStrategyMessage, []any{workflows.SetStrategy{Strategy: workflows.Push, Adopt: workflows.AdoptGit}}, "goes with strategy push-pull, not with push"},
		"adopt of neither": {workflows.SetStrategyMessage, []any{workflows.SetStrategy{Strategy: workflows.PushPull, Adopt: "both"}}, `adopted, not "both"`},
		"unknown strategy": {workflows.SetStrategyMessage, []any{workflows.SetStrategy{Strategy: "sideways"}}, "use none, push, pull or push-pull"},
		"namespace":        {workflows.SetIgnoredNamespacesMessage, []any{workflows.SetIgnoredNamespaces{Namespaces: []string{"a/b"}}}, `"a/b" is not a namespace`},
		"sync of none":     {workflows.SyncNowMessage, nil, "strategy is none"},
		"approve nothing":  {workflows.ApproveMessage, []any{workflows.Approve{Digest: "d"}}, "no deletions"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, &sides{})
			var rejected error
			h.at(time.Second, func() {
				h.update(c.message, func(_ workflows.Status, err error) { rejected = err }, c.args...)
			})
			h.run(workflows.State{Config: config(workflows.None)}, 5*time.Second)
			require.ErrorContains(t, rejected, c.says)
		})
	}
}

func TestPauseStopsAndResumeSyncsAtOnce(t *testing.T) {
	s := &sides{cluster: "a"}
	h := newHarness(t, s)
	var paused int
	h.at(15*time.Second, func() { h.SignalWorkflow(workflows.PauseMessage, nil) })
	h.at(20*time.Second, func() {
		require.Equal(t, workflows.Paused, h.status().State)
		paused = s.exports
		s.cluster = "b"
	})
	h.at(10*time.Minute, func() {
		require.Equal(t, paused, s.exports)
		h.update(workflows.ResumeMessage, func(_ workflows.Status, err error) { require.NoError(t, err) })
	})
	h.run(workflows.State{Config: config(workflows.Push)}, 10*time.Minute+time.Second)
	require.Equal(t, "commit of b", s.branch)
}

func TestSyncNowAnswersAfterATickThatBeganLater(t *testing.T) {
	s := &sides{cluster: "a"}
	h := newHarness(t, s)
	var answered workflows.Status
	h.at(13*time.Second, func() {
		s.cluster = "b"
		h.update(workflows.SyncNowMessage, func(status workflows.Status, err error) {
			require.NoError(t, err)
			answered = status
		})
	})
	h.run(workflows.State{Config: config(workflows.Push)}, 15*time.Second)
	require.Equal(t, "commit of b", answered.Revision)
	require.Equal(t, workflows.InSync, answered.State)
}

func TestActivityErrorsAreShownAndTriedAgain(t *testing.T) {
	for reason, want := range map[string]workflows.SyncState{
		workflows.RemoteUnreachable:  workflows.Degraded,
		workflows.ClusterUnreachable: workflows.Degraded,
		workflows.AuthFailed:         workflows.Blocked,
		workflows.ClusterMismatch:    workflows.Blocked,
		workflows.RepositoryNotEmpty: workflows.Blocked,
	} {
		t.Run(reason, func(t *testing.T) {
			s := &sides{cluster: "a"}
			broken := true
			s.onCommit = func() error {
				if broken {
					return temporal.NewNonRetryableApplicationError("what happened and what to do", reason, nil)
				}
				return nil
			}
			h := newHarness(t, s)
			h.at(5*time.Second, func() {
				status := h.status()
				require.Equal(t, want, status.State)
				shown := reason
				if reason == workflows.RepositoryNotEmpty {
					shown = workflows.InitialSyncCanceled
				}
				require.Equal(t, shown, status.Reason)
				require.Equal(t, "what happened and what to do", status.Message)
				require.EqualValues(t, 5, status.LagSeconds)
				broken = false
			})
			h.run(workflows.State{Config: config(workflows.Push)}, 2*time.Minute)
			require.Equal(t, workflows.InSync, h.status().State)
			require.Zero(t, h.status().LagSeconds)
		})
	}
}

func TestFailingTicksBackOff(t *testing.T) {
	s := &sides{onExport: func() error {
		return temporal.NewNonRetryableApplicationError("down", workflows.ClusterUnreachable, nil)
	}}
	h := newHarness(t, s)
	h.run(workflows.State{Config: config(workflows.Push)}, 10*time.Minute)
	require.Greater(t, s.exports, 9, "it goes on trying once a minute")
	require.Less(t, s.exports, 15)
}

func TestLosingARaceForTheBranchPlansAgainAtOnce(t *testing.T) {
	s := &sides{cluster: "a"}
	races := 2
	s.onCommit = func() error {
		if races--; races >= 0 {
			return temporal.NewNonRetryableApplicationError("moved", workflows.RemoteMoved, nil)
		}
		return nil
	}
	h := newHarness(t, s)
	h.run(workflows.State{Config: config(workflows.Push)}, time.Second)
	require.Equal(t, 3, s.commits)
	require.Equal(t, workflows.InSync, h.status().State)
}

func TestFailedObjectsDegradeAndAreRetriedWithoutAChange(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		result := workflows.ApplyResult{Tree: s.cluster, Tracked: []string{"r1"}}
		if len(s.applies) < 3 {
			result.Failed = []workflows.Failure{{Object: "deployments.apps shop/cart", File: "cart.yaml:1", Message: "refused"}}
			result.FailedCount, result.RetryAfter = 1, 5*time.Second
		}
		return result, nil
	}
	h := newHarness(t, s)
	h.at(2*time.Second, func() {
		status := h.status()
		require.Equal(t, workflows.Degraded, status.State)
		require.Equal(t, workflows.ObjectsFailed, status.Reason)
		require.Equal(t, "cart.yaml:1", status.Failed[0].File)
		require.Nil(t, status.LastSyncTime)
	})
	h.run(workflows.State{Config: config(workflows.Pull)}, time.Minute)
	require.Len(t, s.applies, 3)
	require.Zero(t, s.applies[1].Settled, "a settled point with failures proves nothing about single objects")
	require.Equal(t, workflows.InSync, h.status().State)
}

func TestMassDeletionWaitsForApprovalOfExactlyThatSet(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		result := workflows.ApplyResult{Tree: s.cluster, Tracked: []string{"r0", "r1"}}
		if s.applies[len(s.applies)-1].Approved != "d1" {
			result.Withheld = workflows.Pending{Digest: "d1", Count: 40, Reason: "it is 40 of 41 objects"}
		}
		return result, nil
	}
	h := newHarness(t, s)
	h.at(25*time.Second, func() {
		require.Len(t, s.applies, 1)
		require.Equal(t, workflows.Blocked, h.status().State)
		require.Equal(t, workflows.MassDeletion, h.status().Reason)
		require.Equal(t, 40, h.status().PendingDeletions)
		h.update(workflows.ApproveMessage, func(_ workflows.Status, err error) {
			require.ErrorContains(t, err, "look at the status again")
		}, workflows.Approve{Digest: "d0"})
		h.update(workflows.ApproveMessage, func(_ workflows.Status, err error) { require.NoError(t, err) },
			workflows.Approve{Digest: h.status().Pending.Digest})
	})
	h.run(workflows.State{Config: config(workflows.Pull)}, 45*time.Second)
	require.Len(t, s.applies, 2)
	require.Equal(t, workflows.InSync, h.status().State)
}

func TestARevisionIsTrackedThoughItsApplyNeverEnds(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		revision := s.applies[len(s.applies)-1].Revision
		if revision == "r2" {
			return workflows.ApplyResult{}, errors.New("killed half-way")
		}
		return workflows.ApplyResult{Tree: s.cluster, Tracked: []string{revision}}, nil
	}
	h := newHarness(t, s)
	h.at(15*time.Second, func() { s.branch = "r2" })
	h.at(35*time.Second, func() { s.branch = "r3" })
	h.run(workflows.State{Config: config(workflows.Pull)}, 2*time.Minute)
	last := s.applies[len(s.applies)-1]
	require.Equal(t, "r3", last.Revision)
	require.Equal(t, []string{"r1", "r2"}, last.Tracked, "what r2 brought may have to go again")
}

func TestWhatWaitsGoesOnWaitingWhileNobodyCanTell(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		result := workflows.ApplyResult{Tree: s.cluster, Tracked: []string{"r0", s.branch}}
		switch in := s.applies[len(s.applies)-1]; {
		case s.branch == "r2":
			result.Undecided = true
		case in.Approved != "d1":
			result.Withheld = workflows.Pending{Digest: "d1", Count: 40, Reason: "it is 40 of 41 objects"}
		}
		return result, nil
	}
	h := newHarness(t, s)
	h.at(15*time.Second, func() { s.branch = "r2" })
	h.at(35*time.Second, func() {
		last := s.applies[len(s.applies)-1]
		require.Equal(t, "r2", last.Revision)
		require.True(t, last.Waiting)
		require.Equal(t, workflows.MassDeletion, h.status().Reason)
		require.Equal(t, 40, h.status().PendingDeletions)
		h.update(workflows.ApproveMessage, func(_ workflows.Status, err error) { require.NoError(t, err) }, workflows.Approve{Digest: "d1"})
	})
	h.at(55*time.Second, func() {
		require.Equal(t, 40, h.status().PendingDeletions)
		s.branch = "r3"
	})
	h.run(workflows.State{Config: config(workflows.Pull)}, 75*time.Second)
	require.Equal(t, "d1", s.applies[len(s.applies)-1].Approved, "the approval is kept until it can be followed")
	require.Equal(t, workflows.InSync, h.status().State)
}

func TestTheFirstStraysAreApprovedOncePerScope(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		in := s.applies[len(s.applies)-1]
		result := workflows.ApplyResult{Tree: s.cluster, Tracked: []string{in.Revision}}
		if in.Mirrored = in.Mirrored || in.Approved == "d1"; in.Mirrored {
			result.Mirrored = true
		} else {
			result.Withheld = workflows.Pending{Digest: "d1", Count: 1, Strays: true, Reason: "Git never held some of them"}
		}
		return result, nil
	}
	h := newHarness(t, s)
	h.at(15*time.Second, func() {
		require.Equal(t, workflows.MirrorDeletion, h.status().Reason)
		require.Equal(t, workflows.Blocked, h.status().State)
		h.update(workflows.ApproveMessage, func(_ workflows.Status, err error) { require.NoError(t, err) }, workflows.Approve{Digest: "d1"})
	})
	h.at(35*time.Second, func() {
		require.Equal(t, workflows.InSync, h.status().State)
		s.cluster = "b" // with another stray
	})
	h.at(55*time.Second, func() {
		require.True(t, s.applies[len(s.applies)-1].Mirrored)
		require.Equal(t, workflows.InSync, h.status().State)
		h.SignalWorkflow(workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: []string{"shop"}})
	})
	c := config(workflows.Pull)
	c.Prune = workflows.PruneMirror
	h.run(workflows.State{Config: c}, 75*time.Second)
	require.False(t, s.applies[len(s.applies)-1].Mirrored)
	require.Equal(t, workflows.MirrorDeletion, h.status().Reason)
}

func TestWhatIsLeftInTheClusterIsToldAndNoFailure(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	kept := []workflows.Kept{{Path: "namespaces/shop/configmaps/old.yaml", Reason: "pull deletes nothing"}}
	s.onApply = func(context.Context) (workflows.ApplyResult, error) {
		return workflows.ApplyResult{Tree: s.cluster, Tracked: []string{s.branch}, Kept: kept, KeptCount: 1}, nil
	}
	h := newHarness(t, s)
	h.at(15*time.Second, func() {
		require.Equal(t, workflows.InSync, h.status().State)
		require.Contains(t, h.status().Message, "no longer declares them: 1")
		require.Equal(t, []workflows.Failure{{Object: "configmaps shop/old", Message: "pull deletes nothing"}}, h.status().Kept)
		s.branch = "r2"
	})
	h.run(workflows.State{Config: config(workflows.Pull)}, 35*time.Second)
	require.Equal(t, kept, s.applies[1].Kept)
	require.Equal(t, 1, s.applies[1].KeptCount)
	require.Contains(t, currentDetails(t, h), "Left in the cluster though not in Git: 1")
}

func TestChangingTheRulesInterruptsARunningApply(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	s.onApply = func(ctx context.Context) (workflows.ApplyResult, error) {
		if len(s.applies) > 1 {
			return workflows.ApplyResult{Tree: "a"}, nil
		}
		for ctx.Err() == nil {
			activity.RecordHeartbeat(ctx)
		}
		return workflows.ApplyResult{}, ctx.Err()
	}
	h := newHarness(t, s)
	h.at(time.Second, func() {
		h.SignalWorkflow(workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: []string{"shop"}})
	})
	h.run(workflows.State{Config: config(workflows.Pull)}, 30*time.Second)
	require.Len(t, s.applies, 2)
	require.Equal(t, []string{"shop"}, s.applies[1].Config.IgnoredNamespaces)
	require.Equal(t, workflows.InSync, h.status().State)
}

func TestContinueAsNewCarriesStateAndMessages(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	h := newHarness(t, s)
	h.at(25*time.Second, func() {
		h.SetContinueAsNewSuggested(true)
		h.SignalWorkflow(workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: []string{"shop"}})
		h.SignalWorkflow(workflows.PauseMessage, nil)
	})
	h.ExecuteWorkflow(workflows.WorkflowType, workflows.State{Config: config(workflows.Pull)})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried workflows.State
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &carried))
	require.Equal(t, []string{"shop"}, carried.Config.IgnoredNamespaces)
	require.True(t, carried.Paused)
	require.Equal(t, "r1", carried.Settled.Revision)
	require.Equal(t, []string{"r1"}, carried.Tracked)
	require.Positive(t, carried.Ticks)

	again := newHarness(t, s)
	again.run(carried, time.Minute)
	require.Equal(t, workflows.Paused, again.status().State)
	require.Equal(t, "r1", again.status().Revision)
}

func TestTheWebUISeesThePageAndADescriptionOfEveryMessage(t *testing.T) {
	h := newHarness(t, &sides{cluster: "a", branch: "r1"})
	h.run(workflows.State{Config: config(workflows.Pull)}, 5*time.Second)
	metadata := webUIMetadata(t, h)
	require.True(t, strings.HasPrefix(metadata.GetCurrentDetails(), "## InSync: Settled\n\n`primary`: cluster and Git agree\n"), metadata.GetCurrentDetails())

	messages := []string{
		workflows.ApproveMessage, workflows.PauseMessage, workflows.ResumeMessage,
		workflows.SetIgnoredNamespacesMessage, workflows.SetStrategyMessage, workflows.SyncNowMessage,
	}
	described := func(list []*sdkpb.WorkflowInteractionDefinition) []string {
		var names []string
		for _, one := range list {
			if !strings.HasPrefix(one.GetName(), "__") { // those of the SDK
				require.NotEmpty(t, one.GetDescription(), one.GetName())
				names = append(names, one.GetName())
			}
		}
		return names
	}
	definition := metadata.GetDefinition()
	require.ElementsMatch(t, messages, described(definition.GetUpdateDefinitions()))
	require.ElementsMatch(t, messages, described(definition.GetSignalDefinitions()))
	require.ElementsMatch(t, []string{workflows.StatusQuery, workflows.HistoryQuery, workflows.AgreementQuery}, described(definition.GetQueryDefinitions()))
}

// currentDetails reads the page as the Web UI does.
func currentDetails(t *testing.T, h *harness) string { return webUIMetadata(t, h).GetCurrentDetails() }

func webUIMetadata(t *testing.T, h *harness) *sdkpb.WorkflowMetadata {
	t.Helper()
	answer, err := h.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	metadata := new(sdkpb.WorkflowMetadata)
	require.NoError(t, answer.Get(metadata))
	return metadata
}
