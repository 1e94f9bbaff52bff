package storetest

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// chosenTexts are the fields whose values are any text, with where an event has
// them.
var chosenTexts = map[query.Dimension]func(*audit.Event) *string{
	query.ByActor:        func(e *audit.Event) *string { return &e.Actor },
	query.ByAction:       func(e *audit.Event) *string { return &e.Action },
	query.ByResourceName: func(e *audit.Event) *string { return &e.ResourceName },
	query.ByCluster:      func(e *audit.Event) *string { return &e.Cluster },
	query.ByNamespace:    func(e *audit.Event) *string { return &e.Namespace },
	query.BySource:       func(e *audit.Event) *string { return &e.Source },
	query.ByResource:     func(e *audit.Event) *string { return &e.Resource },
	"audit_id":           func(e *audit.Event) *string { return &e.AuditID },
	query.ByUserAgent:    func(e *audit.Event) *string { return &e.UserAgent },
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
			if text != "" {
				e.Groups = []string{text, "everybody"}
			}
			events = append(events, e)
		}
	}
	b.append(t, store.Appended{Stored: len(events)}, events...)
	for dimension, at := range chosenTexts {
		checkChoices(t, b, dimension, events, func(e *audit.Event) []string { return []string{*at(e)} })
	}
	checkChoices(t, b, query.ByGroup, events, func(e *audit.Event) []string { return e.Groups })
}

// testLongFacetValuesCanBeChosen does the same with what fields hold at most.
func testLongFacetValuesCanBeChosen(t *testing.T, b *bench) {
	long := func(end string) string { return strings.Repeat("ü", audit.MaxExactText-len(end)) + end }
	var events []audit.Event
	for n, of := range []struct{ resource, group, subresource, agent string }{
		{long("a"), long("b"), long("c"), strings.Repeat("x", audit.MaxUserAgent)},
		{long("a"), long("b"), long("d"), strings.Repeat("x", audit.MaxUserAgent-1)},
		{long("a"), long("b"), "", cutBytes("x", audit.MaxUserAgent)},
		{long("a"), "", long("c"), cutBytes("x", audit.MaxUserAgent-1)},
		{cutText("pods"), cutText("apps"), cutText("exec"), "x"},
		{"deployments", "", "", "x*"},
		{"deployments", "apps", "", "=x"},
		{"deployments.apps", "", "", "xx"},
		{"deployments", "apps", "scale", ""},
		{"", "apps", "scale", "kubectl/v1.34"},
	} {
		e := plain(n, b.clock.Now())
		e.Resource, e.APIGroup, e.Subresource, e.UserAgent = of.resource, of.group, of.subresource, of.agent
		events = append(events, e)
	}
	b.append(t, store.Appended{Stored: len(events)}, events...)
	checkChoices(t, b, query.ByResource, events, func(e *audit.Event) []string { return []string{resourceOf(e)} })
	checkChoices(t, b, query.ByUserAgent, events, func(e *audit.Event) []string { return []string{e.UserAgent} })
}

// checkChoices chooses each value of events: those of a facet where there is one.
func checkChoices(t *testing.T, b *bench, dimension query.Dimension, events []audit.Event, at func(*audit.Event) []string) {
	t.Helper()
	window := always(b.clock.Now())
	counts := map[string]int64{}
	for i := range events {
		for _, text := range at(&events[i]) {
			if text != "" {
				counts[text]++
			}
		}
	}
	if slices.Contains(query.Dimensions, dimension) {
		facet, err := b.Facet(t.Context(), query.ClusterWide(), store.FacetRequest{Window: window, Dimension: dimension, Limit: store.MaxPage})
		if err != nil {
			t.Fatalf("Facet %s: %v", dimension, err)
		}
		counted := map[string]int64{}
		for _, v := range facet.Values {
			counted[v.Value] = v.Count
		}
		if d := cmp.Diff(counts, counted); d != "" {
			t.Errorf("Facet %s (-want +got):\n%s", dimension, d)
		}
	}
	for text, count := range counts {
		for _, suffix := range []string{"", "_exclude"} {
			filter := readAgain(t, url.Values{string(dimension) + suffix: {query.Literal(string(dimension), text)}})
			view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: filter, Window: window, Limit: store.MaxPage, Count: true})
			if err != nil {
				t.Fatalf("%s: %v", filter.Encode(), err)
			}
			want := count
			if suffix != "" {
				want = int64(len(events)) - count
			}
			if view.Matched != want || int64(len(view.Events)) != want {
				t.Errorf("%.100s selects %d events, counted %d; want %d", filter.Encode(), len(view.Events), view.Matched, want)
			}
			for i := range view.Events {
				if slices.Contains(at(&view.Events[i]), text) != (suffix == "") {
					t.Errorf("%.100s selects %q", filter.Encode(), at(&view.Events[i]))
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
