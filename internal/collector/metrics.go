package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/porter-dev/audit-operator/internal/redact"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Metrics tell what became of deliveries. Their labels are bounded: sources are
// those that an administrator made, whoever else posts is no source.
type Metrics struct {
	events     *prometheus.CounterVec
	truncated  *prometheus.CounterVec
	withheld   *prometheus.CounterVec
	skipped    *prometheus.CounterVec
	deliveries *prometheus.HistogramVec
	inFlight   prometheus.Gauge
}

// Values of the label outcome.
const (
	outcomeStored      = "stored"
	outcomeDuplicate   = "duplicate"
	outcomeQuarantined = "quarantined"
	outcomeRefused     = "refused"
)

// NewMetrics registers the collector's metrics. It panics where they are
// registered already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "audit_events_total", Help: "Items that were taken, by source and what became of them: stored, duplicate, quarantined.",
		}, []string{"source", "outcome"}),
		truncated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "audit_events_truncated_total", Help: "Events of which a text was cut or a part left out, by source.",
		}, []string{"source"}),
		withheld: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "audit_events_raw_withheld_total", Help: "Events whose raw was cut because who sent them had used up the hour's allowance, by source.",
		}, []string{"source"}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "audit_items_skipped_total", Help: "Items that their carriers say to be no Kubernetes audit events, by source and reason; they are neither stored nor quarantined.",
		}, []string{"source", "reason"}),
		deliveries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "audit_delivery_duration_seconds", Help: "Time from the first byte of a delivery to its durable commit, by outcome: stored, refused.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, []string{"outcome"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "audit_delivery_bytes_in_flight", Help: "Memory that deliveries hold now, in bytes; at --max-bytes-in-flight sources are put off.",
		}),
	}
	failures := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "audit_redaction_failures_total", Help: "Values that were taken out whole because a rule of redaction failed on them.",
	}, func() float64 { return float64(redact.Failures()) })
	r.MustRegister(m.events, m.truncated, m.withheld, m.skipped, m.deliveries, m.inFlight, failures)
	return m
}

// observe counts a delivery that ended. A nil Metrics counts nothing.
func (m *Metrics) observe(source string, took time.Duration, total store.Appended, err error) {
	if m == nil {
		return
	}
	for outcome, n := range map[string]int{
		outcomeStored: total.Stored, outcomeDuplicate: total.Duplicate, outcomeQuarantined: total.Quarantined,
	} {
		m.events.WithLabelValues(source, outcome).Add(float64(n))
	}
	// A source that has none yet has a series as well, so that a rate begins.
	m.truncated.WithLabelValues(source)
	m.withheld.WithLabelValues(source)
	outcome := outcomeStored
	if err != nil {
		outcome = outcomeRefused
	}
	m.deliveries.WithLabelValues(outcome).Observe(took.Seconds())
}

func (m *Metrics) hold(bytes int64) {
	if m != nil {
		m.inFlight.Add(float64(bytes))
	}
}

// truncate counts an event of which something was cut.
func (m *Metrics) truncate(source string) {
	if m != nil {
		m.truncated.WithLabelValues(source).Inc()
	}
}

// withhold counts one whose raw was cut for the allowance.
func (m *Metrics) withhold(source string) {
	if m != nil {
		m.withheld.WithLabelValues(source).Inc()
	}
}

// skip counts an item that its carrier says to be no audit event.
func (m *Metrics) skip(source, reason string) {
	if m != nil {
		m.skipped.WithLabelValues(source, reason).Inc()
	}
}
