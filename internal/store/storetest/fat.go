package storetest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// fatEvents are what clients make as large as they can, given to a store as
// they came: 300 long paths, and some of each other text and of addresses.
func fatEvents(now time.Time) oracle {
	var events oracle
	add := func(fatten func(e *audit.Event)) {
		n := len(events)
		e := plain(n, now.Add(-time.Duration(n)*time.Second))
		fatten(&e)
		events = append(events, e)
	}
	path := "/api/v1/namespaces/x/configmaps/y?" + strings.Repeat("p", 900_000)
	for range 300 {
		add(func(e *audit.Event) { e.Path = path })
	}
	var ips []netip.Addr
	for i := range 10_000 {
		ips = append(ips, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
	}
	long := strings.Repeat("ü", 500_000)
	for i := range 20 {
		add(func(e *audit.Event) { e.UserAgent = fmt.Sprint("agent", i, long) })
		add(func(e *audit.Event) { e.IPs = ips[i:] })
		add(func(e *audit.Event) { e.Groups, e.ActedViaGroups = []string{fmt.Sprint(i, long)}, groupsOf(1000+i) })
		add(func(e *audit.Event) {
			e.Actor, e.ActedVia, e.CredentialID, e.AuditID = fmt.Sprint("a", i, long), fmt.Sprint("v", i, long), long, long
			e.Verb, e.Action, e.Resource, e.ResourceName = long, long, long, fmt.Sprint(long, i)
		})
	}
	return events
}

func groupsOf(n int) []string {
	groups := make([]string, n)
	for i := range groups {
		groups[i] = fmt.Sprint("group-", i)
	}
	return groups
}

// bounded are events as a store keeps them.
func (o oracle) bounded() oracle {
	kept := slices.Clone(o)
	for i := range kept {
		kept[i] = *store.Bounded(&kept[i])
	}
	return kept
}

// testFatRows asks every question of events that are far beyond the bounds.
func testFatRows(t *testing.T, b *bench) {
	now := b.clock.Now()
	given := fatEvents(now)
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	for chunk := range slices.Chunk(given, 60) {
		b.append(t, store.Appended{Stored: len(chunk)}, chunk...)
	}
	if len(given[0].Path) < 900_000 {
		t.Error("Append changed the events that it was given")
	}
	events := given.bounded()
	checkFatRows(t, b, events)
	got := f.drain(t, store.MaxPage)
	slices.SortFunc(got, func(a, b audit.Event) int { return b.OccurredAt.Compare(a.OccurredAt) })
	if d := diff(events, got); d != "" {
		t.Errorf("Tail (-want +got):\n%.2000s", d)
	}
	b.reopen(t)
	checkFatRows(t, b, events)
}

// checkFatRows compares every kind of answer, and looks whether each is bounded.
func checkFatRows(t *testing.T, b *bench, events oracle) {
	t.Helper()
	ctx, all, window := t.Context(), query.ClusterWide(), always(b.clock.Now())
	for _, req := range []store.ViewRequest{{Limit: store.MaxPage}, {Limit: 50, Bytes: 200_000}} {
		req.Window = window
		if d := diff(events, pagesOf(t, b, req)); d != "" {
			t.Errorf("pages of %d events and %d bytes (-want +got):\n%.2000s", req.Limit, req.Bytes, d)
		}
	}
	if one, err := b.View(ctx, all, store.ViewRequest{Window: window, Limit: 3, Bytes: 1}); err != nil || len(one.Events) != 1 || one.Next == nil {
		t.Errorf("a page of one byte has %d events, next %v; want one and a next page: %v", len(one.Events), one.Next, err)
	}
	view, err := b.View(ctx, all, store.ViewRequest{Window: window, Limit: 1, Count: true, HistogramWidth: time.Hour})
	if err != nil || view.Matched != int64(len(events)) {
		t.Errorf("View counts %d of %d events: %v", view.Matched, len(events), err)
	}
	for _, search := range []string{"PPPP", "checkout", "üü"} {
		filter := query.Filter{Search: search}
		found, err := b.View(ctx, all, store.ViewRequest{Filter: filter, Window: window, Limit: 10, Count: true})
		if want := events.matches(all, &filter, window); err != nil || found.Matched != int64(len(want)) {
			t.Errorf("a search for %s finds %d, want %d: %v", search, found.Matched, len(want), err)
		}
	}
	for _, dimension := range query.Dimensions {
		counted, err := b.Facet(ctx, all, store.FacetRequest{Window: window, Dimension: dimension, Limit: store.MaxPage})
		if err != nil {
			t.Errorf("Facet %s: %v", dimension, err)
		}
		if d := cmp.Diff(facet(events, dimension, "", store.MaxPage), counted.Values, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("Facet %s (-want +got):\n%.2000s", dimension, d)
		}
	}
	var captured []audit.Event
	if _, err := b.Capture(ctx, all, store.CaptureRequest{Window: window, Limit: store.MaxPage}, func(e *audit.Event) error {
		captured = append(captured, *e)
		return nil
	}); err != nil {
		t.Errorf("Capture: %v", err)
	}
	slices.Reverse(captured)
	if d := diff(events, captured); d != "" {
		t.Errorf("Capture (-want +got):\n%.2000s", d)
	}
	last := events[len(events)-1]
	for _, want := range []audit.Event{events[0], last} {
		got, err := b.Event(ctx, all, want.ID)
		if d := diff([]audit.Event{want}, []audit.Event{got}); err != nil || d != "" {
			t.Errorf("Event: %v (-want +got):\n%.2000s", err, d)
		}
	}
	same, err := b.SameRequest(ctx, all, &last)
	if err != nil || len(same.Events) != 19 || same.More {
		t.Errorf("SameRequest has %d events, more: %t; want 19: %v", len(same.Events), same.More, err)
	}
}

// pagesOf walks to the last page, each of which must be bounded.
func pagesOf(t *testing.T, b *bench, req store.ViewRequest) []audit.Event {
	t.Helper()
	most := store.MaxAnswerBytes
	if req.Bytes > 0 {
		most = req.Bytes
	}
	var got []audit.Event
	for pages := 0; ; pages++ {
		view, err := b.View(t.Context(), query.ClusterWide(), req)
		if err != nil {
			t.Fatalf("View: %v", err)
		}
		sum := 0
		for i := range view.Events {
			sum += store.EventBytes(&view.Events[i])
		}
		if sum > most && len(view.Events) > 1 || len(view.Events) == 0 && view.Next != nil {
			t.Fatalf("a page of at most %d bytes has %d events of %d bytes", most, len(view.Events), sum)
		}
		got = append(got, view.Events...)
		if req.After = view.Next; req.After == nil {
			return got
		}
	}
}

// testAnswerBytes fills answers with the largest events that a store keeps.
func testAnswerBytes(t *testing.T, b *bench) {
	now := b.clock.Now()
	var given oracle
	for i := range 600 {
		e := plain(i, now.Add(-time.Duration(i)*time.Second))
		long := strings.Repeat("x", store.MaxText)
		e.Path = strings.Repeat("p", store.MaxPath)
		for _, text := range []*string{&e.AuditID, &e.Actor, &e.ActedVia, &e.CredentialID, &e.Verb, &e.Action, &e.APIGroup, &e.APIVersion,
			&e.Resource, &e.Subresource, &e.Namespace, &e.ResourceName, &e.UserAgent} {
			*text = long
		}
		e.Groups = slices.Repeat([]string{strings.Repeat("g", audit.MaxGroupBytes/audit.MaxGroups)}, audit.MaxGroups)
		e.ActedViaGroups = e.Groups
		given = append(given, e)
	}
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	b.append(t, store.Appended{Stored: len(given)}, given...)
	window := always(now)
	view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: window, Limit: store.MaxPage})
	if size := store.EventBytes(&given[0]); err != nil || view.Next == nil || len(view.Events) != store.MaxAnswerBytes/size {
		t.Errorf("View has %d events, next %v, want %d and another page: %v", len(view.Events), view.Next, store.MaxAnswerBytes/size, err)
	}
	if got := pagesOf(t, b, store.ViewRequest{Window: window, Limit: store.MaxPage}); len(got) != len(given) {
		t.Errorf("pages have %d events, want %d", len(got), len(given))
	}
	if tail := f.next(t, store.MaxPage); len(tail.Events) != store.MaxTail || !tail.More {
		t.Errorf("Tail has %d events, more: %t; want %d", len(tail.Events), tail.More, store.MaxTail)
	}
	if got := f.drain(t, store.MaxPage); len(got) != len(given) {
		t.Errorf("Tail has %d events in all, want %d", len(got), len(given))
	}
}

