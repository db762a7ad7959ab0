package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what a worker tells Prometheus.
type metrics struct {
	registry   *prometheus.Registry
	activities *prometheus.HistogramVec
	defects    *prometheus.CounterVec
	conflicts  *prometheus.CounterVec
	// ready says why the worker can't work at the moment; nil before everything is started.
	ready atomic.Pointer[func(context.Context) error]
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		activities: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cluster_sync_activity_duration_seconds",
			Help:    "Time that the sync activities took, by cluster, activity (Export, Fetch, Commit, Apply, Lock) and result (ok, error).",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"cluster", "activity", "result"}),
		defects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cluster_sync_index_defects_total",
			Help: "Objects that the watch index had wrong when it was compared with a list of the cluster, by cluster and resource. Each was corrected; any is worth a bug report.",
		}, []string{"cluster", "resource"}),
		conflicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cluster_sync_conflicts_total",
			Help: "Objects that push-pull found changed on both sides in ways that can't both be kept, by cluster and the side whose edit won (git, cluster, or none while both wait for somebody).",
		}, []string{"cluster", "winner"}),
	}
	m.registry.MustRegister(m.activities, m.defects, m.conflicts, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observer returns what the activities of a cluster report to.
func (m *metrics) observer(cluster string) func(string, time.Duration, error) {
	return func(activity string, took time.Duration, err error) {
		result := "ok"
		if err != nil {
			result = "error"
		}
		m.activities.WithLabelValues(cluster, activity, result).Observe(took.Seconds())
	}
}

// defect returns what the index of a cluster reports to.
func (m *metrics) defect(cluster string) func(resource string) {
	return func(resource string) { m.defects.WithLabelValues(cluster, resource).Inc() }
}

// conflict returns what the conflicts of a cluster are told to.
func (m *metrics) conflict(cluster string) func(winner string) {
	return func(winner string) { m.conflicts.WithLabelValues(cluster, cmp.Or(winner, "none")).Inc() }
}

// serve answers /metrics, /healthz and /readyz until stop is called. The address is the one it listens on.
func (m *metrics) serve(addr string, logger *slog.Logger) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("metrics can't be served: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", m.answerReady)
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

func (m *metrics) answerReady(w http.ResponseWriter, r *http.Request) {
	err := errors.New("starting")
	if ready := m.ready.Load(); ready != nil {
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
func (m *metrics) becomeReady(ask func(context.Context) error) { m.ready.Store(&ask) }
