package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// states are those that a sync can be in, strategies those that it can have.
var (
	states = []workflows.SyncState{
		workflows.Stopped, workflows.Paused, workflows.Syncing, workflows.InSync, workflows.Degraded, workflows.Blocked,
	}
	strategies = []workflows.Strategy{workflows.None, workflows.Push, workflows.Pull, workflows.PushPull}
)

// fleet is what this worker knows of the state of its clusters. Only the workflow knows it, and it tells by the
// metrics handler of the SDK, which is silent while a history is replayed. With several workers it is one of them
// that hears of a cluster. What one of the others heard before goes out of date, and isn't told then: a worker that
// says nothing is right, one that goes on about yesterday isn't.
type fleet struct {
	mu       sync.Mutex
	clusters map[string]*heard
	now      func() time.Time

	state, strategy, lag, agreed, objects, failed, waiting, pending *prometheus.Desc
}

// heard is what a workflow told of itself.
type heard struct {
	workflows.Told
	// until is when it will have told more, if this worker is still the one to hear it; zero for never.
	until time.Time
}

func newFleet(define func(kind, name, help string, labels ...string)) *fleet {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		labels = append([]string{"cluster"}, labels...)
		define("gauge", name, help, labels...)
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &fleet{
		clusters: map[string]*heard{}, now: time.Now,
		state: describe("cluster_sync_state",
			"1 for the state that the sync of a cluster is in (Stopped, Paused, Syncing, InSync, Degraded, Blocked), 0 for the others.", "state"),
		strategy: describe("cluster_sync_strategy",
			"1 for the strategy of a cluster (none, push, pull, push-pull), 0 for the others.", "strategy"),
		lag: describe("cluster_sync_lag_seconds",
			"Age of the oldest change that one side has and the other hasn't; 0 while both agree."),
		agreed: describe("cluster_sync_last_agreement_timestamp_seconds",
			"When the two sides were last seen to agree; not there before the first time."),
		objects: describe("cluster_sync_objects", "Objects of the cluster that take part in the sync."),
		failed: describe("cluster_sync_failed_objects",
			"Objects that could not be synced and are tried again, and resources that can't be read."),
		waiting: describe("cluster_sync_waiting_conflicts", "Conflicts that wait for somebody."),
		pending: describe("cluster_sync_pending_deletions", "Deletions that wait for approval."),
	}
}

// tell takes over what a workflow told.
func (f *fleet) tell(cluster string, told workflows.Told) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &heard{Told: told}
	if told.Next > 0 {
		h.until = f.now().Add(3*told.Next + time.Minute)
	}
	f.clusters[cluster] = h
}

// tellFirst is tell for what was asked for: the workflow may have told something newer by itself.
func (f *fleet) tellFirst(cluster string, told workflows.Told) {
	f.mu.Lock()
	known := f.clusters[cluster] != nil
	f.mu.Unlock()
	if !known {
		f.tell(cluster, told)
	}
}

// worked notes that the sync of a cluster runs: where it was told to stand still, another worker has heard of more.
func (f *fleet) worked(cluster string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.clusters[cluster]; h != nil && h.until.IsZero() {
		h.until = f.now().Add(time.Minute)
	}
}

// Describe implements prometheus.Collector.
func (f *fleet) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{f.state, f.strategy, f.lag, f.agreed, f.objects, f.failed, f.waiting, f.pending} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (f *fleet) Collect(out chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for cluster, h := range f.clusters {
		if !h.until.IsZero() && now.After(h.until) {
			continue
		}
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{cluster}, labels...)...)
		}
		for _, state := range states {
			gauge(f.state, is(h.State == state), string(state))
		}
		for _, strategy := range strategies {
			gauge(f.strategy, is(h.Strategy == strategy), string(strategy))
		}
		gauge(f.lag, h.lag(now))
		if h.LastAgreement != nil {
			gauge(f.agreed, float64(h.LastAgreement.UnixMilli())/1e3)
		}
		gauge(f.objects, float64(h.Objects))
		gauge(f.failed, float64(h.Failed))
		gauge(f.waiting, float64(h.Waiting))
		gauge(f.pending, float64(h.Pending))
	}
}

// lag grows while nothing is told, as a lag does.
func (h *heard) lag(now time.Time) float64 {
	if h.BehindSince == nil {
		return 0
	}
	return max(0, now.Sub(*h.BehindSince).Seconds())
}

func is(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
