package metrics_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/active-cluster-sync/active-cluster-sync/internal/metrics"
)

// named finds what has the form of a metric of the worker in an expression.
var named = regexp.MustCompile(`\b(cluster_sync|temporal|process|go)_[a-z0-9_]+\b`)

// requireMetrics fails for an expression that names a metric or a label that the worker doesn't have.
func requireMetrics(t *testing.T, expr string) {
	t.Helper()
	m := metrics.New("v1")
	handler, err := m.Handler()
	require.NoError(t, err)
	tellAll(m, handler)
	families, err := m.Registry.Gather()
	require.NoError(t, err)
	known := map[string]bool{}
	for _, f := range families {
		known[f.GetName()] = true
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			known[f.GetName()+suffix] = f.GetType().String() == "HISTOGRAM"
		}
	}
	names := named.FindAllString(expr, -1)
	require.NotEmpty(t, names, "%s names no metric", expr)
	for _, name := range names {
		require.True(t, known[name], "%s is no metric of the worker: %s", name, expr)
	}
	labels := map[string]bool{"le": true, "instance": true}
	for _, d := range m.Definitions {
		for _, label := range d.Labels {
			labels[label] = true
		}
	}
	for _, group := range regexp.MustCompile(`(?:by|on) \(([a-z, ]+)\)`).FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(group[1], ", ") {
			require.True(t, labels[label], "%s is no label: %s", label, expr)
		}
	}
}

func TestDashboardNamesMetricsThatThereAre(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deployments", "grafana", "dashboard.json"))
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.Greater(t, len(dashboard.Panels), 10)
	for _, panel := range dashboard.Panels {
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			requireMetrics(t, target.Expr)
		}
	}
	for _, variable := range dashboard.Templating.List {
		if variable.Name == "cluster" {
			requireMetrics(t, variable.Query)
		}
	}
	for _, d := range metrics.New("").Definitions {
		if d.Name != "cluster_sync_strategy" && d.Name != "cluster_sync_last_agreement_timestamp_seconds" {
			require.Contains(t, string(text), d.Name, "the dashboard leaves it out")
		}
	}
}

func TestAlertsNameMetricsThatThereAre(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deployments", "prometheus", "alerts.yaml"))
	require.NoError(t, err)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &rules))
	alerts := map[string]bool{}
	for _, rule := range rules.Groups[0].Rules {
		requireMetrics(t, rule.Expr)
		require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		alerts[rule.Alert] = true
	}
	for _, alert := range []string{"ClusterSyncBlocked", "ClusterSyncLag", "ClusterSyncGone"} {
		require.True(t, alerts[alert], alert)
	}
}
