package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestRegistryMetrics(t *testing.T) {
	began := time.Now()
	s := serve(t, 0)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.registry)
	last := func() map[string]time.Time {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		at := map[string]time.Time{}
		for _, family := range families {
			if family.GetName() == "audit_source_last_delivery_timestamp_seconds" {
				for _, metric := range family.Metric {
					at[metric.Label[0].GetValue()] = time.UnixMilli(int64(metric.Gauge.GetValue() * 1000))
				}
			}
		}
		return at
	}
	known := last()
	if len(known) != 2 || known["second"].Before(began.Add(-time.Millisecond)) {
		t.Errorf("sources that delivered nothing: %v, want them from %v on", known, began)
	}
	s.post(t, s.client, "kube-apiserver", token+"x", strings.NewReader(list(item(1))))
	s.post(t, s.client, "no-source", token, strings.NewReader(list(item(1))))
	if refused := last(); !refused["kube-apiserver"].Equal(known["kube-apiserver"]) {
		t.Error("a refused delivery counts as one")
	}
	if !time.Now().After(known["kube-apiserver"].Add(time.Millisecond)) {
		t.Fatal("the clock stands still")
	}
	s.post(t, s.client, "kube-apiserver", token, strings.NewReader(list(item(1))))
	if now := last(); !now["kube-apiserver"].After(known["kube-apiserver"]) || !now["second"].Equal(known["second"]) {
		t.Errorf("after a delivery of kube-apiserver: %v, before: %v", now, known)
	}
	const want = `
# HELP audit_source_requests_refused_total Requests in the source's name that got an error and must come again, for whatever reason.
# TYPE audit_source_requests_refused_total counter
audit_source_requests_refused_total{source="kube-apiserver"} 1
audit_source_requests_refused_total{source="second"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "audit_source_requests_refused_total"); err != nil {
		t.Error(err)
	}
	s.registry.Delete("second")
	if _, there := last()["second"]; there {
		t.Error("a source that was deleted is still told of")
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
