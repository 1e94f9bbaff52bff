package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// testForeign stores, beside a namespace's event, one that differs from it in
// nothing but that its source can't vouch for it: no question within the
// namespace's scope shows or counts it, and every other one does.
func testForeign(t *testing.T, b *bench) {
	begin, err := b.Tail(t.Context(), query.ClusterWide(), store.TailRequest{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	at := b.clock.Now().Add(-3 * time.Hour)
	own := plain(1, at)
	own.AuditID = "shared"
	own = number(own, 1)
	said := own
	said.Foreign, said.Source = true, "aggregated"
	said = number(said, 2)
	later := number(plain(3, at.Add(time.Second)), 3)
	b.append(t, store.Appended{Stored: 1}, own)
	b.append(t, store.Appended{Stored: 2}, said, later)
	for name, tt := range map[string]struct {
		scope query.Scope
		want  oracle
	}{
		"its namespace": {query.InNamespaces("prod", "shop"), oracle{own, later}},
		"everything":    {query.ClusterWide(), oracle{own, said, later}},
	} {
		t.Run(name, func(t *testing.T) { b.askForeign(t, tt.scope, tt.want, begin.Next, said) })
	}
	// Rights in the whole cluster see who said it.
	filter := query.Filter{Terms: query.Terms{Sources: []string{"aggregated"}}}
	view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: filter, Window: always(b.clock.Now()), Limit: 10, Count: true})
	if err != nil || view.Matched != 1 || diff([]audit.Event{said}, view.Events) != "" {
		t.Errorf("by its source: %d events, %v %s", view.Matched, err, diff([]audit.Event{said}, view.Events))
	}
}

// askForeign asks at every door of a store.
func (b *bench) askForeign(t *testing.T, scope query.Scope, want oracle, after string, said audit.Event) {
	w, filter := always(b.clock.Now()), query.Filter{}
	newest := want.matches(query.ClusterWide(), &filter, w)
	view, err := b.View(t.Context(), scope, store.ViewRequest{Window: w, Limit: 10, Count: true, HistogramWidth: time.Hour})
	if err != nil || view.Matched != int64(len(want)) || diff(newest, view.Events) != "" {
		t.Errorf("a page has %d of %d, %v: %s", view.Matched, len(want), err, diff(newest, view.Events))
	}
	if d := cmp.Diff(histogram(want, time.Hour), view.Histogram); d != "" {
		t.Errorf("histogram (-want +got):\n%s", d)
	}
	for _, dimension := range query.Dimensions {
		got, err := b.Facet(t.Context(), scope, store.FacetRequest{Window: w, Dimension: dimension, Limit: 10})
		if d := cmp.Diff(facet(want, dimension, "", 10), got.Values, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("facet of %s: %v (-want +got):\n%s", dimension, err, d)
		}
	}
	rows := 0
	captured, err := b.Capture(t.Context(), scope, store.CaptureRequest{Window: w, Limit: 10}, func(*audit.Event) error { rows++; return nil })
	if err != nil || captured.Matched != int64(len(want)) || rows != len(want) || captured.CountsByType["application"] != int64(len(want)) {
		t.Errorf("a snapshot has %d rows: %+v, %v", rows, captured, err)
	}
	tail, err := b.Tail(t.Context(), scope, store.TailRequest{After: after, Limit: 10})
	if err != nil || len(tail.Events) != len(want) {
		t.Errorf("the tail has %d events, want %d, %v", len(tail.Events), len(want), err)
	}
	same, err := b.SameRequest(t.Context(), scope, &want[0])
	if found := len(same.Events) == 1; err != nil || found != scope.IsClusterWide() {
		t.Errorf("it is found by its audit ID: %t, %v", found, err)
	}
	if _, err := b.Event(t.Context(), scope, said.ID); scope.IsClusterWide() && err != nil || !scope.IsClusterWide() && !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by its ID: %v", err)
	}
}
