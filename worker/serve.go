package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	temporallog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/active-cluster-sync/active-cluster-sync/activities"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// stopLimit is how long running activities get to come to an end when the worker is told to stop.
const stopLimit = 20 * time.Second

// serve runs until the context ends.
func serve(ctx context.Context, s settings) error {
	if err := os.MkdirAll(s.dataDir, 0o700); err != nil {
		return fmt.Errorf("the data directory can't be used: %w", err)
	}
	metrics := newMetrics()
	if s.metricsAddr != "" {
		address, stop, err := metrics.serve(s.metricsAddr, s.logger)
		if err != nil {
			return err
		}
		defer stop()
		s.logger.Info("serving metrics", "address", address)
	}
	connections := map[string]*kube.Cluster{}
	for _, c := range s.clusters {
		connection, err := kube.Connect(s.kubeconfig, c.context)
		if err != nil {
			return fmt.Errorf("cluster %s: %w", c.name, err)
		}
		connections[c.name] = connection
	}
	temporal, err := connect(ctx, s.logger)
	if err != nil {
		return err
	}
	defer temporal.Close()
	failed := make(chan error, len(s.clusters))
	var workers []*served
	defer func() { stopAll(workers) }()
	for _, c := range s.clusters {
		w, err := start(ctx, service{
			name: c.name, temporal: temporal, kube: connections[c.name], settings: s,
			observe: metrics.observer(c.name), defect: metrics.defect(c.name), conflict: metrics.conflict(c.name), failed: failed,
		})
		if err != nil {
			return fmt.Errorf("cluster %s: %w", c.name, err)
		}
		workers = append(workers, w)
		s.logger.Info("serving", "cluster", c.name, "taskQueue", workflows.WorkflowID(c.name))
	}
	metrics.becomeReady(func(ctx context.Context) error {
		if _, err := temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return fmt.Errorf("the Temporal server does not answer: %w", err)
		}
		return nil
	})
	select {
	case <-ctx.Done():
		s.logger.Info("stopping: running activities get a moment to end", "limit", stopLimit.String())
		return nil
	case err := <-failed:
		return err
	}
}

// connect waits for the Temporal server: a worker that starts before it, or while it is down, isn't a
// failure.
func connect(ctx context.Context, logger *slog.Logger) (client.Client, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("the Temporal settings can't be read: %w", err)
	}
	options.Logger = temporallog.NewStructuredLogger(logger)
	// Messages are a few hundred bytes, and compressing them would be a good part of an idle tick's work.
	options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	for wait := time.Second; ; wait = min(2*wait, 15*time.Second) {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		temporal, err := client.DialContext(attempt, options)
		cancel()
		if err == nil {
			return temporal, nil
		}
		if ctx.Err() != nil {
			return nil, errors.New("stopped before the Temporal server answered")
		}
		logger.Warn("the Temporal server does not answer; trying again", "address", options.HostPort, "wait", wait.String(), "error", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// served is the worker of one cluster.
type served struct {
	worker     worker.Worker
	activities *activities.Activities
	forget     context.CancelFunc
}

// service is what serving a cluster takes.
type service struct {
	settings
	name     string
	temporal client.Client
	kube     *kube.Cluster
	observe  func(activity string, took time.Duration, err error)
	defect   func(resource string)
	conflict func(winner string)
	failed   chan<- error // gets an error that the worker can't go on after
}

// start begins to serve a cluster.
func start(ctx context.Context, s service) (*served, error) {
	watching, forget := context.WithCancel(context.WithoutCancel(ctx))
	credentials := activities.CredentialsFromDir(s.credentialsDir, s.name)
	if s.credentialsDir == "" {
		credentials = activities.CredentialsFromCluster(
			s.kube.WatchSecret(watching, workflows.CredentialsNamespace, workflows.CredentialsSecret))
	}
	w := &served{forget: forget}
	w.activities = activities.New(activities.Options{
		Cluster: s.name, Kube: s.kube, Credentials: credentials,
		DataDir: s.dataDir, Logger: s.logger, Observe: s.observe,
		AuditEvery: s.auditEvery, Defect: s.defect, Conflict: s.conflict,
	})
	w.worker = worker.New(s.temporal, workflows.WorkflowID(s.name), worker.Options{
		WorkerStopTimeout: stopLimit,
		// Heartbeats bring the word that an activity was canceled; by default the SDK would hold them back
		// for most of the heartbeat timeout.
		MaxHeartbeatThrottleInterval: 3 * time.Second,
		OnFatalError:                 func(err error) { s.failed <- err },
	})
	w.worker.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
	w.activities.Register(w.worker)
	if err := w.worker.Start(); err != nil {
		forget()
		return nil, errors.Join(err, w.activities.Close())
	}
	return w, nil
}

// stopAll drains all workers at the same time.
func stopAll(workers []*served) {
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(func() {
			w.worker.Stop()
			_ = w.activities.Close()
			w.forget()
		})
	}
	group.Wait()
}
