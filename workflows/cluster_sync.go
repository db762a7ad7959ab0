package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterSync keeps one cluster and one branch in step until it is canceled. It is started with a State
// that holds only a Config; later runs get what the one before carried over. No error of an activity
// ends it: the error is shown in the status and the work is tried again at the next tick.
func ClusterSync(ctx workflow.Context, state State) error {
	s := &clusterSync{state: state, interrupt: func() {}}
	if err := s.registerMessages(ctx); err != nil {
		return err
	}
	workflow.Go(ctx, s.listen)
	err := s.live(ctx)
	if temporal.IsCanceledError(err) {
		s.unlockAtEnd(ctx)
	}
	return err
}

// live goes on until the enrolment ends, or a fresh history has to begin.
func (s *clusterSync) live(ctx workflow.Context) error {
	for {
		s.wake = false
		s.unlock(ctx)
		if s.state.running() {
			s.tick(ctx)
		}
		if err := s.publish(ctx); err != nil {
			return err
		}
		if continueSuggested(ctx) {
			return s.continueAsNew(ctx)
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
}

// clusterSync is one run of ClusterSync.
type clusterSync struct {
	state State

	wake    bool // a message asks for a tick now
	ticking bool
	leaving bool      // the run is about to continue as new
	began   time.Time // the tick
	took    time.Duration
	signals []signal
	// interrupt cancels the running tick.
	interrupt func()
	// published are the search attributes as the server knows them.
	published attributes
}

// tick compares the two sides once and makes them agree in the direction of the strategy.
func (s *clusterSync) tick(ctx workflow.Context) {
	s.began = workflow.Now(ctx)
	ctx, s.interrupt = workflow.WithCancel(ctx)
	s.ticking = true
	err := s.sync(ctx, s.state.Config)
	if err != nil && !temporal.IsCanceledError(err) {
		s.failed(ctx, err)
	}
	s.interrupt()
	s.interrupt = func() {}
	s.ticking = false
	s.state.Ticks++
	s.took = workflow.Now(ctx).Sub(s.began)
}

// sync is the work of a tick under the configuration that it began with. Messages may change the state
// in the middle; those that change the rules cancel the context.
func (s *clusterSync) sync(ctx workflow.Context, config Config) error {
	exported, fetched, err := look(ctx, config, s.state.tip())
	if err != nil {
		return err
	}
	s.state.observe(exported)
	s.state.observeBranch(workflow.Now(ctx), fetched)
	if exported.StaleSince != nil {
		return temporal.NewApplicationError(exported.StaleMessage, ClusterUnreachable)
	}
	locked := s.lock(ctx, config, exported.Locked)
	now := workflow.Now(ctx)
	switch settled := s.state.settledFor(config, exported.Tree, fetched.Revision); {
	case settled && !s.state.retryDue(now):
		s.state.agree(now)
		return locked
	case !settled:
		s.state.behind(now)
	}
	s.tellBusy(ctx)
	switch config.Strategy {
	case Push:
		return s.push(ctx, config, fetched.Revision)
	case PushPull:
		return errors.Join(locked, s.exchange(ctx, config, exported.Tree, fetched.Revision))
	default:
		return errors.Join(locked, s.pull(ctx, config, fetched.Revision))
	}
}

// look reads both sides at the same time.
func look(ctx workflow.Context, config Config, tip string) (exported ExportResult, fetched FetchResult, err error) {
	export := execute(ctx, ExportActivity, "read what changed in "+config.Cluster, ExportInput{config})
	fetch := execute(ctx, FetchActivity, "read the tip of "+config.Branch, FetchInput{Config: config, Seen: tip})
	err = errors.Join(export.Get(ctx, &exported), fetch.Get(ctx, &fetched))
	return exported, fetched, err
}

// push makes Git equal to the cluster.
func (s *clusterSync) push(ctx workflow.Context, config Config, revision string) error {
	input := CommitInput{Config: config, Revision: revision, Settled: s.state.Settled}
	var result CommitResult
	if err := execute(ctx, CommitActivity, "store "+config.Cluster+" in "+config.Branch, input).Get(ctx, &result); err != nil {
		return err
	}
	now := workflow.Now(ctx)
	s.state.committed(now, result)
	s.state.saw(result.Revision)
	s.state.Tracked = []string{result.Revision}
	s.state.Open, s.state.OpenCount = nil, 0
	s.state.decided()
	s.state.settle(now, Settled{Revision: result.Revision, Tree: result.Tree, Scope: config.Scope()})
	s.recordPush(now, result)
	return nil
}

func (s *clusterSync) recordPush(now time.Time, result CommitResult) {
	s.state.record(Record{
		Time: now, Direction: Push, Revision: result.Revision, Changes: result.Changes,
		Duration: metav1.Duration{Duration: now.Sub(s.began)}, Failed: result.FailedCount,
	})
}

// pull makes the cluster equal to Git.
func (s *clusterSync) pull(ctx workflow.Context, config Config, revision string) error {
	if revision == "" {
		return temporal.NewApplicationError(fmt.Sprintf(
			"branch %q is not in %s: create it, or enrol with another branch", config.Branch, config.Repository), BranchNotFound)
	}
	input := s.applyInput(config, revision)
	if s.state.FailedCount == 0 {
		input.Settled = s.state.Settled
	}
	_, err := s.apply(ctx, input)
	return err
}

func (s *clusterSync) applyInput(config Config, revision string) ApplyInput {
	return ApplyInput{
		Config: config, Revision: revision, Tracked: s.state.Tracked,
		Approved: s.state.Approved, Waiting: s.state.Pending.Count > 0, Mirrored: s.state.Mirrored == config.Scope(),
		Kept: s.state.Kept, KeptCount: s.state.KeptCount,
	}
}

// apply carries out what Git holds.
func (s *clusterSync) apply(ctx workflow.Context, input ApplyInput) (now time.Time, err error) {
	config, revision := input.Config, input.Revision
	// From here on its objects may be in the cluster, whether or not anybody comes back to tell.
	s.state.Tracked = Track(s.state.Tracked, revision)
	var result ApplyResult
	if err := execute(ctx, ApplyActivity, "apply "+short(revision)+" to "+config.Cluster, input).Get(ctx, &result); err != nil {
		return now, err
	}
	now = workflow.Now(ctx)
	s.state.applied(now, result)
	if config.Strategy == Pull {
		s.state.decided()
	}
	if result.Mirrored {
		s.state.Mirrored = config.Scope()
	}
	s.state.settle(now, Settled{Revision: revision, Tree: result.Tree, Scope: config.Scope()})
	s.state.record(Record{
		Time: now, Direction: Pull, Revision: revision, Changes: result.Changes,
		Duration: metav1.Duration{Duration: now.Sub(s.began)}, Failed: result.FailedCount,
	})
	return now, nil
}

// failed notes a tick that could not do its work. Somebody else moving the branch is no problem: the
// next tick plans again, at once unless it has happened several times in a row.
func (s *clusterSync) failed(ctx workflow.Context, err error) {
	s.state.fail(err)
	if s.state.Problem.Reason == RemoteMoved && s.state.Streak <= maxReplans {
		s.state.Problem = nil
		s.wake = true
		return
	}
	s.state.recordProblem(workflow.Now(ctx))
	workflow.GetLogger(ctx).Warn("Tick failed", "reason", s.state.Problem.Reason, "message", s.state.Problem.Message)
}

const maxReplans = 3

// execute starts an activity. Its attempts in a row are few, because the next tick tries again too.
func execute(ctx workflow.Context, activity, summary string, input any) workflow.Future {
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, activityOptions(summary)), activity, input)
}

