package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// observed starts a worker with metrics and answers with where they are.
func observed(t *testing.T, name string, on *cluster, more ...string) (w *worker, url string) {
	t.Helper()
	w = startWorkerWith(t, name, nil, append([]string{"--cluster", name + "=" + on.context, "--kubeconfig", on.kubeconfig,
		"--data-dir", t.TempDir(), "--metrics-addr", "127.0.0.1:0"}, more...)...)
	address := regexp.MustCompile(`"msg":"serving metrics","address":"([^"]+)"`)
	var found []string
	eventually(t, func() bool { found = address.FindStringSubmatch(w.log.String()); return found != nil }, w.log.String)
	return w, "http://" + found[1] + "/metrics"
}

// scrape reads all metrics as Prometheus does.
func scrape(t *testing.T, url string) (families map[string]*dto.MetricFamily, page []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	page, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err = parser.TextToMetricFamilies(bytes.NewReader(page))
	require.NoError(t, err, "%s", page)
	return families, page
}

// sample is the value of the series that has some labels, "name=value" each: of a histogram its count. It is -1
// where there is no such series.
func sample(families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	for _, m := range families[name].GetMetric() {
		has := map[string]bool{}
		for _, pair := range m.GetLabel() {
			has[pair.GetName()+"="+pair.GetValue()] = true
		}
		matches := true
		for _, label := range labels {
			matches = matches && has[label]
		}
		if !matches {
			continue
		}
		if h := m.GetHistogram(); h != nil {
			return float64(h.GetSampleCount())
		}
		return m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return -1
}

func TestMetricsOfAWorkerTellWhatItDoes(t *testing.T) {
	on, name, repo := clusters["primary"], "observed", newRepo(t)
	newNamespace(t, on, name)
	create(t, on, configMaps, configMap(name, "counted", "a"))
	_, url := observed(t, name, on)
	enroll(t, name, on, repo, workflows.Push)
	reaches(t, name, inSync)

	cluster := "cluster=" + name
	var all map[string]*dto.MetricFamily
	var page []byte
	is := func(state workflows.SyncState) func() bool {
		return func() bool {
			all, page = scrape(t, url)
			return sample(all, "cluster_sync_state", cluster, "state="+string(state)) == 1
		}
	}
	explain := func() string { return string(page) }
	eventually(t, is(workflows.InSync), explain)
	for _, c := range []struct {
		name   string
		labels []string
		atMost float64
	}{
		{"cluster_sync_strategy", []string{"strategy=push"}, 1},
		{"cluster_sync_objects", nil, 10_000},
		{"cluster_sync_last_agreement_timestamp_seconds", nil, float64(time.Now().Add(time.Minute).Unix())},
		{"cluster_sync_changes_total", []string{"direction=to_git", "action=added"}, 10_000},
		{"cluster_sync_activity_duration_seconds", []string{"activity=Export", "result=ok"}, 10_000},
		{"cluster_sync_activity_duration_seconds", []string{"activity=Commit", "result=ok"}, 100},
		{"cluster_sync_api_request_duration_seconds", []string{"verb=watch", "code=200"}, 10_000},
		{"cluster_sync_api_request_duration_seconds", []string{"verb=discovery", "code=200"}, 10_000},
		{"cluster_sync_git_request_duration_seconds", []string{"kind=refs", "code=200"}, 10_000},
		{"cluster_sync_git_request_duration_seconds", []string{"kind=push", "code=200"}, 100},
	} {
		value := sample(all, c.name, append(c.labels, cluster)...)
		require.True(t, value > 0 && value <= c.atMost, "%s %v is %v", c.name, c.labels, value)
	}
	for _, c := range []struct {
		name   string
		labels []string
	}{
		{"cluster_sync_state", []string{"state=Blocked"}},
		{"cluster_sync_lag_seconds", nil},
		{"cluster_sync_failed_objects", nil},
		{"cluster_sync_waiting_conflicts", nil},
		{"cluster_sync_pending_deletions", nil},
		{"cluster_sync_changes_total", []string{"direction=to_cluster", "action=deleted"}},
	} {
		require.Zero(t, sample(all, c.name, append(c.labels, cluster)...), "%s %v", c.name, c.labels)
	}
	require.Equal(t, 1.0, sample(all, "cluster_sync_build_info"))
	require.Positive(t, sample(all, "temporal_request_total", "operation=RespondWorkflowTaskCompleted"), "%s", page)
	require.Positive(t, sample(all, "temporal_activity_execution_latency_seconds", "activity_type=Export"), "%s", page)
	require.Positive(t, sample(all, "go_goroutines"))

	problems, err := promlint.New(bytes.NewReader(page)).Lint()
	require.NoError(t, err)
	problems = slices.DeleteFunc(problems, func(p promlint.Problem) bool { // the SDK has none to give
		return strings.HasPrefix(p.Metric, "temporal_") && p.Text == "no help text"
	})
	require.Empty(t, problems)
	require.NotContains(t, string(page), token)

	// What goes wrong shows with its reason, and the lag grows until it is mended.
	right, err := os.ReadFile(stack.TokenFile(repo))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(stack.TokenFile(repo), []byte("acs_another"), 0o600))
	eventually(t, is(workflows.Blocked), explain)
	require.Positive(t, sample(all, "cluster_sync_activity_failures_total", cluster, "activity=Fetch", "reason=AuthFailed"))
	require.Positive(t, sample(all, "cluster_sync_git_request_duration_seconds", cluster, "kind=refs", "code=401"))
	require.NoError(t, os.WriteFile(stack.TokenFile(repo), right, 0o600))
	update(t, name, workflows.PauseMessage)
	eventually(t, is(workflows.Paused), explain)

	// A worker that starts while a sync stands still asks for its state.
	_, url = observed(t, name, on)
	eventually(t, is(workflows.Paused), explain)
}

