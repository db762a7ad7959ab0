// Package activities does the work of ClusterSync: Export, Fetch, Commit, Apply and Lock, one file each. They
// ensure rather than assume: each can run in any worker process at any time and again after a crash, for
// it starts from what it finds and not from what another activity left behind.
package activities

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/metrics"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Options are what the activities of one cluster work with.
type Options struct {
	// Cluster is the name of the enrolment.
	Cluster     string
	Kube        *kube.Cluster
	Credentials *Credentials
	// DataDir holds caches only; losing it costs one fetch.
	DataDir string
	Logger  *slog.Logger
	Metrics metrics.Cluster
	// AuditEvery is that of kube.IndexOptions.
	AuditEvery time.Duration
}

// Activities are those of one cluster. Close must be called.
type Activities struct {
	Options
	lease *lease

	mu         sync.Mutex
	repository *repo.Repository
	source     source

	// applying keeps a second attempt of Apply from starting while the first is still ending.
	applying sync.Mutex
	pulled   pulled
	// committing does the same for Commit.
	committing sync.Mutex
	sealed     sealed
	locked     locked
}

// source is where a repository handle reads and writes.
type source struct{ url, branch, path string }

// New prepares the activities of a cluster. It makes no request.
func New(o Options) *Activities {
	return &Activities{Options: o, lease: newLease(o.Kube, kube.IndexOptions{
		Logger: o.Logger, AuditEvery: o.AuditEvery, Defect: o.Metrics.Defect,
	})}
}

// Register makes a Temporal worker serve the activities under the names of the contract.
func (a *Activities) Register(w worker.ActivityRegistry) {
	for name, run := range map[string]any{
		workflows.ExportActivity: a.Export,
		workflows.FetchActivity:  a.Fetch,
		workflows.CommitActivity: a.Commit,
		workflows.ApplyActivity:  a.Apply,
		workflows.LockActivity:   a.Lock,
	} {
		w.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: name})
	}
}

// Close ends the watches and gives the caches back.
func (a *Activities) Close() error {
	a.lease.close()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.repository == nil {
		return nil
	}
	return a.repository.Close()
}

// open returns the handle of the enrolment's branch, the same one as long as the enrolment is the same.
func (a *Activities) open(c workflows.Config) (*repo.Repository, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := source{c.Repository, c.Branch, c.Path}
	if a.repository != nil && a.source == wanted {
		return a.repository, nil
	}
	if a.repository != nil {
		if err := a.repository.Close(); err != nil {
			return nil, err
		}
		a.repository = nil
	}
	opened, err := repo.Open(repo.Options{
		URL: c.Repository, Branch: c.Branch, Path: c.Path,
		Dir:         filepath.Join(a.DataDir, a.Cluster+".git"),
		Credentials: a.Credentials.Git,
		Observe:     a.Metrics.GitRequest,
	})
	if err != nil {
		return nil, err
	}
	a.repository, a.source = opened, wanted
	return opened, nil
}

// progress is what an activity says of itself while it runs. It is sent with the heartbeats, which also
// bring the word that the activity was canceled.
type progress struct {
	mu   sync.Mutex
	text string
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = fmt.Sprintf(format, args...)
}

func (p *progress) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text
}

// heartbeat is how often an activity reports; the workflow gives it up after 15 s of silence.
const heartbeat = 3 * time.Second

// run is the frame of every activity: heartbeats while it works, one line in the log when it has ended,
// and an error in the terms of the workflow.
func run[R any](ctx context.Context, a *Activities, name string, work func(context.Context, *progress) (R, []any, error)) (R, error) {
	began := time.Now()
	p := new(progress)
	beating, stop := context.WithCancel(ctx)
	var beats sync.WaitGroup
	beats.Go(func() {
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-beating.Done():
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx, p.said())
			}
		}
	})
	result, facts, err := work(ctx, p)
	stop()
	beats.Wait()
	took := time.Since(began)
	if err != nil {
		err = explain(ctx, err)
	}
	a.Metrics.Ended(name, took, err)
	log := a.Logger.With("cluster", a.Cluster, "activity", name, "duration", took.Round(time.Millisecond).String())
	if err != nil {
		log.ErrorContext(ctx, name+" failed", append(facts, "error", err.Error(), "attempt", activity.GetInfo(ctx).Attempt)...)
		return result, err
	}
	log.InfoContext(ctx, name, facts...)
	return result, nil
}
