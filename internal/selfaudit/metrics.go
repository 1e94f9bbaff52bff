package selfaudit

import "github.com/prometheus/client_golang/prometheus"

// Metrics count the operator's own records.
type Metrics struct {
	records *prometheus.CounterVec
}

// NewMetrics registers the metrics. It panics where they are registered already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{records: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "audit_own_records_total", Help: "The operator's own records of exports, downloads, deletions of snapshots, log-ins and looks, by action and outcome: stored, failed.",
	}, []string{"action", "outcome"})}
	for _, action := range []Action{Export, Login, Download, View, Delete} {
		for _, outcome := range []string{outcomeStored, outcomeFailed} {
			m.records.WithLabelValues(string(action), outcome)
		}
	}
	r.MustRegister(m.records)
	return m
}

// Values of the label outcome.
const (
	outcomeStored = "stored"
	outcomeFailed = "failed"
)

// count counts a record. A nil Metrics counts nothing.
func (m *Metrics) count(action Action, err error) {
	if m == nil {
		return
	}
	outcome := outcomeStored
	if err != nil {
		outcome = outcomeFailed
	}
	m.records.WithLabelValues(string(action), outcome).Inc()
}
