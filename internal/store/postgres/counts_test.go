package postgres

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// TestCounts compares what roll-ups and edges add up to with a plain count: for
// each way to combine them, windows of all kinds, and deltas that are not, in
// part, or all merged.
func TestCounts(t *testing.T) {
	s := openAt(t, newDatabase(t))
	events := generated(t, 1, testNow, 2000)
	for i := range events { // over two days
		events[i].OccurredAt = testNow.Add(-time.Duration(i) * 91 * time.Second)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for some := range slices.Chunk(events, 400) {
		mustAppend(t, s, store.Appended{Stored: len(some)}, some...)
	}
	for _, degree := range []struct {
		name  string
		merge int // about so many counts of each day
	}{{"not merged", 0}, {"merged in part", 1}, {"all merged", 1_000_000}} {
		t.Run(degree.name, func(t *testing.T) {
			mergeSome(t, s, degree.merge)
			checkCounts(t, s, events)
			checkRollups(t, s)
		})
	}
	if n := ask[int](t, s, "SELECT count(*) FROM audit_rollup_deltas"); n > 0 {
		t.Errorf("%d deltas are left at the end", n)
	}
}

func mergeSome(t *testing.T, s *Store, limit int) {
	t.Helper()
	if limit == 0 {
		return
	}
	for _, day := range ask[[]time.Time](t, s, "SELECT array_agg(DISTINCT day) FROM audit_rollup_deltas") {
		if err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
			_, err := mergeDay(t.Context(), tx, day, limit)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// countedScopes and filters take all the ways: all of it, by place, by actor,
// all without few places or few actors, rows alone.
var countedScopes = map[string]query.Scope{"everywhere": query.ClusterWide(), "in kube-system": query.InNamespaces("prod", "kube-system")}

var countedFilters = map[string]query.Filter{
	"all":               {},
	"no GET":            {Exclude: query.Terms{Methods: []string{"GET"}}},
	"a place":           {Terms: query.Terms{Namespaces: []string{"team-1"}}},
	"without places":    {Exclude: query.Terms{Namespaces: []string{"team-1", query.NoNamespace}}},
	"an actor":          {Terms: query.Terms{Actors: []string{"system:kube-scheduler"}}},
	"without nodes":     {Exclude: query.Terms{Actors: []string{"system:node:*"}, Methods: []string{"GET"}}},
	"place and actor":   {Terms: query.Terms{Namespaces: []string{"kube-node-lease"}}, Exclude: query.Terms{Actors: []string{"system:node:*"}}},
	"of rows":           {Terms: query.Terms{ResourceNames: []string{"*"}}},
	"nothing like that": {Terms: query.Terms{Clusters: []string{"none"}}},
}

var countedWindows = map[string]query.Window{
	"whole days":     {From: audit.Day(testNow).AddDate(0, 0, -2), To: audit.Day(testNow)},
	"odd minutes":    {From: testNow.Add(-49*time.Hour - 17*time.Minute), To: testNow.Add(-2*time.Hour - 41*time.Minute)},
	"until now":      {From: testNow.Add(-27 * time.Hour), To: testNow},
	"beyond now":     {From: testNow.Add(-100 * time.Hour), To: testNow.Add(100 * time.Hour)},
	"within an hour": {From: testNow.Add(-2*time.Hour - 59*time.Minute), To: testNow.Add(-2*time.Hour - 50*time.Minute)},
	"about an hour":  {From: testNow.Add(-3*time.Hour - 20*time.Minute), To: testNow.Add(-2*time.Hour - 2*time.Minute)},
}

func checkCounts(t *testing.T, s *Store, events []audit.Event) {
	t.Helper()
	for windowName, window := range countedWindows {
		for filterName, filter := range countedFilters {
			for scopeName, scope := range countedScopes {
				name := windowName + ", " + filterName + ", " + scopeName
				matching := func(f query.Filter) []audit.Event {
					return slices.DeleteFunc(slices.Clone(events), func(e audit.Event) bool {
						return e.OccurredAt.Before(window.From) || !e.OccurredAt.Before(window.To) || !storetest.Match(&e, scope, &f)
					})
				}
				if windowName == "beyond now" && (len(matching(filter)) == 0) != (filterName == "nothing like that") && scopeName == "everywhere" {
					t.Errorf("%s: %d events match", name, len(matching(filter)))
				}
				checkHistogram(t, s, name, scope, filter, window, matching(filter))
				checkCapture(t, s, name, scope, filter, window, matching(filter))
				checkFacet(t, s, name, scope, filter, window, query.ByActor, matching(filter.Without(query.ByActor)), func(e *audit.Event) string { return e.Actor })
				checkFacet(t, s, name, scope, filter, window, query.ByNamespace, matching(filter.Without(query.ByNamespace)), func(e *audit.Event) string { return e.Namespace })
				checkFacet(t, s, name, scope, filter, window, query.ByMethod, matching(filter.Without(query.ByMethod)), func(e *audit.Event) string { return e.Method })
			}
		}
	}
}

func checkHistogram(t *testing.T, s *Store, name string, scope query.Scope, filter query.Filter, window query.Window, want []audit.Event) {
	t.Helper()
	for _, width := range []time.Duration{0, time.Minute, time.Hour, 6 * time.Hour} {
		view, err := s.View(t.Context(), scope, store.ViewRequest{Filter: filter, Window: window, Count: true, HistogramWidth: width})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if view.Matched != int64(len(want)) {
			t.Errorf("%s: View with a histogram of %s counts %d, want %d", name, width, view.Matched, len(want))
		}
		buckets := map[time.Time]int64{}
		for i := range want {
			if width > 0 {
				buckets[want[i].OccurredAt.Truncate(width)]++
			}
		}
		got := map[time.Time]int64{}
		for _, b := range view.Histogram {
			got[b.Start] = b.Count
		}
		if d := cmp.Diff(buckets, got); d != "" {
			t.Errorf("%s: histogram of %s (-want +got):\n%s", name, width, d)
		}
	}
}

func checkCapture(t *testing.T, s *Store, name string, scope query.Scope, filter query.Filter, window query.Window, want []audit.Event) {
	t.Helper()
	byType := map[string]int64{}
	for i := range want {
		byType[want[i].ResourceType]++
	}
	rows, limit := 0, 50
	got, err := s.Capture(t.Context(), scope, store.CaptureRequest{Filter: filter, Window: window, Limit: limit}, func(*audit.Event) error { rows++; return nil })
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got.Matched != int64(len(want)) || rows != min(limit, len(want)) {
		t.Errorf("%s: Capture counts %d and gives %d rows, want %d and at most %d", name, got.Matched, rows, len(want), limit)
	}
	if d := cmp.Diff(byType, got.CountsByType); d != "" {
		t.Errorf("%s: Capture's types (-want +got):\n%s", name, d)
	}
}

func checkFacet(t *testing.T, s *Store, name string, scope query.Scope, filter query.Filter, window query.Window, dimension query.Dimension, want []audit.Event, valueOf func(*audit.Event) string) {
	t.Helper()
	values := map[string]int64{}
	for i := range want {
		if v := valueOf(&want[i]); v != "" {
			values[v]++
		}
	}
	facet, err := s.Facet(t.Context(), scope, store.FacetRequest{Filter: filter, Window: window, Dimension: dimension, Limit: store.MaxPage})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got := map[string]int64{}
	for _, v := range facet.Values {
		got[v.Value] = v.Count
	}
	if d := cmp.Diff(values, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s: facet %s (-want +got):\n%s", name, dimension, d)
	}
}

// TestLargeCounts has more events in a day than fit into the counts of hours.
func TestLargeCounts(t *testing.T) {
	s := openAt(t, newDatabase(t))
	mustAppend(t, s, store.Appended{Stored: 1}, plain(1, audit.Day(testNow).Add(5*time.Hour)))
	mergeSome(t, s, 1)
	mustExec(t, s, "UPDATE audit_rollup_kinds SET h0 = 2000000000, h1 = 2000000000, count = count + 4000000000")
	for hours, want := range map[time.Duration]int64{3 * time.Hour: 4_000_000_000, 24 * time.Hour: 4_000_000_001} {
		window := query.Window{From: audit.Day(testNow), To: audit.Day(testNow).Add(hours)}
		view, err := s.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: window, Count: true, HistogramWidth: 24 * time.Hour})
		if err != nil || view.Matched != want {
			t.Errorf("View of %s counts %d, %v; want %d", hours, view.Matched, err, want)
		}
		facet, err := s.Facet(t.Context(), query.ClusterWide(), store.FacetRequest{Window: window, Dimension: query.ByMethod, Limit: 1})
		if err != nil || len(facet.Values) != 1 || facet.Values[0].Count != want {
			t.Errorf("Facet of %s = %v, %v; want %d", hours, facet.Values, err, want)
		}
	}
}
