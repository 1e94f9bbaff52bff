package storetest

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// chosenTexts are the dimensions whose values are any text, with where an event
// has them.
var chosenTexts = map[query.Dimension]func(*audit.Event) *string{
	query.ByActor:        func(e *audit.Event) *string { return &e.Actor },
	query.ByAction:       func(e *audit.Event) *string { return &e.Action },
	query.ByResourceName: func(e *audit.Event) *string { return &e.ResourceName },
	query.ByCluster:      func(e *audit.Event) *string { return &e.Cluster },
	query.ByNamespace:    func(e *audit.Event) *string { return &e.Namespace },
	query.BySource:       func(e *audit.Event) *string { return &e.Source },
}

// testFacetValuesCanBeChosen goes from what a facet counts to a filter, its
// address, and the events that it selects and takes out: for each text that a
// client may write, those and no others.
func testFacetValuesCanBeChosen(t *testing.T, b *bench) {
	var events []audit.Event
	texts := append(audittest.OddTexts(), "")
	for i, text := range texts {
		for n := range 1 + i%2 { // so that a count is not always one
			e := plain(2*i+n, b.clock.Now())
			for _, at := range chosenTexts {
				*at(&e) = text
			}
			events = append(events, e)
		}
	}
	b.append(t, store.Appended{Stored: len(events)}, events...)
	window := always(b.clock.Now())
	for dimension, at := range chosenTexts {
		facet, err := b.Facet(t.Context(), query.ClusterWide(), store.FacetRequest{Window: window, Dimension: dimension, Limit: store.MaxPage})
		if err != nil {
			t.Fatalf("Facet %s: %v", dimension, err)
		}
		if len(facet.Values) != len(texts)-1 {
			t.Errorf("Facet %s has %d values, want %d", dimension, len(facet.Values), len(texts)-1)
		}
		for _, v := range facet.Values {
			for _, suffix := range []string{"", "_exclude"} {
				filter := readAgain(t, url.Values{string(dimension) + suffix: {query.Literal(string(dimension), v.Value)}})
				view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: filter, Window: window, Limit: store.MaxPage, Count: true})
				if err != nil {
					t.Fatalf("%s: %v", filter.Encode(), err)
				}
				want := v.Count
				if suffix != "" {
					want = int64(len(events)) - v.Count
				}
				if view.Matched != want || int64(len(view.Events)) != want {
					t.Errorf("%.100s selects %d events, counted %d; want %d", filter.Encode(), len(view.Events), view.Matched, want)
				}
				for i := range view.Events {
					if (*at(&view.Events[i]) == v.Value) != (suffix == "") {
						t.Errorf("%.100s selects %q", filter.Encode(), *at(&view.Events[i]))
					}
				}
			}
		}
	}
}

// readAgain reads a filter from the address that was made of it.
func readAgain(t *testing.T, values url.Values) query.Filter {
	t.Helper()
	first, err := query.ParseValues(values)
	if err != nil {
		t.Fatalf("%q: %v", values, err)
	}
	written, err := url.ParseQuery(first.Encode())
	if err != nil {
		t.Fatal(err)
	}
	second, err := query.ParseValues(written)
	if err != nil {
		t.Fatalf("%q: %v", written, err)
	}
	if d := cmp.Diff(values, written); d != "" {
		t.Errorf("the address of a filter (-want +got):\n%s", d)
	}
	return second
}
