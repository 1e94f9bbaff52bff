package controllers

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/porter-dev/audit-operator/internal/door"
)

// Metrics tell of the snapshots that queries ask for. No label names a query:
// there is no bound to those.
type Metrics struct {
	snapshots *prometheus.HistogramVec
}

// Values of the label outcome.
const (
	outcomeTaken  = "taken"
	outcomeFailed = "failed"
)

// NewMetrics registers the controllers' metrics. It panics where they are
// registered already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		snapshots: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "audit_snapshot_duration_seconds", Help: "Time that a snapshot takes until it is durable, by outcome: taken, failed.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{outcomeTaken, outcomeFailed} {
		m.snapshots.WithLabelValues(outcome)
	}
	r.MustRegister(m.snapshots)
	return m
}

// took counts an attempt. A question that can't be answered as it is asked is
// no failure of the operator.
func (m *Metrics) took(duration time.Duration, err error) {
	outcome := outcomeTaken
	switch outcomeOf(err) {
	case door.Refused:
		return
	case door.Failed:
		outcome = outcomeFailed
	}
	if m != nil {
		m.snapshots.WithLabelValues(outcome).Observe(duration.Seconds())
	}
}

// outcomeOf says what an attempt to answer a query came to.
func outcomeOf(failure error) door.Outcome {
	var stalled *stalledError
	if _, ok := fieldProblems(failure); ok || errors.As(failure, &stalled) {
		return door.Refused
	}
	if failure != nil {
		return door.Failed
	}
	return door.Answered
}