func TestLogOfAWorkerHasALineForEachActivityAndEachObject(t *testing.T) {
	on, name, repo, ns := clusters["primary"], "logged", newRepo(t), "logged"
	w, _ := observed(t, name, on, "--log-level", "info")
	newNamespace(t, on, ns)
	enroll(t, name, on, repo, workflows.Push)
	reaches(t, name, inSync)
	create(t, on, configMaps, configMap(ns, "watched", "a"))
	committed := func() map[string]any {
		for _, line := range logLines(t, w) {
			if line["msg"] == "object committed" && line["object"] == "configmaps "+ns+"/watched" {
				return line
			}
		}
		return nil
	}
	eventually(t, func() bool { return committed() != nil }, w.log.String)
	require.Equal(t, map[string]any{"cluster": name, "direction": "to_git", "action": "added", "level": "INFO"},
		only(committed(), "cluster", "direction", "action", "level"))
	activities := map[string]int{}
	for _, line := range logLines(t, w) {
		activity, ok := line["activity"].(string)
		if !ok || line["level"] == "ERROR" || line["ActivityType"] != nil {
			continue
		}
		activities[activity]++
		require.Equal(t, name, line["cluster"], line)
		_, err := time.ParseDuration(line["duration"].(string))
		require.NoError(t, err, line)
		for _, fact := range map[string][]string{
			"Export": {"tree", "objects"}, "Fetch": {"revision"}, "Commit": {"revision", "added", "updated", "deleted"},
		}[activity] {
			require.Contains(t, line, fact, line)
		}
	}
	for _, activity := range []string{"Export", "Fetch", "Commit"} {
		require.Positive(t, activities[activity], "%v", activities)
	}
	require.NotContains(t, w.log.String(), token)
}

// logLines are the lines of a worker's log, each of which has to be JSON.
func logLines(t *testing.T, w *worker) []map[string]any {
	t.Helper()
	text := w.log.String()
	text = text[:strings.LastIndexByte(text, '\n')+1]
	var lines []map[string]any
	for line := range strings.Lines(text) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		lines = append(lines, entry)
	}
	return lines
}

func only(entry map[string]any, keys ...string) map[string]any {
	chosen := map[string]any{}
	for _, key := range keys {
		chosen[key] = entry[key]
	}
	return chosen
}
