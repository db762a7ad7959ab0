// Package metrics is what a worker tells Prometheus: how its clusters are doing, what it did and what that took.
package metrics

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/temporal"
)

// Sides that changes go to.
const (
	ToGit     = "to_git"
	ToCluster = "to_cluster"
)

// Actions that changes are counted by.
const (
	Added   = "added"
	Updated = "updated"
	Deleted = "deleted"
)

// Metrics are those of one worker.
type Metrics struct {
	Registry *prometheus.Registry
	// Definitions are the metrics of the sync itself, in the order of the reference.
	Definitions []Definition
	fleet       *fleet

	activities  *prometheus.HistogramVec
	failures    *prometheus.CounterVec
	changes     *prometheus.CounterVec
	conflicts   *prometheus.CounterVec
	defects     *prometheus.CounterVec
	apiRequests *prometheus.HistogramVec
	gitRequests *prometheus.HistogramVec
}

// Definition is one metric as the reference tells of it.
type Definition struct {
	Name, Type, Help string
	Labels           []string
}

// New prepares the metrics of a worker that was built from a version.
func New(version string) *Metrics {
	m := &Metrics{Registry: prometheus.NewRegistry()}
	define := func(kind, name, help string, labels ...string) {
		m.Definitions = append(m.Definitions, Definition{name, kind, help, labels})
	}
	m.fleet = newFleet(define)
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		define("histogram", name, help, labels...)
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		define("counter", name, help, labels...)
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	requestBuckets := []float64{.005, .025, .1, .5, 2.5, 10, 60}
	m.activities = histogram("cluster_sync_activity_duration_seconds",
		"Time that the sync activities took, by cluster, activity (Export, Fetch, Commit, Apply, Lock) and result (ok, error).",
		prometheus.ExponentialBuckets(0.001, 4, 9), "cluster", "activity", "result")
	m.failures = counter("cluster_sync_activity_failures_total",
		"Activities that failed, by cluster, activity and reason, as the status tells it. Each is tried again.",
		"cluster", "activity", "reason")
	m.changes = counter("cluster_sync_changes_total",
		"Objects that the sync changed, by cluster, direction (to_git, to_cluster) and action (added, updated, deleted).",
		"cluster", "direction", "action")
	m.conflicts = counter("cluster_sync_conflicts_total",
		"Objects that push-pull found changed on both sides in ways that can't both be kept, by cluster and the side whose edit won (git, cluster, or none while both wait for somebody).",
		"cluster", "winner")
	m.defects = counter("cluster_sync_index_defects_total",
		"Objects that the watch index had wrong when it was compared with a list of the cluster, by cluster and resource. Each was corrected; any is worth a bug report.",
		"cluster", "resource")
	m.apiRequests = histogram("cluster_sync_api_request_duration_seconds",
		"Time until the Kubernetes API server began to answer, by cluster, verb (as in its audit log, or discovery) and code (HTTP status, or error without an answer).",
		requestBuckets, "cluster", "verb", "code")
	m.gitRequests = histogram("cluster_sync_git_request_duration_seconds",
		"Time until the Git server began to answer, by cluster, kind (refs, fetch, push) and code (HTTP status, or error without an answer).",
		requestBuckets, "cluster", "kind", "code")
	const buildName, buildHelp = "cluster_sync_build_info", "Always 1; the labels say what the worker was built from."
	define("gauge", buildName, buildHelp, "version", "goversion")
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: buildName, Help: buildHelp,
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.Registry.MustRegister(m.fleet, m.activities, m.failures, m.changes, m.conflicts, m.defects, m.apiRequests, m.gitRequests, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Cluster are the metrics of one cluster.
type Cluster struct {
	*Metrics
	name string
}

// Cluster is who tells of one cluster.
func (m *Metrics) Cluster(name string) Cluster {
	// A counter that isn't there before its first count hides that count from rate().
	for _, direction := range []string{ToGit, ToCluster} {
		for _, action := range []string{Added, Updated, Deleted} {
			m.changes.WithLabelValues(name, direction, action)
		}
	}
	return Cluster{m, name}
}

// Ended tells of an activity that came to an end.
func (c Cluster) Ended(activity string, took time.Duration, err error) {
	c.fleet.worked(c.name)
	result := "ok"
	if err != nil {
		result = "error"
		c.failures.WithLabelValues(c.name, activity, reason(err)).Inc()
	}
	c.activities.WithLabelValues(c.name, activity, result).Observe(took.Seconds())
}

func reason(err error) string {
	var application *temporal.ApplicationError
	switch {
	case errors.As(err, &application):
		return cmp.Or(application.Type(), "ActivityFailed")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "Canceled"
	}
	return "ActivityFailed"
}

// Changed tells of one object.
func (c Cluster) Changed(direction, action string) {
	c.changes.WithLabelValues(c.name, direction, action).Inc()
}

// Conflict tells of one object that both sides changed; the winner is "" while both wait.
func (c Cluster) Conflict(winner string) {
	c.conflicts.WithLabelValues(c.name, cmp.Or(winner, "none")).Inc()
}

// Defect tells of one object that the index had wrong.
func (c Cluster) Defect(resource string) { c.defects.WithLabelValues(c.name, resource).Inc() }

// APIRequest tells of a request to the API server.
func (c Cluster) APIRequest(verb, code string, took time.Duration) {
	c.apiRequests.WithLabelValues(c.name, verb, code).Observe(took.Seconds())
}

// GitRequest tells of a request to the Git server.
func (c Cluster) GitRequest(kind, code string, took time.Duration) {
	c.gitRequests.WithLabelValues(c.name, kind, code).Observe(took.Seconds())
}
