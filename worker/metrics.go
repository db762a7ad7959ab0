package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"

	"github.com/active-cluster-sync/active-cluster-sync/internal/metrics"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// page is what a worker tells over HTTP: its metrics, and whether it can work.
type page struct {
	*metrics.Metrics
	served bool
	// ready says why the worker can't work at the moment; nil before everything is started.
	ready atomic.Pointer[func(context.Context) error]
}

func newPage() *page { return &page{Metrics: metrics.New(version)} }

// askLimit is how long the question for one status waits for its answer.
const askLimit = 15 * time.Second

// askAll asks each sync once how it is doing: one that stands still tells nothing by itself.
func (p *page) askAll(ctx context.Context, temporal client.Client, clusters []cluster) {
	for _, c := range clusters {
		asking, cancel := context.WithTimeout(ctx, askLimit)
		answer, err := temporal.QueryWorkflow(asking, workflows.WorkflowID(c.name), "", workflows.StatusQuery)
		cancel()
		var status workflows.Status
		if err == nil && answer.Get(&status) == nil { // else it isn't enrolled yet
			p.Ask(c.name, status)
		}
	}
}

// serve answers /metrics, /healthz and /readyz until stop is called. The address is the one it listens on.
func (p *page) serve(addr string, logger *slog.Logger) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("metrics can't be served: %w", err)
	}
	p.served = true
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.answerReady)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics are no longer served", "error", err)
		}
	}()
	return listener.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		<-done
	}, nil
}

// readyLimit is how long a probe waits for Temporal, less than Kubernetes waits for a probe.
const readyLimit = 3 * time.Second

func (p *page) answerReady(w http.ResponseWriter, r *http.Request) {
	err := errors.New("starting")
	if ready := p.ready.Load(); ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
		defer cancel()
		err = (*ready)(ctx)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// becomeReady makes /readyz ask.
func (p *page) becomeReady(ask func(context.Context) error) { p.ready.Store(&ask) }
