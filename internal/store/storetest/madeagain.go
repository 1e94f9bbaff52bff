package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// testMadeAgain checks that who has rights in a namespace sees, by every way of
// reading, what occurred from its creation on, to the microsecond, and nothing of
// the earlier one of its name.
func testMadeAgain(t *testing.T, b *bench) {
	now := b.clock.Now()
	created := now.Add(-90 * time.Minute).Truncate(time.Microsecond)
	bills := now.Add(-26 * time.Hour).Truncate(time.Microsecond)
	var events oracle
	add := func(namespace string, at time.Time) {
		e := plain(len(events), at)
		e.Namespace, e.AuditID, e.ResourceName = namespace, "shared", fmt.Sprint("thing-", len(events))
		events = append(events, e)
	}
	for _, namespace := range []string{"shop", "bills", "old", "other"} {
		for _, at := range []time.Time{
			created.Add(-48 * time.Hour), bills.Add(-time.Microsecond), bills, created.Add(-time.Hour), created.Add(-time.Microsecond),
			created, created.Add(time.Microsecond), created.Add(time.Hour),
		} {
			add(namespace, at)
		}
	}
	shop, both := query.Namespace{Name: "shop", Since: created}, query.Namespace{Name: "bills", Since: bills}
	scopes := map[string]query.Scope{
		"one":             query.SinceCreation("prod", shop),
		"two":             query.SinceCreation("prod", shop, both),
		"one without end": query.SinceCreation("prod", shop, both, query.Namespace{Name: "old"}),
		"twice":           query.SinceCreation("prod", shop, query.Namespace{Name: "shop"}),
		"another cluster": query.SinceCreation("staging", shop),
		"later":           query.SinceCreation("prod", query.Namespace{Name: "shop", Since: now.Add(time.Hour)}),
	}
	tails := map[string]*tailing{}
	for name, scope := range scopes {
		tails[name] = b.follow(t, scope, query.Filter{}, time.Time{})
	}
	b.ingest(t, store.Appended{Stored: len(events)}, events...)
	for name, scope := range scopes {
		t.Run(name, func(t *testing.T) {
			if d := diff(sortedByID(events.matches(scope, &query.Filter{}, always(now))), sortedByID(tails[name].drain(t, 3))); d != "" {
				t.Errorf("Tail (-want +got):\n%s", d)
			}
			b.reads(t, scope, events)
		})
	}
	if n := len(events.matches(scopes["one"], &query.Filter{}, always(now))); n != 3 {
		t.Errorf("the oracle finds %d events since the creation, want 3", n)
	}
}

// reads compares every way of reading with the oracle.
func (b *bench) reads(t *testing.T, scope query.Scope, events oracle) {
	t.Helper()
	filter, now := query.Filter{}, b.clock.Now()
	for _, window := range []query.Window{always(now), {From: now.Add(-2 * time.Hour), To: now}, {From: now.Add(-24 * time.Hour), To: now.Add(-time.Hour)}} {
		want := events.matches(scope, &filter, window)
		view, err := b.View(t.Context(), scope, store.ViewRequest{Window: window, Limit: store.MaxPage, Count: true, HistogramWidth: time.Hour})
		if err != nil {
			t.Fatalf("View: %v", err)
		}
		if d := diff(want, view.Events); d != "" || view.Matched != int64(len(want)) {
			t.Errorf("View counts %d, want %d (-want +got):\n%s", view.Matched, len(want), d)
		}
		if d := cmp.Diff(histogram(want, time.Hour), view.Histogram, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("View's histogram (-want +got):\n%s", d)
		}
		for _, dimension := range []query.Dimension{query.ByNamespace, query.ByActor, query.ByResourceName} {
			counted, err := b.Facet(t.Context(), scope, store.FacetRequest{Window: window, Dimension: dimension, Limit: store.MaxPage})
			if err != nil {
				t.Fatalf("Facet: %v", err)
			}
			if d := cmp.Diff(facet(want, dimension, "", store.MaxPage), counted.Values, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("Facet %s (-want +got):\n%s", dimension, d)
			}
		}
		var rows []audit.Event
		got, err := b.Capture(t.Context(), scope, store.CaptureRequest{Window: window, Limit: 1000}, func(e *audit.Event) error {
			rows = append(rows, *e)
			return nil
		})
		if err != nil {
			t.Fatalf("Capture: %v", err)
		}
		slices.Reverse(rows)
		if d := diff(want, rows); d != "" || got.Matched != int64(len(want)) {
			t.Errorf("Capture counts %d, want %d (-want +got):\n%s", got.Matched, len(want), d)
		}
	}
	for i := range events {
		visible := Match(&events[i], scope, &filter)
		if _, err := b.Event(t.Context(), scope, events[i].ID); visible != (err == nil) || !visible && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Event of %s at %s = %v", events[i].Namespace, events[i].OccurredAt, err)
		}
		same, err := b.SameRequest(t.Context(), scope, &events[i])
		if err != nil {
			t.Fatalf("SameRequest: %v", err)
		}
		if want := events.sameRequest(scope, &events[i]); cmp.Diff(idsOf(want.Events), idsOf(same.Events), cmpopts.EquateEmpty()) != "" || want.More != same.More {
			t.Errorf("SameRequest of %s at %s = %d events, want %d", events[i].Namespace, events[i].OccurredAt, len(same.Events), len(want.Events))
		}
	}
}