// activityLimit is how long an activity may take at most.
const activityLimit = time.Hour

func activityOptions(summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout: activityLimit,
		HeartbeatTimeout:    15 * time.Second,
		WaitForCancellation: true,
		Summary:             oneLine(summary, maxSummary),
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    time.Second,
			BackoffCoefficient: 2,
			MaximumInterval:    5 * time.Second,
			MaximumAttempts:    3,
		},
	}
}

// maxSummary keeps to the 400 bytes that Temporal takes for a summary, whatever a branch is called.
const maxSummary = 99

// wait lasts until the next tick is due or a message asks for it. Without a strategy, or paused, there
// is no next tick and no timer, but for one to take a lock away that can't be taken away at once.
func (s *clusterSync) wait(ctx workflow.Context) error {
	running := s.state.running()
	if !running && !s.state.unlocking() {
		return workflow.Await(ctx, func() bool { return s.wake || continueSuggested(ctx) })
	}
	pause := s.pauseNow(ctx)
	summary := "next sync of " + s.state.Config.Cluster
	if !running {
		pause, summary = s.state.Lock.wait(workflow.Now(ctx)), "next try to unlock the objects of "+s.state.Config.Cluster
	}
	_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout:      pause,
		TimerOptions: workflow.TimerOptions{Summary: oneLine(summary, maxSummary)},
	}, func() bool { return s.wake || running && !s.state.running() })
	return err
}

// pauseNow is the time until the next tick.
func (s *clusterSync) pauseNow(ctx workflow.Context) time.Duration {
	pause := s.state.pauseAfter(s.took)
	if s.state.RetryAt != nil {
		pause = min(pause, max(s.state.RetryAt.Sub(workflow.Now(ctx)), time.Second))
	}
	return pause
}

func continueSuggested(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

// continueAsNew begins a fresh history with the same state, after every message that has arrived was
// carried out.
func (s *clusterSync) continueAsNew(ctx workflow.Context) error {
	s.leaving = true
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	s.drain()
	return workflow.NewContinueAsNewError(ctx, WorkflowType, s.state)
}
