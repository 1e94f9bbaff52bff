package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// RunHoldings checks that a store gives away all that it holds, and takes what
// another one held.
func RunHoldings(t *testing.T, open func(t *testing.T, opts Options) store.Store) {
	for name, test := range map[string]func(t *testing.T, b *bench){
		"Export":           testExport,
		"Stretches":        testStretches,
		"Import":           testImport,
		"ImportKnown":      testImportKnown,
		"ImportConcurrent": testImportConcurrent,
		"OldestDay":        testOldestDay,
		"Quarantine":       testExportQuarantine,
		"Totals":           testTotals,
		"Snapshots":        testExportSnapshots,
		"Key":              testKey,
		"Closed":           testHoldingsClosed,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBench(t, open)) })
	}
}

// another is an empty store of the same kind.
func (b *bench) another(t *testing.T) *bench {
	other := newBench(t, b.open)
	other.clock.advance(time.Minute) // what it stores itself is ingested later
	return other
}

func (b *bench) holdings(t *testing.T) store.Holdings {
	t.Helper()
	h, ok := b.Store.(store.Holdings)
	if !ok {
		t.Fatalf("%T is no store.Holdings", b.Store)
	}
	return h
}

// export returns the wanted events of a stretch, oldest first.
func (b *bench) export(t *testing.T, stretch store.Stretch, wanted func(audit.ID) bool) []audit.Event {
	t.Helper()
	var events []audit.Event
	if err := b.holdings(t).Export(t.Context(), stretch, wanted, func(e *audit.Event, damage error) error {
		events = append(events, *e)
		return damage
	}); err != nil {
		t.Fatalf("Export: %v", err)
	}
	slices.SortFunc(events, oldestFirst)
	return events
}

// exportAll returns every event of every day, oldest first.
func (b *bench) exportAll(t *testing.T) []audit.Event {
	t.Helper()
	days, err := b.holdings(t).Days(t.Context())
	if err != nil {
		t.Fatalf("Days: %v", err)
	}
	var events []audit.Event
	for _, day := range days {
		of := b.export(t, store.Stretch{Day: day.Day}, func(audit.ID) bool { return true })
		if int64(len(of)) != day.Events {
			t.Errorf("%s holds %d events and gives %d", day.Day, day.Events, len(of))
		}
		events = append(events, of...)
	}
	return events
}

func (b *bench) importEvents(t *testing.T, want int, events ...audit.Event) {
	t.Helper()
	if got, err := b.holdings(t).Import(t.Context(), events); err != nil || got != want {
		t.Fatalf("Import = %d, %v; want %d", got, err, want)
	}
}

func oldestFirst(a, b audit.Event) int {
	if c := a.OccurredAt.Compare(b.OccurredAt); c != 0 {
		return c
	}
	return slices.Compare(a.ID[:], b.ID[:])
}

// exactly compares events with all that they hold.
func exactly(want, got []audit.Event) string { return cmp.Diff(want, got, compareEvents) }

// testExport appends in many batches, so that a day's raws lie here and there.
func testExport(t *testing.T, b *bench) {
	events := corpus(b.clock.Now(), 300)
	var want []audit.Event
	for part := range slices.Chunk([]audit.Event(events), 40) {
		b.append(t, store.Appended{Stored: len(part)}, part...)
		for _, e := range part {
			e.IngestedAt = b.clock.Now().Truncate(time.Microsecond)
			want = append(want, e)
		}
		b.clock.advance(time.Second)
	}
	slices.SortFunc(want, oldestFirst)
	for range 2 {
		if d := exactly(want, b.exportAll(t)); d != "" {
			t.Fatalf("Export (-want +got):\n%s", d)
		}
		b.reopen(t)
	}
	some := b.export(t, store.Stretch{Day: want[0].Day()}, func(id audit.ID) bool { return id == want[0].ID })
	if d := exactly(want[:1], some); d != "" {
		t.Errorf("Export of one event (-want +got):\n%s", d)
	}
	failure := errors.New("failure")
	if err := b.holdings(t).Export(t.Context(), store.Stretch{Day: want[0].Day()}, func(audit.ID) bool { return true },
		func(*audit.Event, error) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("Export with a callback that fails = %v", err)
	}
}

