package model_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/activities"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/metrics"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// process is a sync in this process: the workflow in Temporal's test environment, which skips the time between
// two ticks, with the real activities. Each tick waits at its beginning until it may go on.
type process struct {
	t     testing.TB
	env   *testsuite.TestWorkflowEnvironment
	kube  *kube.Cluster
	creds *activities.Credentials
	log   *slog.Logger
	ended chan struct{}

	export, fetch turn
	ticking       bool // the workflow is at the beginning of a tick
	// left is closed to have the activities that wait there give up.
	left chan struct{}

	mu         sync.Mutex
	activities *activities.Activities
	data       string
	conflicts  []workflows.Conflict
	work       int
	refuse     int    // pushes
	mute       bool   // the next push is taken, and its answer lost
	crash      string // the activity after which the worker dies
	race       func()
	raceBefore string
}

// turn is where an activity waits.
type turn struct{ waits, goes chan struct{} }

func newTurn() turn { return turn{make(chan struct{}), make(chan struct{})} }

// wait holds an activity up until its tick may begin. A retry within a tick isn't held up.
func (p *process) wait(ctx context.Context, at turn) error {
	if activity.GetInfo(ctx).Attempt > 1 {
		return nil
	}
	p.mu.Lock()
	left := p.left
	p.mu.Unlock()
	select {
	case at.waits <- struct{}{}:
	case <-left:
		return temporal.NewCanceledError()
	}
	select {
	case <-at.goes:
		return nil
	case <-left:
		return temporal.NewCanceledError()
	}
}

// startProcess begins to sync a repository of the stack with its cluster.
func startProcess(t testing.TB, stack *stacktest.Stack, config workflows.Config, repo string) *process {
	t.Helper()
	p := &process{
		t: t, export: newTurn(), fetch: newTurn(), left: make(chan struct{}), ended: make(chan struct{}), data: t.TempDir(),
		log: slog.New(slog.NewTextHandler(logOf(t), nil)),
	}
	var err error
	p.kube, err = kube.Connect(stack.Kubeconfig("model"), "")
	require.NoError(t, err)
	credentials := t.TempDir()
	token, err := stack.Token(repo)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(credentials, workflows.UsernameKey), []byte("sync"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(credentials, workflows.PasswordKey), []byte(token), 0o600))
	p.creds = activities.CredentialsFromDir(credentials, config.Cluster)
	gate := stacktest.NewGate(t, stack.Env["GIT_URL"], http.DefaultTransport, func(proxy *httputil.ReverseProxy) {
		proxy.ModifyResponse = func(r *http.Response) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.mute && isPush(r.Request) {
				p.mute = false
				return errors.New("the answer is lost")
			}
			return nil
		}
	})
	gate.Refuse(func(r *http.Request) int {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.refuse > 0 && isPush(r) {
			p.refuse--
			return http.StatusInternalServerError
		}
		return 0
	})
	config.Repository = gate.URL() + "/" + repo + ".git"
	config.ClusterUID, err = p.kube.UID(t.Context())
	require.NoError(t, err)
	p.begin()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	p.env = suite.NewTestWorkflowEnvironment()
	p.env.SetTestTimeout(time.Hour)
	p.env.SetWorkflowRunTimeout(0) // it would come at once where nothing else is waited for, under strategy none
	p.env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: 10 * time.Minute})
	p.env.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
	p.register()
	go func() {
		defer close(p.ended)
		p.env.ExecuteWorkflow(workflows.WorkflowType, workflows.State{Config: config})
	}()
	p.awaitTick()
	t.Cleanup(p.end)
	return p
}

func isPush(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/git-receive-pack") }

func logOf(t testing.TB) io.Writer {
	if os.Getenv(reproduce) != "" {
		return t.Output()
	}
	return io.Discard
}

// begin starts a worker's activities.
func (p *process) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.activities = activities.New(activities.Options{
		Cluster: "model", Kube: p.kube, Credentials: p.creds, DataDir: p.data, Logger: p.log, AuditEvery: -1,
		Metrics: metrics.New("test").Cluster("model"),
	})
}

