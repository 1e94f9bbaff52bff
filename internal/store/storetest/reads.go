package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// testGenerated compares every kind of read with the oracle.
func testGenerated(t *testing.T, b *bench) {
	now := b.clock.Now()
	events := corpus(now, 700)
	for chunk := range slices.Chunk(events, 150) {
		b.append(t, store.Appended{Stored: len(chunk)}, chunk...)
	}
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		scope, filter, window := drawScope(t), drawFilter(t), drawWindow(t, now)
		want := events.matches(scope, &filter, window)
		width := oneOf(t, "width", store.HistogramWidths)
		limit := rapid.IntRange(1, 60).Draw(t, "limit")

		view, err := b.View(ctx, scope, store.ViewRequest{Filter: filter, Window: window, Limit: limit, Count: true, HistogramWidth: width})
		if err != nil {
			t.Fatalf("View: %v", err)
		}
		if d := diff(want[:min(limit, len(want))], view.Events); d != "" {
			t.Fatalf("View's events (-want +got):\n%s", d)
		}
		if view.Matched != int64(len(want)) {
			t.Fatalf("View's count = %d, want %d", view.Matched, len(want))
		}
		if d := cmp.Diff(histogram(want, width), view.Histogram, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("View's histogram of %s (-want +got):\n%s", width, d)
		}
		if (view.Next != nil) != (len(want) > limit) {
			t.Fatalf("View's next page = %v with %d of %d", view.Next, limit, len(want))
		}

		if len(want) > 0 {
			at := rapid.IntRange(0, len(want)-1).Draw(t, "after")
			after := query.PositionOf(&want[at])
			view, err := b.View(ctx, scope, store.ViewRequest{Filter: filter, Window: window, Limit: limit, After: &after, Count: true, HistogramWidth: width})
			if err != nil {
				t.Fatalf("View: %v", err)
			}
			rest := want[at+1:]
			if d := diff(rest[:min(limit, len(rest))], view.Events); d != "" {
				t.Fatalf("View's events after one (-want +got):\n%s", d)
			}
			if view.Matched != int64(len(want)) || (view.Next != nil) != (len(rest) > limit) {
				t.Fatalf("View's count after one = %d, want %d; next page %v with %d of %d", view.Matched, len(want), view.Next, limit, len(rest))
			}
		}

		dimension, contains := oneOf(t, "dimension", query.Dimensions), ""
		if rapid.Bool().Draw(t, "contains?") {
			contains = oneOf(t, "contains", someParts)
		}
		counted, err := b.Facet(ctx, scope, store.FacetRequest{Filter: filter, Window: window, Dimension: dimension, Contains: contains, Limit: limit})
		if err != nil {
			t.Fatalf("Facet %s: %v", dimension, err)
		}
		without := filter.Without(dimension)
		if d := cmp.Diff(facet(events.matches(scope, &without, window), dimension, contains, limit), counted.Values, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("Facet %s with %q (-want +got):\n%s", dimension, contains, d)
		}

		var captured []audit.Event
		announced := int64(0)
		begin := func(rows int64) { announced += rows }
		got, err := b.Capture(ctx, scope, store.CaptureRequest{Filter: filter, Window: window, Limit: limit, Begin: begin}, func(e *audit.Event) error {
			captured = append(captured, *e)
			return nil
		})
		if err != nil {
			t.Fatalf("Capture: %v", err)
		}
		if d := cmp.Diff(capture(want), got, cmpopts.IgnoreFields(store.Capture{}, "AsOf"), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("Capture (-want +got):\n%s", d)
		}
		newest := slices.Clone(want[:min(limit, len(want))])
		slices.Reverse(newest)
		if d := diff(newest, captured); d != "" {
			t.Fatalf("Capture's rows (-want +got):\n%s", d)
		}
		if announced != int64(len(captured)) {
			t.Fatalf("Capture has announced %d rows and given %d", announced, len(captured))
		}
		if !got.AsOf.Equal(now) || !view.AsOf.Equal(now) || !counted.AsOf.Equal(now) {
			t.Fatalf("AsOf = %s, %s and %s, want %s", got.AsOf, view.AsOf, counted.AsOf, now)
		}
	})
}