// testStretches reads days by pages of every size, and what lies between any
// two events.
func testStretches(t *testing.T, b *bench) {
	events := corpus(b.clock.Now(), 200)
	b.append(t, store.Appended{Stored: len(events)}, events...)
	slices.SortFunc(events, oldestFirst)
	byDay := map[time.Time][]store.Entry{}
	for _, e := range events {
		byDay[e.Day()] = append(byDay[e.Day()], store.Entry{Position: query.PositionOf(&e), RawSHA256: e.RawSHA256})
	}
	entries := func(stretch store.Stretch, limit int) []store.Entry {
		got, err := b.holdings(t).Entries(t.Context(), stretch, limit)
		if err != nil {
			t.Fatalf("Entries: %v", err)
		}
		return got
	}
	for day, want := range byDay {
		for _, size := range []int{1, 7, len(want), len(want) + 1} {
			var got []store.Entry
			stretch := store.Stretch{Day: day}
			for {
				page := entries(stretch, size)
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
				stretch.After = &page[len(page)-1].Position
			}
			if d := cmp.Diff(want, got, compareEvents); d != "" {
				t.Fatalf("Entries of %s by %d (-want +got):\n%s", day, size, d)
			}
		}
		for i := 0; i < len(want); i += 5 {
			last := min(i+11, len(want)-1)
			stretch := store.Stretch{Day: day, After: &want[i].Position, UpTo: &want[last].Position}
			if d := cmp.Diff(want[i+1:last+1], entries(stretch, 1000), compareEvents, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("Entries from %d to %d (-want +got):\n%s", i, last, d)
			}
			if got := b.export(t, stretch, func(audit.ID) bool { return true }); len(got) != last-i {
				t.Fatalf("Export from %d to %d gives %d events", i, last, len(got))
			}
		}
	}
	if got := entries(store.Stretch{Day: audit.Day(b.clock.Now().AddDate(0, 0, -30))}, 10); len(got) != 0 {
		t.Errorf("a day without events has %v", got)
	}
}

// testImport copies events and compares what both answer.
func testImport(t *testing.T, b *bench) {
	events := append(corpus(b.clock.Now(), 300), hostile(b.clock.Now())...)
	b.append(t, store.Appended{Stored: len(events)}, events...)
	all := b.exportAll(t)
	to := b.another(t)
	for part := range slices.Chunk(all, 128) {
		to.importEvents(t, len(part), part...)
		to.importEvents(t, 0, part...)
	}
	for range 2 {
		if d := exactly(all, to.exportAll(t)); d != "" {
			t.Fatalf("Import (-want +got):\n%s", d)
		}
		if d := diff(b.all(t), to.all(t)); d != "" {
			t.Errorf("View (-want +got):\n%s", d)
		}
		if d := cmp.Diff(b.summary(t), to.summary(t)); d != "" {
			t.Errorf("counts (-want +got):\n%s", d)
		}
		one, err := to.Event(t.Context(), query.ClusterWide(), all[7].ID)
		if err != nil {
			t.Fatalf("Event: %v", err)
		}
		if d := exactly(all[7:8], []audit.Event{one}); d != "" {
			t.Errorf("Event (-want +got):\n%s", d)
		}
		to.reopen(t)
	}
	if sources, err := to.Sources(t.Context()); err != nil || len(sources) != 0 {
		t.Errorf("Sources after an import = %v, %v; it is counted elsewhere", sources, err)
	}
}

