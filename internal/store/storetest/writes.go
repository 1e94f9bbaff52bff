package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

func testDuplicatesInBatch(t *testing.T, b *bench) {
	now := b.clock.Now()
	first, second := plain(1, now), plain(2, now.Add(-30*time.Hour))
	b.append(t, store.Appended{Stored: 2, Duplicate: 2}, first, second, first, second)
	if d := diff([]audit.Event{first, second}, b.all(t)); d != "" {
		t.Errorf("stored (-want +got):\n%s", d)
	}
}

// testDuplicatesAcross sends events again in later batches, on later days and
// after reopening.
func testDuplicatesAcross(t *testing.T, b *bench) {
	events := corpus(b.clock.Now(), 300)
	b.append(t, store.Appended{Stored: 300}, events...)
	b.append(t, store.Appended{Duplicate: 300}, events...)
	b.reopen(t)
	extra := plain(1000, b.clock.Now())
	b.append(t, store.Appended{Stored: 1, Duplicate: 300}, append(slices.Clone(events), extra)...)
	b.clock.advance(4 * 24 * time.Hour)
	b.append(t, store.Appended{Duplicate: 301}, append(slices.Clone(events), extra)...)
	b.reopen(t)
	b.append(t, store.Appended{Duplicate: 1}, extra)
	if got := len(b.all(t)); got != 301 {
		t.Errorf("%d events are stored, want 301", got)
	}
}