func (p *process) register() {
	as := func(name string, f any) { p.env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
	as(workflows.ExportActivity, func(ctx context.Context, in workflows.ExportInput) (r workflows.ExportResult, err error) {
		if err = p.wait(ctx, p.export); err == nil {
			r, err = p.now().Export(ctx, in)
		}
		return r, err
	})
	as(workflows.FetchActivity, func(ctx context.Context, in workflows.FetchInput) (r workflows.FetchResult, err error) {
		if err = p.wait(ctx, p.fetch); err == nil {
			r, err = p.now().Fetch(ctx, in)
		}
		return r, err
	})
	as(workflows.CommitActivity, func(ctx context.Context, in workflows.CommitInput) (workflows.CommitResult, error) {
		p.before(workflows.CommitActivity)
		r, err := p.now().Commit(ctx, in)
		if err == nil {
			err = p.after(workflows.CommitActivity)
		}
		if err == nil {
			p.mu.Lock()
			p.conflicts = append(p.conflicts, r.Conflicts...)
			p.mu.Unlock()
		}
		return r, err
	})
	as(workflows.ApplyActivity, func(ctx context.Context, in workflows.ApplyInput) (workflows.ApplyResult, error) {
		p.before(workflows.ApplyActivity)
		r, err := p.now().Apply(ctx, in)
		if err == nil {
			err = p.after(workflows.ApplyActivity)
		}
		return r, err
	})
	as(workflows.LockActivity, func(ctx context.Context, in workflows.LockInput) (workflows.LockResult, error) {
		return p.now().Lock(ctx, in)
	})
}

func (p *process) now() *activities.Activities {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.activities
}

// before counts an activity that works, and lets the race be run.
func (p *process) before(name string) {
	p.mu.Lock()
	p.work++
	var race func()
	if p.raceBefore == name {
		race, p.race = p.race, nil
	}
	p.mu.Unlock()
	if race != nil {
		race()
	}
}

// after has the worker die before it can tell what it has done.
func (p *process) after(name string) error {
	p.mu.Lock()
	dies := p.crash == name
	if dies {
		p.crash = ""
	}
	p.mu.Unlock()
	if !dies {
		return nil
	}
	return errors.Join(errors.New("the worker has died"), p.Restart(context.Background(), true))
}

// awaitTick waits until the workflow is at the beginning of a tick.
func (p *process) awaitTick() {
	<-p.export.waits
	<-p.fetch.waits
	p.ticking = true
}

func (p *process) Tick(context.Context) error {
	if p.ticking {
		p.export.goes <- struct{}{}
		p.fetch.goes <- struct{}{}
		p.awaitTick()
	}
	return nil
}

// leave has the activities that wait for the next tick give up.
func (p *process) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.left)
	p.left = make(chan struct{})
	p.ticking = false
}

func (p *process) Follow(ctx context.Context, strategy workflows.Strategy) error {
	status, err := p.Status(ctx)
	if err != nil || status.Strategy == strategy {
		return err
	}
	p.env.SignalWorkflow(workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: strategy})
	p.leave()
	if strategy != workflows.None {
		p.awaitTick()
	}
	return nil
}

func (p *process) Restart(_ context.Context, empty bool) error {
	if err := p.now().Close(); err != nil {
		return err
	}
	if empty {
		p.data = p.t.TempDir()
	}
	p.begin()
	return nil
}

func (p *process) Fault(name, argument string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch name {
	case "refuse":
		_, err := fmt.Sscan(argument, &p.refuse)
		return err
	case "mute":
		p.mute = true
	case "crash":
		p.crash = argument
	}
	return nil
}

func (p *process) Race(before string, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raceBefore, p.race = before, do
}

func (p *process) Status(context.Context) (status workflows.Status, err error) {
	done := make(chan struct{})
	p.env.RegisterDelayedCallback(func() {
		defer close(done)
		answer, failure := p.env.QueryWorkflow(workflows.StatusQuery)
		if err = failure; err == nil {
			err = answer.Get(&status)
		}
	}, 0)
	<-done
	return status, err
}

func (p *process) Conflicts() []workflows.Conflict {
	p.mu.Lock()
	defer p.mu.Unlock()
	told := p.conflicts
	p.conflicts = nil
	return told
}

func (p *process) Work() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.work
}

// end cancels the workflow.
func (p *process) end() {
	p.env.CancelWorkflow()
	p.leave()
	<-p.ended
	_ = p.now().Close()
}

func configOf(label string, policy workflows.ConflictPolicy) workflows.Config {
	return workflows.Config{
		Cluster: "model", Branch: "main", Path: ".", Strategy: workflows.PushPull, Adopt: workflows.AdoptGit,
		IgnoredNamespaces: workflows.DefaultIgnoredNamespaces(), Interval: metav1.Duration{Duration: 10 * time.Second},
		Secrets: workflows.SecretsExclude, Selector: "acs=" + label, OnConflict: policy, Lock: workflows.LockOff,
	}
}
