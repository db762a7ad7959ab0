package metrics

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Handler takes the metrics of the Temporal SDK, temporal_…, and what the workflows tell.
func (m *Metrics) Handler() (client.MetricsHandler, error) {
	exporter, err := prometheus.New(prometheus.WithRegisterer(m.Registry), prometheus.WithoutTargetInfo(), prometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("the metrics of the Temporal SDK can't be had: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram},
		// Each series is there once for each cluster, so there are few of them.
		sdkmetric.Stream{
			Aggregation:     sdkmetric.AggregationExplicitBucketHistogram{Boundaries: []float64{.005, .025, .1, .5, 2.5, 10, 60}},
			AttributeFilter: attribute.NewDenyKeysFilter("client_name"),
		},
	)))
	return handler{
		MetricsHandler: opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
			Meter: provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true, OnError: func(error) {},
		}),
		fleet: m.fleet,
	}, nil
}

// handler passes on what the SDK measures and keeps what the workflows tell.
type handler struct {
	client.MetricsHandler
	fleet *fleet
}

var _ workflows.Listener = handler{}

// Tell implements workflows.Listener.
func (h handler) Tell(cluster string, told workflows.Told) { h.fleet.tell(cluster, told) }

// WithTags implements client.MetricsHandler.
func (h handler) WithTags(tags map[string]string) client.MetricsHandler {
	return handler{h.MetricsHandler.WithTags(tags), h.fleet}
}

// Ask takes over a status that was asked for: of a sync that stands still and so tells nothing by itself.
func (m *Metrics) Ask(cluster string, status workflows.Status) {
	told := status.Told()
	if told.State != workflows.Stopped && told.State != workflows.Paused {
		return // it tells at its next tick
	}
	m.fleet.tellFirst(cluster, told)
}
