package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/interceptor"
	temporallog "go.temporal.io/sdk/log"
	temporalerror "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/active-cluster-sync/active-cluster-sync/activities"
	"github.com/active-cluster-sync/active-cluster-sync/internal/codec"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/metrics"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// reportLimit is how long activities get, that were canceled because the worker stops, to tell Temporal so: then
// another worker has them at once, and not after the heartbeat's time-out.
const reportLimit = 5 * time.Second

// errStopping is why they were canceled.
var errStopping = temporalerror.NewApplicationErrorWithOptions("the worker was told to stop; the next one tries again", "WorkerStopping",
	temporalerror.ApplicationErrorOptions{Category: temporalerror.ApplicationErrorCategoryBenign})

// serve runs until the context ends.
func serve(ctx context.Context, s settings) error {
	if err := os.MkdirAll(s.dataDir, 0o700); err != nil {
		return fmt.Errorf("the data directory can't be used: %w", err)
	}
	page := newPage()
	if s.metricsAddr != "" {
		address, stop, err := page.serve(s.metricsAddr, s.logger)
		if err != nil {
			return err
		}
		defer stop()
		s.logger.Info("serving metrics", "address", address)
	}
	connections := map[string]*kube.Cluster{}
	for _, c := range s.clusters {
		connection, err := kube.Connect(s.kubeconfig, c.context, kube.Observed(page.Cluster(c.name).APIRequest))
		if err != nil {
			return fmt.Errorf("cluster %s: %w", c.name, err)
		}
		connections[c.name] = connection
	}
	traces, flush, err := tracing(ctx, s.logger)
	if err != nil {
		return err
	}
	defer flush()
	temporal, err := connect(ctx, s, page, traces)
	if err != nil {
		return err
	}
	defer temporal.Close()
	failed := make(chan error, len(s.clusters))
	var workers []*served
	defer func() { stopAll(workers, s.stopTimeout) }()
	cores := takeCores()
	for _, c := range s.clusters {
		w, err := start(ctx, service{
			name: c.name, temporal: temporal, kube: connections[c.name], settings: s,
			metrics: page.Cluster(c.name), cores: cores, failed: failed,
		})
		if err != nil {
			return fmt.Errorf("cluster %s: %w", c.name, err)
		}
		workers = append(workers, w)
		s.logger.Info("serving", "cluster", c.name, "taskQueue", workflows.WorkflowID(c.name))
	}
	page.becomeReady(func(ctx context.Context) error {
		if _, err := temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return fmt.Errorf("the Temporal server does not answer: %w", err)
		}
		return nil
	})
	if page.served {
		go page.askAll(ctx, temporal, s.clusters)
	}
	select {
	case <-ctx.Done():
		s.logger.Info("stopping: running activities get a moment to end", "limit", s.stopTimeout.String())
		return nil
	case err := <-failed:
		return err
	}
}

// connect waits for the Temporal server: a worker that starts before it, or while it is down, isn't a
// failure.
func connect(ctx context.Context, s settings, page *page, interceptors []interceptor.ClientInterceptor) (client.Client, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("the Temporal settings can't be read: %w", err)
	}
	if err := codec.Configure(&options, s.codecKeyFile); err != nil {
		return nil, err
	}
	options.Interceptors = interceptors
	options.DataConverter = workflows.Unending(options.DataConverter)
	options.Logger = temporallog.NewStructuredLogger(s.logger)
	if page.served {
		if options.MetricsHandler, err = page.Handler(); err != nil {
			return nil, err
		}
	}
	// Messages are a few hundred bytes, and compressing them would be a good part of an idle tick's work.
	options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	var temporal client.Client
	err = patiently(ctx, s.logger, func() (again bool, err error) {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		temporal, err = client.DialContext(attempt, options)
		return true, err
	})
	return temporal, err
}

// patiently tries, with growing pauses, as long as another try is worth while.
func patiently(ctx context.Context, logger *slog.Logger, try func() (again bool, err error)) error {
	for wait := time.Second; ; wait = min(2*wait, 15*time.Second) {
		again, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.New("stopped before the Temporal server answered")
		}
		if !again {
			return err
		}
		logger.Warn("the Temporal server does not answer; trying again", "wait", wait.String(), "error", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// unreachable tells whether an error of the Temporal client says that the server is down, rather than that it
// refuses.
func unreachable(err error) bool {
	var unavailable *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	return errors.As(err, &unavailable) || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)
}

// served is the worker of one cluster.
type served struct {
	worker     worker.Worker
	activities *activities.Activities
	cancel     context.CancelCauseFunc // ends the activities
	forget     context.CancelFunc
}

// service is what serving a cluster takes.
type service struct {
	settings
	name     string
	temporal client.Client
	kube     *kube.Cluster
	metrics  metrics.Cluster
	cores    []interceptor.WorkerInterceptor
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
	working, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	w := &served{cancel: cancel, forget: forget}
	w.activities = activities.New(activities.Options{
		Cluster: s.name, Kube: s.kube, Credentials: credentials,
		DataDir: s.dataDir, Logger: s.logger, Metrics: s.metrics, AuditEvery: s.auditEvery,
	})
	err := patiently(ctx, s.logger, func() (again bool, err error) {
		w.worker = s.worker(working) // another one each time, for none can be started twice
		w.activities.Register(w.worker)
		err = w.worker.Start()
		return unreachable(err), err
	})
	if err != nil {
		cancel(err)
		forget()
		return nil, errors.Join(err, w.activities.Close())
	}
	return w, nil
}

// worker is one for the workflow of a cluster, and for activities that run as long as the context lasts.
func (s service) worker(working context.Context) worker.Worker {
	w := worker.New(s.temporal, workflows.WorkflowID(s.name), worker.Options{
		BackgroundActivityContext: working,
		WorkerStopTimeout:         s.stopTimeout + reportLimit,
		DeploymentOptions:         s.deployment,
		Interceptors:              s.cores,
		// Heartbeats bring the word that an activity was canceled; by default the SDK would hold them back
		// for most of the heartbeat timeout.
		MaxHeartbeatThrottleInterval: 3 * time.Second,
		OnFatalError:                 func(err error) { s.failed <- err },
	})
	w.RegisterWorkflowWithOptions(workflows.ClusterSync, workflow.RegisterOptions{Name: workflows.WorkflowType})
	return w
}

// stopAll drains all workers at the same time: they take no new work, and what runs may end until the limit.
func stopAll(workers []*served, limit time.Duration) {
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(func() {
			enough := time.AfterFunc(limit, func() { w.cancel(errStopping) })
			w.worker.Stop()
			enough.Stop()
			w.cancel(errStopping)
			_ = w.activities.Close()
			w.forget()
		})
	}
	group.Wait()
}
