package storetest

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// testGroups asks for groups: an include finds what any identity is in, an
// exclude hides only what every identity is in, so that nobody hides what they do
// by the groups that they impersonate.
func testGroups(t *testing.T, b *bench) {
	given := map[string]struct {
		via         string
		groups, own []string // of the actor, and of who acted
	}{
		"alone":          {"", []string{"dev", "staff"}, nil},
		"as dev":         {"admin", []string{"dev"}, []string{"system:masters"}},
		"dev as masters": {"alice", []string{"system:masters"}, []string{"dev"}},
		"dev as dev":     {"alice", []string{"dev"}, []string{"dev"}},
		"via no groups":  {"alice", []string{"dev"}, nil},
		"no groups":      {"", nil, nil},
		"odd":            {"", []string{"dev*", "a\nb", "=x"}, nil},
		"parts":          {"", []string{"de", "devel", `a\nb`, "a", "b"}, nil},
	}
	var events []audit.Event
	for i, name := range slices.Sorted(maps.Keys(given)) {
		e := plain(i, b.clock.Now())
		e.Actor, e.ActedVia, e.Groups, e.ActedViaGroups = name, given[name].via, given[name].groups, given[name].own
		events = append(events, e)
	}
	b.append(t, store.Appended{Stored: len(events)}, events...)
	window := always(b.clock.Now())
	found := func(f query.Filter) []string {
		t.Helper()
		view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: f, Window: window, Limit: store.MaxPage, Count: true})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for i := range view.Events {
			names = append(names, view.Events[i].Actor)
		}
		if view.Matched != int64(len(names)) {
			t.Errorf("%s: %d are counted, %d found", f.Encode(), view.Matched, len(names))
		}
		slices.Sort(names)
		return names
	}
	for _, tc := range []struct {
		values           []string
		included, hidden []string
	}{
		{[]string{"dev"}, []string{"alone", "as dev", "dev as dev", "dev as masters", "via no groups"}, []string{"alone", "dev as dev"}},
		{[]string{"system:masters"}, []string{"as dev", "dev as masters"}, nil},
		{[]string{"system:masters", "dev"}, []string{"alone", "as dev", "dev as dev", "dev as masters", "via no groups"}, []string{"alone", "as dev", "dev as dev", "dev as masters"}},
		{[]string{"=dev*"}, []string{"odd"}, []string{"odd"}},
		{[]string{"a\nb"}, []string{"odd"}, []string{"odd"}},
		{[]string{`a\nb`}, []string{"parts"}, []string{"parts"}},
		{[]string{"==x"}, []string{"odd"}, []string{"odd"}},
		{[]string{"staf"}, nil, nil},
		{[]string{"Dev"}, nil, nil},
	} {
		if d := cmp.Diff(tc.included, found(query.Filter{Terms: query.Terms{Groups: tc.values}})); d != "" {
			t.Errorf("groups %q (-want +got):\n%s", tc.values, d)
		}
		left := slices.DeleteFunc(slices.Sorted(maps.Keys(given)), func(name string) bool { return slices.Contains(tc.hidden, name) })
		if d := cmp.Diff(left, found(query.Filter{Exclude: query.Terms{Groups: tc.values}})); d != "" {
			t.Errorf("without groups %q (-want +got):\n%s", tc.values, d)
		}
	}
	checkGroupFacet(t, b)
}

// checkGroupFacet counts an event once for each group of its identities.
func checkGroupFacet(t *testing.T, b *bench) {
	t.Helper()
	for contains, want := range map[string][]store.FacetValue{
		"":     {{Value: "dev", Count: 5}, {Value: "system:masters", Count: 2}, {Value: "=x", Count: 1}, {Value: "a", Count: 1}, {Value: "a\nb", Count: 1}},
		"DEV":  {{Value: "dev", Count: 5}, {Value: "dev*", Count: 1}, {Value: "devel", Count: 1}},
		"a\nB": {{Value: "a\nb", Count: 1}},
	} {
		facet, err := b.Facet(t.Context(), query.ClusterWide(), store.FacetRequest{Window: always(b.clock.Now()), Dimension: query.ByGroup, Contains: contains, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, facet.Values); d != "" {
			t.Errorf("facet of groups with %q (-want +got):\n%s", contains, d)
		}
	}
}