// hostile are events whose text and raw is not what most are, as a store
// gives them.
func hostile(now time.Time) []audit.Event {
	bare := number(audit.Event{Source: "s", OccurredAt: now.Truncate(time.Microsecond), StageAt: now.Truncate(time.Microsecond), Stage: audit.StagePanic}, 2000)
	bare.Raw = nil
	text := plain(2001, now.Add(-time.Hour))
	text.ResourceName, text.Path, text.AuditID = "\\N\t\r\n\"", "\u2028\uFFFD", "{a,b}"
	return []audit.Event{bare, text}
}

type summary struct {
	Matched   int64
	Histogram []store.Bucket
	Actors    []store.FacetValue
}

// summary asks for what may come from something else than rows.
func (b *bench) summary(t *testing.T) summary {
	t.Helper()
	window := always(b.clock.Now())
	view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: everyStage(), Window: window, Count: true, HistogramWidth: time.Hour})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	facet, err := b.Facet(t.Context(), query.ClusterWide(), store.FacetRequest{Filter: everyStage(), Window: window, Dimension: query.ByActor, Limit: 100})
	if err != nil {
		t.Fatalf("Facet: %v", err)
	}
	return summary{view.Matched, view.Histogram, facet.Values}
}

// testImportKnown imports what was appended, and appends what was imported.
func testImportKnown(t *testing.T, b *bench) {
	now := b.clock.Now()
	first, second, third := plain(1, now), plain(2, now), plain(3, now.Add(-26*time.Hour))
	first.IngestedAt, second.IngestedAt, third.IngestedAt = now.Add(-time.Hour), now.Add(-time.Hour), now.Add(-time.Hour)
	b.append(t, store.Appended{Stored: 1}, first)
	b.importEvents(t, 2, first, second, third, second)
	b.reopen(t)
	b.append(t, store.Appended{Duplicate: 3}, first, second, third)
	for _, e := range b.all(t) {
		if imported := e.ID != first.ID; imported != e.IngestedAt.Equal(now.Add(-time.Hour)) {
			t.Errorf("event %s was ingested at %s", e.ID, e.IngestedAt)
		}
	}
	b.importEvents(t, 0)
}

// testImportConcurrent imports beside deliveries of the same events.
func testImportConcurrent(t *testing.T, b *bench) {
	events := corpus(b.clock.Now(), 400)
	stored := make([]int, 8)
	var group errgroup.Group
	for i := range stored {
		part := events[i/2*100 : i/2*100+100]
		group.Go(func() error {
			if i%2 == 0 {
				var err error
				stored[i], err = b.holdings(t).Import(t.Context(), part)
				return err
			}
			got, err := b.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: b.clock.Now(), Events: part})
			stored[i] = got.Stored
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range stored {
		sum += n
	}
	if got := b.all(t); sum != 400 || len(got) != 400 {
		t.Errorf("%d are said to be stored and %d are, want 400", sum, len(got))
	}
}

// testOldestDay checks that the retention leaves the day that it names, and
// all of it, and not the one before.
func testOldestDay(t *testing.T, b *bench) {
	oldest := b.holdings(t).OldestDay()
	kept, lost := plain(1, oldest), plain(2, oldest.Add(-time.Microsecond))
	b.importEvents(t, 2, kept, lost)
	if _, err := b.Retain(t.Context(), b.clock.Now().Add(-retention)); err != nil {
		t.Fatalf("Retain: %v", err)
	}
	if d := diff([]audit.Event{kept}, b.all(t)); d != "" {
		t.Errorf("after Retain (-want +got):\n%s", d)
	}
}

func testHoldingsClosed(t *testing.T, b *bench) {
	h := b.holdings(t)
	if err := b.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, daysErr := h.Days(t.Context())
	_, importErr := h.Import(t.Context(), []audit.Event{plain(1, b.clock.Now())})
	_, manifestsErr := h.Manifests(t.Context())
	for name, err := range map[string]error{"Days": daysErr, "Import": importErr, "Manifests": manifestsErr, "ImportTotals": h.ImportTotals(t.Context(), nil)} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
	b.Store = nil
	b.reopen(t)
}
