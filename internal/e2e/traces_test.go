package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// collector takes traces by OTLP over HTTP.
type collector struct {
	mu       sync.Mutex
	services map[string]bool
	spans    map[string]string // the cluster's workflow by the span's name
	text     strings.Builder
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := new(collectorpb.ExportTraceServiceRequest)
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.WriteString(request.String())
	for _, of := range request.GetResourceSpans() {
		for _, attribute := range of.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				c.services[attribute.GetValue().GetStringValue()] = true
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				for _, attribute := range span.GetAttributes() {
					if attribute.GetKey() == "temporalWorkflowID" {
						c.spans[span.GetName()] = attribute.GetValue().GetStringValue()
					}
				}
			}
		}
	}
}

func TestTracesGoWhereTheEnvironmentSays(t *testing.T) {
	on, name, repo := clusters["primary"], "traced", newRepo(t)
	c := &collector{services: map[string]bool{}, spans: map[string]string{}}
	server := httptest.NewServer(c)
	defer server.Close()
	newNamespace(t, on, name)
	w := startWorkerWith(t, name, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL, "OTEL_BSP_SCHEDULE_DELAY=100"},
		"--cluster", name+"="+on.context, "--kubeconfig", on.kubeconfig, "--data-dir", t.TempDir())
	enroll(t, name, on, repo, workflows.Push)
	reaches(t, name, inSync)
	seen := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, span := range []string{"RunActivity:Export", "RunActivity:Fetch", "RunActivity:Commit"} {
			if c.spans[span] != workflows.WorkflowID(name) {
				return false
			}
		}
		return true
	}
	eventually(t, seen, func() string { c.mu.Lock(); defer c.mu.Unlock(); return c.text.String() + w.log.String() })
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, map[string]bool{"active-cluster-sync-worker": true}, c.services)
	require.NotContains(t, c.text.String(), token)
}