func idsOf(events []audit.Event) []string {
	var ids []string
	for i := range events {
		ids = append(ids, events[i].ID.String())
	}
	slices.Sort(ids)
	return ids
}

// testMadeAgainSnapshots checks that a namespace's snapshots are those that were
// taken since it was created.
func testMadeAgainSnapshots(t *testing.T, b *bench) {
	now := b.clock.Now().Truncate(time.Microsecond)
	var all []store.Manifest
	for i, taken := range []time.Time{now.Add(-time.Hour), now.Add(-time.Microsecond), now, now.Add(time.Minute)} {
		for j, namespace := range []string{"shop", "bills"} {
			m := manifest(2*i+j+1, taken)
			m.Cluster, m.Namespace = "prod", namespace
			b.save(t, m, "")
			all = append(all, m)
		}
	}
	created := query.Namespace{Name: "shop", Since: now}
	for _, scope := range []query.Scope{
		query.SinceCreation("prod", created), query.SinceCreation("prod", created, query.Namespace{Name: "bills", Since: now.Add(-30 * time.Minute)}),
		query.SinceCreation("prod", query.Namespace{Name: "shop", Since: now.Add(time.Hour)}), query.InNamespaces("prod", "shop"),
	} {
		want := covered(all, scope)
		for _, size := range []int{1, 3, 100} {
			if d := cmp.Diff(want, b.list(t, scope, size), cmpopts.EquateEmpty()); d != "" {
				t.Errorf("scope %+v, pages of %d (-want +got):\n%s", scope, size, d)
			}
		}
		for _, m := range all {
			visible := slices.ContainsFunc(want, func(w store.Manifest) bool { return w.ID == m.ID })
			if _, err := b.Snapshot(t.Context(), scope, m.ID); visible != (err == nil) || !visible && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("scope %+v: Snapshot of %s taken at %s = %v", scope, m.Namespace, m.TakenAt, err)
			}
			body, err := b.OpenSnapshot(t.Context(), scope, m.ID)
			if visible != (err == nil) || !visible && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("scope %+v: OpenSnapshot of %s taken at %s = %v", scope, m.Namespace, m.TakenAt, err)
			}
			if err == nil {
				if err := body.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// testFarTimes checks that no time that a question can name makes a read fail.
func testFarTimes(t *testing.T, b *bench) {
	now := b.clock.Now()
	event := plain(1, now)
	b.append(t, store.Appended{Stored: 1}, event)
	first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	for _, window := range []query.Window{{From: first, To: last}, {From: last, To: last}, {From: last, To: first}, {From: first, To: first.Add(time.Microsecond)}} {
		want := int64(0)
		if window.To.After(now) && window.From.Before(now) {
			want = 1
		}
		for _, scope := range []query.Scope{query.ClusterWide(), query.InNamespaces("prod", "shop"), query.SinceCreation("prod", query.Namespace{Name: "shop", Since: first})} {
			for _, at := range []time.Time{first, now.Add(time.Minute), last} {
				for _, width := range []time.Duration{time.Second, 24 * time.Hour} {
					view, err := b.View(t.Context(), scope, store.ViewRequest{Window: window, Limit: 10, Count: true, HistogramWidth: width, After: &query.Position{OccurredAt: at}})
					if err != nil || view.Matched != want {
						t.Errorf("View of %+v after %s counts %d, %v; want %d", window, at, view.Matched, err, want)
					}
				}
			}
			if _, err := b.Facet(t.Context(), scope, store.FacetRequest{Window: window, Dimension: query.ByActor, Limit: 10}); err != nil {
				t.Errorf("Facet of %+v: %v", window, err)
			}
			if _, err := b.Capture(t.Context(), scope, store.CaptureRequest{Window: window, Limit: 10}, func(*audit.Event) error { return nil }); err != nil {
				t.Errorf("Capture of %+v: %v", window, err)
			}
		}
	}
	for _, at := range []time.Time{first, last} {
		begun, err := b.Tail(t.Context(), query.ClusterWide(), store.TailRequest{Since: at})
		if err != nil {
			t.Fatalf("Tail since %s: %v", at, err)
		}
		if _, err := b.Tail(t.Context(), query.ClusterWide(), store.TailRequest{Since: at, After: begun.Next, Limit: 10}); err != nil {
			t.Errorf("Tail since %s: %v", at, err)
		}
		if _, err := b.ListSnapshots(t.Context(), query.ClusterWide(), store.ListSnapshotsRequest{Before: &store.SnapshotPosition{TakenAt: at}, Limit: 10}); err != nil {
			t.Errorf("ListSnapshots before %s: %v", at, err)
		}
	}
}
