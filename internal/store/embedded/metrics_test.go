package embedded

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// gauges returns the registry's gauges by name and, where there is one, day.
func gauges(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			name := strings.TrimPrefix(family.GetName(), "audit_store_")
			for _, label := range metric.Label {
				name += " " + label.GetValue()
			}
			switch {
			case metric.Gauge != nil:
				values[name] = metric.Gauge.GetValue()
			case metric.Counter != nil:
				values[name] = metric.Counter.GetValue()
			default:
				values[name] = float64(metric.Histogram.GetSampleCount())
			}
		}
	}
	return values
}

// TestMetrics checks what is told of days as they grow, after opening again,
// and when they go.
func TestMetrics(t *testing.T) {
	dir := t.TempDir()
	registry := prometheus.NewPedanticRegistry()
	metrics := NewMetrics(registry)
	s := mustOpen(t, Options{Dir: dir, Metrics: metrics})
	m := newMaker(1)
	batch := m.batch(100)
	yesterday := &batch.Events[0]
	yesterday.OccurredAt = batch.Events[1].OccurredAt.Add(-24 * time.Hour)
	for range 2 { // the second time nothing is new
		if _, err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	day := dayOf(yesterday.OccurredAt)
	was, is := dayStart(day).Format(time.DateOnly), dayStart(day+1).Format(time.DateOnly)
	got := gauges(t, registry)
	want := map[string]float64{
		"commit_duration_seconds committed": 2, "commit_duration_seconds failed": 0,
		"day_rows " + was: 1, "day_rows " + is: 99, "queue_events": 0, "queue_bytes": 0, "snapshots": 0, "snapshot_bytes": 0, "reads_ended_total": 0, "torn_log_bytes": 0, "torn_log_events": 0,
		"day_raw_bytes " + was: float64(s.writer.sizes[day]), "day_raw_bytes " + is: float64(s.writer.sizes[day+1]),
	}
	for _, name := range []string{"database_bytes", "log_bytes", "volume_size_bytes", "volume_free_bytes"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
		delete(got, name)
	}
	if _, told := got["audit_source_clock_skew_seconds bench"]; !told {
		t.Error("nothing is told of the source's clock")
	}
	delete(got, "audit_source_clock_skew_seconds bench")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}

	closed(t, s)
	if got := gauges(t, registry); len(got) != 3 {
		t.Errorf("of a closed store: %v", got)
	}
	s = mustOpen(t, Options{Dir: dir, Metrics: metrics})
	defer closed(t, s)
	got = gauges(t, registry)
	for name, n := range want {
		if got[name] != n {
			t.Errorf("after opening again %s is %v, want %v", name, got[name], n)
		}
	}
	if !s.queue.Reserve(8, 100) {
		t.Fatal("no room in an empty queue")
	}
	if got := gauges(t, registry); got["queue_events"] != 8 || got["queue_bytes"] != 100 {
		t.Errorf("the queue holds 8 items of 100 bytes, not %v", got)
	}
	s.queue.Release(8, 100)
	if _, err := s.Retain(t.Context(), dayStart(day+1)); err != nil {
		t.Fatal(err)
	}
	if _, there := gauges(t, registry)["day_rows "+was]; there {
		t.Error("a day that was dropped is still told of")
	}
}
