package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWrongUsageSaysWhatToDo(t *testing.T) {
	for says, args := range map[string][]string{
		"no cluster to serve":        {},
		"is not a DNS label":         {"--cluster", "team/primary"},
		"is given twice":             {"--cluster", "a=x", "--cluster", "a=y"},
		"unknown log level":          {"--cluster", "a", "--log-level", "loud"},
		"unknown log format":         {"--cluster", "a", "--log-format", "xml"},
		"less than nothing":          {"--cluster", "a", "--stop-timeout", "-1s"},
		"name that with --deploymen": {"--cluster", "a", "--build-id", "7"},
		"without '.' and ':'":        {"--cluster", "a", "--deployment-name", "prod.eu"},
		"unexpected argument":        {"--cluster", "a", "b"},
		"flag provided but not defi": {"--nonsense"},
	} {
		err := command().RunContext(t.Context(), append([]string{"worker"}, args...))
		require.ErrorContains(t, err, says)
		require.Equal(t, 2, exitStatus(err), says)
	}
}

func TestAMissingKubeconfigIsToldBeforeAnythingIsWaitedFor(t *testing.T) {
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	missing := filepath.Join(t.TempDir(), "kubeconfig")
	err := command().RunContext(t.Context(), []string{"worker", "--cluster", "a", "--kubeconfig", missing, "--data-dir", t.TempDir()})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, 1, exitStatus(err))
}

func TestMetricsAreServed(t *testing.T) {
	m := newPage()
	c := m.Cluster("primary")
	c.Ended("Export", 20*time.Millisecond, nil)
	c.Ended("Commit", time.Second, io.EOF)
	c.Defect("deployments.apps")
	c.Conflict("git")
	c.Conflict("")
	address, stop, err := m.serve("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer stop()
	response, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(page), `cluster_sync_activity_duration_seconds_count{activity="Export",cluster="primary",result="ok"} 1`)
	require.Contains(t, string(page), `cluster_sync_activity_duration_seconds_count{activity="Commit",cluster="primary",result="error"} 1`)
	require.Contains(t, string(page), `cluster_sync_index_defects_total{cluster="primary",resource="deployments.apps"} 1`)
	require.Contains(t, string(page), `cluster_sync_conflicts_total{cluster="primary",winner="git"} 1`)
	require.Contains(t, string(page), `cluster_sync_conflicts_total{cluster="primary",winner="none"} 1`)

	_, _, err = m.serve(address, nil)
	require.ErrorContains(t, err, "metrics can't be served")
}

func TestTracesByAnotherProtocolAreRefused(t *testing.T) {
	interceptors, _, err := tracing(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, interceptors, "no endpoint, no traces")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	_, _, err = tracing(t.Context(), nil)
	require.ErrorContains(t, err, "4318")
}
