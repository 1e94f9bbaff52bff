package admission

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	readsRunning = prometheus.NewDesc("audit_reads_running", "Reads of the store that run, by who asks: people (pages and the API), queries.", []string{"kind"}, nil)
	readsWaiting = prometheus.NewDesc("audit_reads_waiting", "Reads of the store that wait for their turn, by who asks: people, queries.", []string{"kind"}, nil)
)

// Metrics tell how many reads run, wait and are refused. They are one gate's.
type Metrics struct {
	refusals *prometheus.CounterVec
	waits    *prometheus.HistogramVec
	gate     atomic.Pointer[Gate]
}

// NewMetrics registers the metrics. It panics where they are registered already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "audit_reads_refused_total", Help: "Reads that were refused, by who asks and by the reason: queue_full, waited.",
		}, []string{"kind", "reason"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "audit_read_wait_seconds", Help: "Time that reads waited for their turn, by who asks.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"kind"}),
	}
	for _, kind := range kinds {
		m.waits.WithLabelValues(string(kind))
		for _, reason := range []string{reasonFull, reasonWaited} {
			m.refusals.WithLabelValues(string(kind), reason)
		}
	}
	r.MustRegister(m.refusals, m.waits, m)
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- readsRunning
	descriptions <- readsWaiting
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	g := m.gate.Load()
	if g == nil {
		return
	}
	for _, kind := range kinds {
		running, waiting := g.count(kind)
		metrics <- prometheus.MustNewConstMetric(readsRunning, prometheus.GaugeValue, float64(running), string(kind))
		metrics <- prometheus.MustNewConstMetric(readsWaiting, prometheus.GaugeValue, float64(waiting), string(kind))
	}
}

func (m *Metrics) watch(g *Gate) {
	if m != nil {
		m.gate.Store(g)
	}
}

func (m *Metrics) refused(kind Kind, reason string) {
	if m != nil {
		m.refusals.WithLabelValues(string(kind), reason).Inc()
	}
}

func (m *Metrics) waited(kind Kind, d time.Duration) {
	if m != nil {
		m.waits.WithLabelValues(string(kind)).Observe(d.Seconds())
	}
}
