package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// putOffFor is how long a delivery that was put off, and did not come again,
	// stands for those after it: an API server tries for 81 to 98 seconds.
	putOffFor = 5 * time.Minute
	// skewStep is by how much a skew must differ to be told anew.
	skewStep = 10 * time.Second
)

func setPutOff(s *v1alpha1.AuditSource) {
	setCondition(s, v1alpha1.ReceivingCondition, metav1.ConditionFalse, v1alpha1.ReasonDeliveriesPutOff,
		"Deliveries are put off: they are answered 503 and must come again, within 81 to 98 seconds. The operator's log and /readyz say why.")
}

func setReceiving(s *v1alpha1.AuditSource, stats store.SourceStats, useless bool, now time.Time) {
	switch {
	case stats.LastReceivedAt.IsZero():
		setCondition(s, v1alpha1.ReceivingCondition, metav1.ConditionUnknown, v1alpha1.ReasonNoEventsYet,
			"Nothing came yet. status.usage says how to connect the API server.")
	case now.Sub(stats.LastReceivedAt) > silentAfter:
		setCondition(s, v1alpha1.ReceivingCondition, metav1.ConditionFalse, v1alpha1.ReasonEventsStopped,
			"Nothing came since "+stats.LastReceivedAt.UTC().Format(time.RFC3339)+". See whether the API server runs and reaches the endpoint, and what its log says of audit.")
	case useless:
		setCondition(s, v1alpha1.ReceivingCondition, metav1.ConditionFalse, v1alpha1.ReasonEverythingQuarantined,
			"Something comes, and nothing of it becomes an event: all of it is quarantined, and the quarantine says why.")
	default:
		setCondition(s, v1alpha1.ReceivingCondition, metav1.ConditionTrue, v1alpha1.ReasonEventsArriving, "Events arrive.")
	}
}

// useless reports whether all is quarantined that came from a source since
// something of it was an event.
func (r *sourceReconciler) useless(uid types.UID, stats store.SourceStats) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.useful[uid]
	events := stats.Stored + stats.Duplicate
	if events == 0 {
		return stats.Quarantined > 0
	}
	if !known || events != before.Stored+before.Duplicate {
		if r.useful == nil {
			r.useful = map[types.UID]store.SourceStats{}
		}
		r.useful[uid] = stats
		return false
	}
	return stats.Quarantined > before.Quarantined
}

// tellSkew says whether the source's clock agrees with the operator's. What is
// not known changes nothing.
func (r *sourceReconciler) tellSkew(ctx context.Context, s *v1alpha1.AuditSource) {
	if s.Name == audit.OwnSource {
		return
	}
	skews, err := r.store.Skews(ctx)
	if err != nil {
		return
	}
	ahead, known := skews[s.Name]
	switch {
	case !known:
		s.Status.ClockSkew = ""
		meta.RemoveStatusCondition(&s.Status.Conditions, v1alpha1.ClocksAgreeCondition)
	case !store.IsSkewed(ahead):
		s.Status.ClockSkew = ""
		setCondition(s, v1alpha1.ClocksAgreeCondition, metav1.ConditionTrue, v1alpha1.ReasonClocksAgree, "The source's clock agrees with the operator's.")
	default:
		if told, err := time.ParseDuration(s.Status.ClockSkew); err != nil || (ahead-told).Abs() >= skewStep {
			s.Status.ClockSkew = ahead.Round(skewStep).String()
		}
		setCondition(s, v1alpha1.ClocksAgreeCondition, metav1.ConditionFalse, v1alpha1.ReasonClockSkewed, skewMessage(ahead))
	}
}

// skewMessage holds no number, which changes all the time.
func skewMessage(ahead time.Duration) string {
	what := "The source's clock is behind the operator's, or its events come late: relative time ranges hold what is older."
	if ahead > 0 {
		what = "The source's clock is ahead of the operator's: relative time ranges such as the last hour miss its newest events until then."
	}
	return fmt.Sprintf("%s status.clockSkew says by how much; see the time service of both nodes.", what)
}
