package webhook

import "github.com/prometheus/client_golang/prometheus"

// What the registry tells of each source. Sources are those that an
// administrator made; whoever else posts is none of them.
var (
	lastDelivery = prometheus.NewDesc("audit_source_last_delivery_timestamp_seconds",
		"When a delivery of the source was last acknowledged; until there is one, when the operator began to await it.", []string{"source"}, nil)
	refusedRequests = prometheus.NewDesc("audit_source_requests_refused_total",
		"Requests in the source's name that got an error and must come again, for whatever reason.", []string{"source"}, nil)
)

// Describe implements prometheus.Collector.
func (r *Registry) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- lastDelivery
	descriptions <- refusedRequests
}

// Collect implements prometheus.Collector.
func (r *Registry) Collect(metrics chan<- prometheus.Metric) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name, t := range r.traffic {
		metrics <- prometheus.MustNewConstMetric(lastDelivery, prometheus.GaugeValue, float64(t.delivered.UnixMilli())/1000, name)
		metrics <- prometheus.MustNewConstMetric(refusedRequests, prometheus.CounterValue, float64(t.refused), name)
	}
}