func testConcurrentAppends(t *testing.T, b *bench) {
	events := corpus(b.clock.Now(), 400)
	results := make([]store.Appended, 16)
	var group errgroup.Group
	for i := range results {
		group.Go(func() (err error) {
			from := i * 20 // overlaps its neighbours
			results[i], err = b.Append(t.Context(), store.Batch{Source: fmt.Sprint("s", i%3), ReceivedAt: b.clock.Now(), Events: events[from : from+100]})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("Append: %v", err)
	}
	stored, duplicate := 0, 0
	for _, r := range results {
		stored, duplicate = stored+r.Stored, duplicate+r.Duplicate
	}
	if stored != 400 || duplicate != 1200 {
		t.Errorf("%d stored and %d duplicate, want 400 and 1200", stored, duplicate)
	}
	filter := everyStage()
	if d := diff(events.matches(query.ClusterWide(), &filter, always(b.clock.Now())), b.all(t)); d != "" {
		t.Errorf("stored (-want +got):\n%s", d)
	}
}

// testOutsideRetention checks both edges of what is given a day.
func testOutsideRetention(t *testing.T, b *bench) {
	now := b.clock.Now()
	b.append(t, store.Appended{Stored: 2, Quarantined: 3},
		plain(1, now.Add(-retention)), plain(2, now.Add(-retention-time.Microsecond)),
		plain(3, now.Add(time.Hour)), plain(4, now.Add(time.Hour+time.Microsecond)),
		number(audit.Event{Source: "s"}, 5))
	if got := len(b.all(t)); got != 2 {
		t.Errorf("%d events are stored, want 2", got)
	}
	page, err := b.Quarantine(t.Context(), store.QuarantineRequest{Source: "s", Limit: 10})
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("Quarantine = %d items, %v; want 3", len(page.Items), err)
	}
	for _, item := range page.Items {
		if item.Reason == "" || item.Source != "s" || !item.ReceivedAt.Equal(now) || item.Size == 0 || item.Hash == [32]byte{} || !strings.Contains(string(item.Redacted), "Event") {
			t.Errorf("quarantined as %+v, want the reason and the event", item)
		}
	}
}

func testSources(t *testing.T, b *bench) {
	now := b.clock.Now()
	own := plain(2, now.Add(-time.Hour))
	own.Client = audit.ClientOperator
	for _, batch := range []store.Batch{
		{Source: "b", ReceivedAt: now, Events: []audit.Event{plain(1, now.Add(-time.Minute)), own, own}},
		{Source: "a", ReceivedAt: now.Add(time.Second), Events: []audit.Event{plain(1, now.Add(-time.Minute)), plain(3, now.Add(-retention-time.Hour))}},
		{Source: "b", ReceivedAt: now.Add(2 * time.Second), Quarantined: []audit.Quarantined{{Reason: "no JSON"}}, Events: []audit.Event{plain(4, now.Add(-48*time.Hour))}},
	} {
		if _, err := b.Append(t.Context(), batch); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	want := []store.SourceStats{
		{Source: "a", Received: 2, Duplicate: 1, Quarantined: 1, LastReceivedAt: now.Add(time.Second)},
		{Source: "b", Received: 5, Stored: 3, Duplicate: 1, Quarantined: 1, Own: 1, LastReceivedAt: now.Add(2 * time.Second), LastEventAt: now.Add(-time.Minute)},
	}
	for range 2 {
		got, err := b.Sources(t.Context())
		if err != nil {
			t.Fatalf("Sources: %v", err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("Sources (-want +got):\n%s", d)
		}
		b.reopen(t)
	}
}

func testEmptyBatch(t *testing.T, b *bench) {
	b.append(t, store.Appended{})
	got, err := b.Sources(t.Context())
	if err != nil || len(got) != 1 || !got[0].LastReceivedAt.Equal(b.clock.Now()) {
		t.Errorf("Sources = %+v, %v; want the source with its time", got, err)
	}
}

func testRetain(t *testing.T, b *bench) {
	now := b.clock.Now()
	today := audit.Day(now)
	day := func(n int) time.Time { return today.AddDate(0, 0, n) }
	var events []audit.Event
	for n := -5; n <= 0; n++ {
		events = append(events, plain(10+n, day(n)), plain(20+n, day(n+1).Add(-time.Microsecond)))
	}
	events = events[:len(events)-1] // the last one is ahead of the clock
	b.append(t, store.Appended{Stored: len(events)}, events...)

	retain := func(before time.Time, want ...time.Time) {
		t.Helper()
		got, err := b.Retain(t.Context(), before)
		if err != nil {
			t.Fatalf("Retain: %v", err)
		}
		slices.SortFunc(got, time.Time.Compare)
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("Retain before %s dropped %v, want %v", before, got, want)
		}
	}
	left := func(want int) {
		t.Helper()
		if got := len(b.all(t)); got != want {
			t.Fatalf("%d events are left, want %d", got, want)
		}
	}
	retain(day(-5).Add(23 * time.Hour)) // its day has not ended before it
	left(11)
	retain(day(-3), day(-5), day(-4))
	left(7)
	if _, err := b.Event(t.Context(), query.ClusterWide(), events[0].ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Event of a dropped day = %v, want ErrNotFound", err)
	}
	// What is left is known still; a dropped day's event is as new as any.
	b.append(t, store.Appended{Duplicate: 1}, events[10])
	b.append(t, store.Appended{Stored: 1}, events[0])
	b.reopen(t)
	left(8)
	retain(now.AddDate(1, 0, 0), day(-5), day(-3), day(-2), day(-1))
	left(1)
	b.clock.advance(retention + 24*time.Hour)
	b.append(t, store.Appended{Stored: 1, Quarantined: 1}, events[0], plain(99, b.clock.Now())) // which confirms the clock
}

func testClosed(t *testing.T, b *bench) {
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, appendErr := b.Append(t.Context(), store.Batch{Source: "s", Events: []audit.Event{plain(1, b.clock.Now())}})
	_, viewErr := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: always(b.clock.Now()), Limit: 1})
	_, snapshotErr := b.Snapshot(t.Context(), query.ClusterWide(), snapshotID(1))
	for name, err := range map[string]error{"Append": appendErr, "View": viewErr, "Snapshot": snapshotErr, "Ready": b.Ready(t.Context())} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
	b.Store = nil
	b.reopen(t)
	if got := b.all(t); len(got) != 0 {
		t.Errorf("%d events are stored, want none", len(got))
	}
}
