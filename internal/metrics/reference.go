package metrics

import (
	"fmt"
	"strings"
)

// Reference is the page about all metrics, in Markdown.
func (m *Metrics) Reference() string {
	var page strings.Builder
	page.WriteString(`# Metrics

A worker that is started with ` + "`--metrics-addr`" + ` serves these at ` + "`/metrics`" + `. This page is made from the worker's own registry:
` + "`UPDATE_DOCS=1 go test ./internal/metrics`" + ` writes it.

How a sync is doing is known to its workflow, which tells the worker that runs it at the end of each tick and before it
commits or applies. With several workers one of them has these series of a cluster; when another one takes over, those of the first end
within a few ticks. Alert on their absence, too: ` + "`deployments/prometheus/alerts.yaml`" + ` does.

| metric | type | labels | |
|---|---|---|---|
`)
	for _, d := range m.Definitions {
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, strings.Join(d.Labels, ", "), d.Help)
	}
	page.WriteString(`
A histogram has the series ` + "`_bucket`, `_sum` and `_count`" + `; the count of ` + "`cluster_sync_api_request_duration_seconds`" + ` is the number of
requests.

Beside them there are those of the Temporal SDK, ` + "`temporal_…`" + ` ([reference](https://docs.temporal.io/references/sdk-metrics)), and those of
the process and of Go, ` + "`process_…` and `go_…`" + `.
`)
	return page.String()
}