// RunFattened asks every question of rows that are larger than any that a store
// writes now, as those that were written before it cut texts. fatten makes them
// so behind the store's back: the path of each becomes 900,000 p after what it
// was, and the user agent is long.
func RunFattened(t *testing.T, open func(t *testing.T, opts Options) store.Store, fatten func(t *testing.T, s store.Store)) {
	b := newBench(t, open)
	now := b.clock.Now()
	var events oracle
	for i := range 300 {
		e := plain(i, now.Add(-time.Duration(i)*time.Second))
		e.Path, e.AuditID = fmt.Sprint("/path/", i, "?"), "one for all"
		events = append(events, e)
	}
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	b.append(t, store.Appended{Stored: len(events)}, events...)
	fatten(t, b.Store)
	check := func(what string, e *audit.Event) {
		t.Helper()
		// Four bytes are the most of a character.
		if len(e.Path) > store.MaxPath || len(e.UserAgent) > store.MaxText || !strings.HasPrefix(e.Path, "/path/") {
			t.Fatalf("%s has a path of %d bytes and a user agent of %d", what, len(e.Path), len(e.UserAgent))
		}
	}
	for _, when := range []string{"at once", "after reopening"} {
		if when == "after reopening" {
			for _, e := range f.drain(t, 100) {
				check("Tail", &e)
			}
			b.reopen(t)
		}
		window := always(now)
		got := pagesOf(t, b, store.ViewRequest{Window: window, Limit: store.MaxPage})
		if len(got) != len(events) {
			t.Fatalf("%s: pages have %d events, want %d", when, len(got), len(events))
		}
		for i := range got {
			check(when+": View", &got[i])
		}
		rows := 0
		if _, err := b.Capture(t.Context(), query.ClusterWide(), store.CaptureRequest{Window: window, Limit: store.MaxPage}, func(e *audit.Event) error {
			rows++
			check(when+": Capture", e)
			return nil
		}); err != nil || rows != len(events) {
			t.Fatalf("%s: Capture of %d rows: %v", when, rows, err)
		}
		e, err := b.Event(t.Context(), query.ClusterWide(), events[7].ID)
		if err != nil {
			t.Fatalf("%s: Event: %v", when, err)
		}
		check(when+": Event", &e)
		same, err := b.SameRequest(t.Context(), query.ClusterWide(), &events[7])
		if err != nil || len(same.Events) != store.MaxSameRequest || !same.More {
			t.Fatalf("%s: SameRequest has %d events: %v", when, len(same.Events), err)
		}
		found, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: query.Filter{Search: "/path/299?P"}, Window: window, Limit: 10, Count: true})
		if err != nil || found.Matched != 1 || len(found.Events) != 1 {
			t.Fatalf("%s: a search finds %d: %v", when, found.Matched, err)
		}
	}
}
