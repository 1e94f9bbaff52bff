package controllers

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Metrics tell of the snapshots that queries ask for. No label names a query:
// there is no bound to those.
type Metrics struct {
	snapshots *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	orphans   prometheus.Gauge
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
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "audit_snapshots_refused_total", Help: "Snapshots that there was no room for, by reason: QuotaExceeded, SpaceReserved.",
	}, []string{"reason"})
	for _, reason := range []string{v1alpha1.ReasonQuotaExceeded, v1alpha1.ReasonSpaceReserved} {
		m.refusals.WithLabelValues(reason)
	}
	m.orphans = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "audit_snapshot_orphans", Help: "Snapshots whose query does not exist, as the leader last saw.",
	})
	for _, outcome := range []string{outcomeTaken, outcomeFailed} {
		m.snapshots.WithLabelValues(outcome)
	}
	r.MustRegister(m.snapshots, m.refusals, m.orphans)
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

// refused counts a snapshot that there was no room for.
func (m *Metrics) refused(reason string) {
	if m != nil {
		m.refusals.WithLabelValues(reason).Inc()
	}
}

// orphaned says how many snapshots have no query.
func (m *Metrics) orphaned(n int) {
	if m != nil {
		m.orphans.Set(float64(n))
	}
}

// outcomeOf says what an attempt to answer a query came to.
func outcomeOf(failure error) door.Outcome {
	var stalled *stalledError
	var room *roomError
	var wait *waiting
	var early *provisional
	if errors.As(failure, &early) {
		return door.Answered
	}
	if _, ok := fieldProblems(failure); ok || errors.As(failure, &stalled) || errors.As(failure, &room) || errors.As(failure, &wait) ||
		errors.Is(failure, errNoTurn) || errors.Is(failure, store.ErrQuota) || errors.Is(failure, store.ErrReserved) {
		return door.Refused
	}
	if failure != nil {
		return door.Failed
	}
	return door.Answered
}
