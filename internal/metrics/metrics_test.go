package metrics_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/active-cluster-sync/active-cluster-sync/internal/metrics"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// listen is what the SDK would hand to a workflow.
func listen(t *testing.T, m *metrics.Metrics) workflows.Listener {
	t.Helper()
	handler, err := m.Handler()
	require.NoError(t, err)
	tagged, ok := handler.WithTags(map[string]string{"task_queue": "q"}).(workflows.Listener)
	require.True(t, ok, "with tags it still listens")
	return tagged
}

func TestMetricsAreNamedAsPrometheusWantsIt(t *testing.T) {
	m := metrics.New("v1")
	handler, err := m.Handler()
	require.NoError(t, err)
	tellAll(m, handler)
	problems, err := testutil.GatherAndLint(m.Registry)
	require.NoError(t, err)
	require.Empty(t, problems)
	families, err := m.Registry.Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
	}
	for _, d := range m.Definitions {
		require.True(t, names[d.Name], "nothing tells of %s", d.Name)
	}
	require.True(t, names["temporal_request_total"], "%v", names)
}

// tellAll gives every metric a value.
func tellAll(m *metrics.Metrics, handler client.MetricsHandler) {
	c := m.Cluster("primary")
	c.Ended("Export", time.Second, nil)
	c.Ended("Commit", time.Second, errors.New("no"))
	c.Changed(metrics.ToGit, metrics.Added)
	c.Conflict("")
	c.Defect("pods")
	c.APIRequest("list", "200", time.Second)
	c.GitRequest("refs", "error", time.Second)
	now := time.Now()
	handler.WithTags(map[string]string{"operation": "x", "client_name": "go"}).Counter("temporal_request").Inc(1)
	handler.Timer("temporal_request_latency").Record(time.Second)
	handler.Gauge("temporal_num_pollers").Update(2)
	handler.(workflows.Listener).Tell("primary", workflows.Told{State: workflows.InSync, Strategy: workflows.Push, LastAgreement: &now, Next: time.Second})
}

func TestFailuresAreCountedByTheReasonOfTheStatus(t *testing.T) {
	m := metrics.New("v1")
	c := m.Cluster("a")
	c.Ended("Fetch", 0, temporal.NewApplicationError("no", workflows.AuthFailed))
	c.Ended("Fetch", 0, context.Canceled)
	c.Ended("Fetch", 0, errors.New("?"))
	require.NoError(t, testutil.GatherAndCompare(m.Registry, strings.NewReader(`
# HELP cluster_sync_activity_failures_total Activities that failed, by cluster, activity and reason, as the status tells it. Each is tried again.
# TYPE cluster_sync_activity_failures_total counter
cluster_sync_activity_failures_total{activity="Fetch",cluster="a",reason="ActivityFailed"} 1
cluster_sync_activity_failures_total{activity="Fetch",cluster="a",reason="AuthFailed"} 1
cluster_sync_activity_failures_total{activity="Fetch",cluster="a",reason="Canceled"} 1
`), "cluster_sync_activity_failures_total"))
}

func TestStateIsTheOneThatWasToldLast(t *testing.T) {
	m := metrics.New("v1")
	listener := listen(t, m)
	behind := time.Now().Add(-time.Hour)
	listener.Tell("a", workflows.Told{State: workflows.InSync, Strategy: workflows.Pull, Next: time.Minute})
	listener.Tell("a", workflows.Told{State: workflows.Degraded, Strategy: workflows.Pull, BehindSince: &behind, Failed: 3, Next: time.Minute})
	require.Equal(t, map[string]float64{"Degraded": 1, "InSync": 0, "Blocked": 0, "Paused": 0, "Stopped": 0, "Syncing": 0}, values(t, m, "cluster_sync_state", "state"))
	require.Equal(t, map[string]float64{"none": 0, "push": 0, "pull": 1, "push-pull": 0}, values(t, m, "cluster_sync_strategy", "strategy"))
	require.InDelta(t, 3600, values(t, m, "cluster_sync_lag_seconds", "cluster")["a"], 60)
	require.Equal(t, map[string]float64{"a": 3}, values(t, m, "cluster_sync_failed_objects", "cluster"))
	require.Empty(t, values(t, m, "cluster_sync_last_agreement_timestamp_seconds", "cluster"), "there was none yet")
}

func TestSyncThatStandsStillIsToldFromItsStatus(t *testing.T) {
	m := metrics.New("v1")
	m.Ask("a", workflows.Status{State: workflows.Paused, Strategy: workflows.Push})
	m.Ask("b", workflows.Status{State: workflows.InSync, Strategy: workflows.Push})
	listen(t, m).Tell("c", workflows.Told{State: workflows.Blocked, Next: time.Minute})
	m.Ask("c", workflows.Status{State: workflows.Paused})
	objects := values(t, m, "cluster_sync_objects", "cluster")
	require.Contains(t, objects, "a")
	require.NotContains(t, objects, "b", "it tells by itself, or another worker")
	require.Contains(t, objects, "c")
	require.Equal(t, 1.0, valuesOf(t, m, "cluster_sync_state", "state", "c")["Blocked"], "what was told is newer")
}

// values are those of a metric by one of its labels.
func values(t *testing.T, m *metrics.Metrics, name, label string) map[string]float64 {
	t.Helper()
	return valuesOf(t, m, name, label, "")
}

func valuesOf(t *testing.T, m *metrics.Metrics, name, label, cluster string) map[string]float64 {
	t.Helper()
	families, err := m.Registry.Gather()
	require.NoError(t, err)
	found := map[string]float64{}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			labels := map[string]string{}
			for _, pair := range series.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			if f.GetName() == name && (cluster == "" || labels["cluster"] == cluster) {
				found[labels[label]] = series.GetGauge().GetValue()
			}
		}
	}
	return found
}

func TestReferenceIsUpToDate(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "reference", "metrics.md")
	page := metrics.New("").Reference()
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(page), 0o644))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, page, string(written), "docs/reference/metrics.md is another: UPDATE_DOCS=1 go test ./internal/metrics")
}
