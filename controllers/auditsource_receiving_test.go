package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A source is not receiving while nothing of what comes becomes an event.
func TestUseless(t *testing.T) {
	r := &sourceReconciler{}
	for i, step := range []struct {
		stats store.SourceStats
		want  bool
	}{
		{store.SourceStats{}, false},
		{store.SourceStats{Quarantined: 3}, true}, // from the beginning
		{store.SourceStats{Quarantined: 3, Stored: 1}, false},
		{store.SourceStats{Quarantined: 3, Stored: 1}, false}, // nothing new
		{store.SourceStats{Quarantined: 4, Stored: 1}, true},
		{store.SourceStats{Quarantined: 9, Stored: 1}, true},
		{store.SourceStats{Quarantined: 9, Stored: 1, Duplicate: 1}, false},
		{store.SourceStats{Quarantined: 9, Stored: 2, Duplicate: 1}, false},
	} {
		if got := r.useless("1", step.stats); got != step.want {
			t.Errorf("step %d, %+v: %t, want %t", i, step.stats, got, step.want)
		}
		s := &v1alpha1.AuditSource{}
		now := time.Now()
		step.stats.LastReceivedAt = now
		setReceiving(s, step.stats, step.want, now)
		if got := meta.IsStatusConditionFalse(s.Status.Conditions, v1alpha1.ReceivingCondition); got != step.want {
			t.Errorf("step %d: Receiving is False: %t", i, got)
		}
	}
}

// skewed is a store that knows skews and nothing else.
type skewed struct {
	store.Reader
	skews map[string]time.Duration
}

func (s skewed) Skews(context.Context) (map[string]time.Duration, error) { return s.skews, nil }

func TestTellSkew(t *testing.T) {
	s := &v1alpha1.AuditSource{}
	s.Name = "a"
	for i, step := range []struct {
		skews  map[string]time.Duration
		want   string
		agrees bool
		absent bool
	}{
		{nil, "", false, true},
		{map[string]time.Duration{"a": -time.Second, "b": time.Hour}, "", true, false},
		{map[string]time.Duration{"a": 92 * time.Second}, "1m30s", false, false},
		{map[string]time.Duration{"a": 99 * time.Second}, "1m30s", false, false}, // not told anew
		{map[string]time.Duration{"a": 100 * time.Second}, "1m40s", false, false},
		{map[string]time.Duration{"a": -time.Hour}, "-1h0m0s", false, false},
		{map[string]time.Duration{"a": store.MaxSkewAhead}, "", true, false},
		{nil, "", false, true},
	} {
		(&sourceReconciler{store: skewed{skews: step.skews}}).tellSkew(t.Context(), s)
		c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ClocksAgreeCondition)
		if s.Status.ClockSkew != step.want || (c == nil) != step.absent || c != nil && (c.Status == "True") != step.agrees {
			t.Errorf("step %d: clockSkew %q, condition %+v", i, s.Status.ClockSkew, c)
		}
	}
}

// TestIssuedMessage tells of files to copy anew only while there are some.
func TestIssuedMessage(t *testing.T) {
	secret := v1alpha1.SecretReference{Namespace: "audit-system", Name: "audit-source-a"}
	if got := issuedMessage(secret, time.Time{}); strings.Contains(got, "anew") {
		t.Errorf("without a renewal: %s", got)
	}
	if got := issuedMessage(secret, time.Date(2035, 1, 2, 0, 0, 0, 0, time.UTC)); !strings.Contains(got, "before 2035-01-02") {
		t.Errorf("during a renewal: %s", got)
	}
}
