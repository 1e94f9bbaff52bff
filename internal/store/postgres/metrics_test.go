package postgres

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// values returns what a registry tells, by name and label.
func values(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			name := strings.TrimPrefix(family.GetName(), "audit_store_")
			for _, label := range metric.Label {
				name += " " + label.GetValue()
			}
			all[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// TestMetrics checks what is told of a store, of its server's end, and when it
// is closed.
func TestMetrics(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	registry := prometheus.NewPedanticRegistry()
	metrics := NewMetrics(registry)
	url := server.Database(t)
	if err := Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, Options{URL: url, Now: func() time.Time { return testNow }, Log: testr.New(t), Metrics: metrics})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !metrics.held().known; <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the sizes are not read")
		}
	}
	yesterday := testNow.AddDate(0, 0, -1)
	events := generated(t, 1, yesterday, 200)
	events = append(events, plain(1, testNow))
	mustAppend(t, s, store.Appended{Stored: 201}, events...)
	// The statistics follow in their own time, and are read again in a minute.
	if _, err := s.pool.Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	held, err := readSizes(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	metrics.mu.Lock()
	metrics.sizes = held
	metrics.mu.Unlock()

	was, is := yesterday.Format(time.DateOnly), testNow.Format(time.DateOnly)
	got := values(t, registry)
	for _, name := range []string{"database_bytes", "day_raw_bytes " + was, "day_raw_bytes " + is} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
		delete(got, name)
	}
	delete(got, "connections idle")
	delete(got, "connection_waits_total") // opening one counts
	delete(got, "connection_wait_seconds_total")
	want := map[string]float64{
		"commit_duration_seconds committed": 1, "commit_duration_seconds failed": 0, "queue_events": 0, "queue_bytes": 0,
		"day_rows " + was: 200, "day_rows " + is: 1, "snapshots": 0, "snapshot_bytes": 0, "up": 1,
		"connections used": 0, "connections opening": 0, "connections_max": defaultMaxConns,
		"audit_source_clock_skew_seconds s": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}

	server.Kill(t)
	if _, err := s.Append(t.Context(), batchOf(plain(2, testNow))); err == nil {
		t.Error("a dead server takes events")
	}
	if got := values(t, registry); got["up"] != 0 || got["commit_duration_seconds failed"] != 1 || got["day_rows "+is] != 1 {
		t.Errorf("after the server's end: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := values(t, registry); len(got) != 2 {
		t.Errorf("of a closed store: %v", got)
	}
}

// The handbook has each metric, and no other in the section about PostgreSQL.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/operations/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	registered := make(chan *prometheus.Desc, 100)
	NewMetrics(prometheus.NewRegistry()).Describe(registered)
	close(registered)
	names := map[string]bool{}
	for description := range registered {
		name := regexp.MustCompile(`fqName: "([a-z_]+)"`).FindStringSubmatch(description.String())[1]
		names[name] = true
		if !strings.Contains(string(text), "`"+name) {
			t.Errorf("docs/operations/metrics.md does not say what %s is", name)
		}
	}
	_, section, _ := strings.Cut(string(text), "\n## With PostgreSQL\n")
	section, _, _ = strings.Cut(section, "\n## ")
	mentioned := regexp.MustCompile("`(audit_[a-z_]+)").FindAllStringSubmatch(section, -1)
	for _, name := range mentioned {
		if !names[name[1]] {
			t.Errorf("docs/operations/metrics.md speaks of %s, which does not exist", name[1])
		}
	}
	if len(mentioned) < 5 {
		t.Errorf("the section about PostgreSQL speaks of %d metrics only", len(mentioned))
	}
}