// testFacetContains finds values by any case of a part, and by what is a
// pattern elsewhere.
func testFacetContains(t *testing.T, b *bench) {
	var events oracle
	for i, actor := range []string{"alice", "Alice", "ALICIA", "bob", "100%", "1000", "a_b", "axb", `back\slash`, "ΣΊΣΥΦΟΣ", "", "ſtrange", "İstanbul"} {
		e := plain(i, b.clock.Now())
		e.Actor, e.StatusCode, e.IPs = actor, 200+i, []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), netip.MustParseAddr("2001:db8::" + string("0123456789abcdef"[i]))}
		e.ResourceName = actor
		events = append(events, e)
	}
	b.append(t, store.Appended{Stored: len(events)}, events...)
	window, filter := always(b.clock.Now()), query.Filter{}
	for _, dimension := range query.Dimensions {
		for _, contains := range append([]string{"ALI", "li", "%", "_", `\`, "σίσ", "0", "20", "DB8", "::a", " ", "no such", "ſ", "i̇", "i"}, someParts...) {
			for _, limit := range []int{2, 100} {
				got, err := b.Facet(t.Context(), query.ClusterWide(), store.FacetRequest{Window: window, Dimension: dimension, Contains: contains, Limit: limit})
				if err != nil {
					t.Fatalf("Facet %s with %q: %v", dimension, contains, err)
				}
				want := facet(events.matches(query.ClusterWide(), &filter, window), dimension, contains, limit)
				if d := cmp.Diff(want, got.Values, cmpopts.EquateEmpty()); d != "" {
					t.Errorf("Facet %s with %q (-want +got):\n%s", dimension, contains, d)
				}
			}
		}
	}
}

// testManyNamespaces reads with the scope of a caller of 500 namespaces.
func testManyNamespaces(t *testing.T, b *bench) {
	now := b.clock.Now()
	var events oracle
	var namespaces []string
	for i := range 600 {
		e := plain(i, now.Add(-time.Duration(i)*time.Minute))
		e.Namespace = fmt.Sprintf("team-%03d", i)
		if i%100 == 99 {
			e.Cluster = "staging"
		}
		if i < 500 {
			namespaces = append(namespaces, e.Namespace)
		}
		events = append(events, e)
	}
	b.append(t, store.Appended{Stored: len(events)}, events...)
	window, filter := always(now), query.Filter{}
	for _, n := range []int{2, 3, 500} {
		scope := query.InNamespaces("prod", namespaces[:n]...)
		want := events.matches(scope, &filter, window)
		view, err := b.View(t.Context(), scope, store.ViewRequest{Window: window, Limit: store.MaxPage, Count: true, HistogramWidth: time.Hour})
		if err != nil {
			t.Fatalf("View: %v", err)
		}
		if d := diff(want, view.Events); d != "" || view.Matched != int64(len(want)) {
			t.Errorf("View of %d namespaces counts %d, want %d (-want +got):\n%s", n, view.Matched, len(want), d)
		}
		if d := cmp.Diff(histogram(want, time.Hour), view.Histogram); d != "" {
			t.Errorf("View's histogram (-want +got):\n%s", d)
		}
		counted, err := b.Facet(t.Context(), scope, store.FacetRequest{Window: window, Dimension: query.ByNamespace, Limit: store.MaxPage})
		if err != nil {
			t.Fatalf("Facet: %v", err)
		}
		if d := cmp.Diff(facet(want, query.ByNamespace, "", store.MaxPage), counted.Values); d != "" {
			t.Errorf("Facet (-want +got):\n%s", d)
		}
		for i := 0; i < len(events); i += 33 {
			_, err := b.Event(t.Context(), scope, events[i].ID)
			if visible := Match(&events[i], scope, &filter); visible != (err == nil) {
				t.Fatalf("Event of %s in %s with %d namespaces = %v", events[i].Namespace, events[i].Cluster, n, err)
			}
		}
	}
}

// testPaging walks pages over equal times and midnight.
func testPaging(t *testing.T, b *bench) {
	midnight := audit.Day(b.clock.Now())
	var events oracle
	for i := range 60 {
		e := plain(i, midnight.Add(time.Duration(i/20-1)*time.Microsecond))
		// Some end long after later ones: only the beginning is the order.
		e.StageAt = e.StageAt.Add(time.Duration(i%3) * time.Hour)
		events = append(events, e)
	}
	b.append(t, store.Appended{Stored: len(events)}, events...)
	filter, window := query.Filter{}, always(b.clock.Now())
	want := events.matches(query.ClusterWide(), &filter, window)
	for _, size := range []int{1, 7, 20, 59, 60, 61} {
		var got []audit.Event
		var after *query.Position
		for pages := 0; ; pages++ {
			if pages > len(want) {
				t.Fatalf("pages of %d: no end", size)
			}
			view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: window, Limit: size, After: after})
			if err != nil {
				t.Fatalf("View: %v", err)
			}
			got = append(got, view.Events...)
			if after = view.Next; after == nil {
				break
			}
		}
		if d := diff(want, got); d != "" {
			t.Errorf("pages of %d (-want +got):\n%s", size, d)
		}
	}
}

func testEventScope(t *testing.T, b *bench) {
	e := plain(1, b.clock.Now())
	b.append(t, store.Appended{Stored: 1}, e)
	for name, test := range map[string]struct {
		scope query.Scope
		id    audit.ID
		found bool
	}{
		"cluster-wide":           {query.ClusterWide(), e.ID, true},
		"its namespace":          {query.InNamespaces("prod", "shop"), e.ID, true},
		"no scope":               {query.Scope{}, e.ID, false},
		"another namespace":      {query.InNamespaces("prod", "other"), e.ID, false},
		"another cluster":        {query.InNamespaces("staging", "shop"), e.ID, false},
		"an ID that isn't there": {query.ClusterWide(), audit.ID{1}, false},
	} {
		got, err := b.Event(t.Context(), test.scope, test.id)
		switch {
		case test.found && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.found && !bytes.Equal(got.Raw, e.Raw):
			t.Errorf("%s: raw = %q, want %q", name, got.Raw, e.Raw)
		case !test.found && (!errors.Is(err, store.ErrNotFound) || got.Raw != nil || got.Actor != ""):
			t.Errorf("%s: got %+v and error %v, want ErrNotFound", name, got, err)
		}
	}
}

// testRoundTrip checks every field, also after reopening.
func testRoundTrip(t *testing.T, b *bench) {
	raw := []byte("{\"large\":\"" + strings.Repeat("0123456789abcdef", 1<<17) + "\"}")
	full := audit.Event{
		ID: audit.ID{0xff, 1}, Source: "source", Cluster: "cluster", AuditID: "a2c3e1f0-0000-4000-8000-00000000000f", Level: "RequestResponse", Stage: audit.StagePanic,
		OccurredAt: b.clock.Now(), StageAt: b.clock.Now().Add(time.Second),
		Actor: "actor", ActorKind: audit.ActorServiceAccount, ActedVia: "via", CredentialID: "credential",
		Groups: []string{"system:serviceaccounts", "", "a\nb", `a\nb`, `a\`, `"{x,y}"`, "NULL", "größe"}, ActedViaGroups: []string{"system:masters"},
		Method: "POST", Verb: "create", ResourceType: "application", Action: "application.create",
		APIGroup: "group", APIVersion: "v1", Resource: "resource", Subresource: "subresource", Namespace: "namespace", ResourceName: "name",
		Path: "/path", StatusCode: 599, DryRun: audit.DryRunUnknown, Client: audit.ClientOther, UserAgent: "agent", Truncated: true, Foreign: true,
		IPs: []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")},
		Raw: raw, RawSHA256: sha256.Sum256(raw),
	}
	empty := audit.Event{ID: audit.ID{0, 1}, OccurredAt: b.clock.Now()}
	neighbour := plain(7, b.clock.Now())
	b.append(t, store.Appended{Stored: 3}, full, empty, neighbour)
	for _, when := range []string{"at once", "after reopening"} {
		for _, want := range []audit.Event{full, empty, neighbour} {
			got, err := b.Event(t.Context(), query.ClusterWide(), want.ID)
			if err != nil {
				t.Fatalf("%s: Event: %v", when, err)
			}
			want.IngestedAt = b.clock.Now()
			if d := cmp.Diff(want, got, compareEvents, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("%s (-want +got):\n%s", when, d)
			}
		}
		b.reopen(t)
	}
}

func testHostileText(t *testing.T, b *bench) {
	texts := []string{"nul\x00nul", "'; DROP TABLE days; --", `"$1" \ %s {}`, "emoji 🙂🏳️‍🌈", "invalid \xff\xfe utf-8", "\xed\xa0\x80 surrogate", strings.Repeat("long ", 50_000), "\u202eoverride", "line\nbreak\r\n\t", "*"}
	for i, text := range texts {
		e := plain(i, b.clock.Now())
		e.AuditID, e.Actor, e.ActedVia, e.Path, e.ResourceName, e.UserAgent, e.Verb = text, text, text, text, text, text, text
		e.Groups, e.ActedViaGroups = []string{text}, []string{"before", text, "after"}
		e.Raw = []byte(text)
		b.append(t, store.Appended{Stored: 1}, e)
		got, err := b.Event(t.Context(), query.ClusterWide(), e.ID)
		if err != nil {
			t.Fatalf("Event of %.20q: %v", text, err)
		}
		for _, field := range []string{got.AuditID, got.Actor, got.ActedVia, got.Path, got.ResourceName, got.UserAgent, got.Verb, got.Groups[0], got.ActedViaGroups[1]} {
			kept := store.Bounded(&audit.Event{Path: text, Actor: text})
			if field != store.Text(kept.Path) && field != store.Text(kept.Actor) {
				t.Errorf("%.40q came back as %.40q", text, field)
			}
		}
		if !bytes.Equal(got.Raw, e.Raw) {
			t.Errorf("raw of %.40q came back as %.40q", text, got.Raw)
		}
		for name, filter := range map[string]query.Filter{
			"actor": {Terms: query.Terms{Actors: []string{got.Actor}, ResourceNames: []string{got.ResourceName}}}, "search": {Search: strings.ToValidUTF8(text[:min(len(text), 100)], "\uFFFD")},
		} {
			view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: filter, Window: always(b.clock.Now()), Limit: store.MaxPage})
			if err != nil {
				t.Fatalf("View by %s %.20q: %v", name, text, err)
			}
			if !slices.ContainsFunc(view.Events, func(found audit.Event) bool { return found.ID == e.ID }) {
				t.Errorf("%s %.40q finds nothing", name, text)
			}
			if _, err := b.View(t.Context(), query.InNamespaces(text, text), store.ViewRequest{Filter: filter, Window: always(b.clock.Now()), Limit: 1}); err != nil {
				t.Errorf("View in scope %.20q: %v", text, err)
			}
		}
	}
}

func testCaptureStops(t *testing.T, b *bench) {
	b.append(t, store.Appended{Stored: 2}, plain(1, b.clock.Now()), plain(2, b.clock.Now()))
	stop := errors.New("stop")
	calls := 0
	_, err := b.Capture(t.Context(), query.ClusterWide(), store.CaptureRequest{Window: always(b.clock.Now()), Limit: 10}, func(*audit.Event) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("Capture = %v after %d rows, want the callback's error after the first", err, calls)
	}
}

// testBadRequests checks that what can't be meant is refused, not widened.
func testBadRequests(t *testing.T, b *bench) {
	b.append(t, store.Appended{Stored: 1}, plain(1, b.clock.Now()))
	window := always(b.clock.Now())
	for name, terms := range map[string]query.Terms{
		"status code": {StatusCodes: []string{"4"}}, "status class": {StatusCodes: []string{"xxx"}}, "status range": {StatusCodes: []string{"0xx"}}, "prefix": {IPs: []netip.Prefix{{}}},
	} {
		for _, filter := range []query.Filter{{Terms: terms}, {Exclude: terms}} {
			if _, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: filter, Window: window, Limit: 1}); err == nil {
				t.Errorf("View with a bad %s: no error", name)
			}
		}
	}
	if _, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: window, HistogramWidth: 7 * time.Second}); err == nil {
		t.Error("View with a histogram of 7s: no error")
	}
	if _, err := b.Facet(t.Context(), query.ClusterWide(), store.FacetRequest{Window: window, Dimension: "id); --", Limit: 1}); err == nil {
		t.Error("Facet of an unknown dimension: no error")
	}
}

func testCancelled(t *testing.T, b *bench) {
	b.append(t, store.Appended{Stored: 1}, plain(1, b.clock.Now()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, viewErr := b.View(ctx, query.ClusterWide(), store.ViewRequest{Window: always(b.clock.Now()), Limit: 1})
	_, facetErr := b.Facet(ctx, query.ClusterWide(), store.FacetRequest{Window: always(b.clock.Now()), Dimension: query.ByActor, Limit: 1})
	_, eventErr := b.Event(ctx, query.ClusterWide(), plain(1, b.clock.Now()).ID)
	_, requestErr := b.SameRequest(ctx, query.ClusterWide(), &audit.Event{AuditID: "some", OccurredAt: b.clock.Now()})
	_, appendErr := b.Append(ctx, store.Batch{Source: "s", Events: []audit.Event{plain(2, b.clock.Now())}})
	for name, err := range map[string]error{"View": viewErr, "Facet": facetErr, "Event": eventErr, "SameRequest": requestErr, "Append": appendErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context = %v, want context.Canceled", name, err)
		}
	}
	b.append(t, store.Appended{Stored: 1}, plain(3, b.clock.Now()))
}
