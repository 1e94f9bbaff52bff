package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// lockPlaces keeps every read of events waiting until the test ends.
func lockPlaces(t *testing.T, s *Store) {
	t.Helper()
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tx.Rollback(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if _, err := tx.Exec(t.Context(), "LOCK TABLE audit_places"); err != nil {
		t.Fatal(err)
	}
}

// waiting is how many statements of this database wait for a lock.
const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND wait_event_type = 'Lock'"

func awaitWaiting(t *testing.T, s *Store, want int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		got := ask[int](t, s, waiting)
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%d statements wait for a lock, want %d", got, want)
		}
	}
}

// reads are all kinds of reads of events.
var reads = map[string]func(ctx context.Context, s *Store) error{
	"View": func(ctx context.Context, s *Store) error {
		_, err := s.View(ctx, query.ClusterWide(), store.ViewRequest{Window: aroundNow, Limit: 1})
		return err
	},
	"View of a count": func(ctx context.Context, s *Store) error {
		_, err := s.View(ctx, query.ClusterWide(), store.ViewRequest{Filter: query.Filter{Terms: query.Terms{Clusters: []string{"prod"}}}, Window: aroundNow, Count: true})
		return err
	},
	"Facet": func(ctx context.Context, s *Store) error {
		_, err := s.Facet(ctx, query.ClusterWide(), store.FacetRequest{Window: aroundNow, Dimension: query.ByCluster, Limit: 1})
		return err
	},
	"Event": func(ctx context.Context, s *Store) error {
		_, err := s.Event(ctx, query.ClusterWide(), plain(1, testNow).ID)
		return err
	},
	"SameRequest": func(ctx context.Context, s *Store) error {
		_, err := s.SameRequest(ctx, query.ClusterWide(), &audit.Event{AuditID: "some", OccurredAt: testNow})
		return err
	},
	"Capture": func(ctx context.Context, s *Store) error {
		_, err := s.Capture(ctx, query.ClusterWide(), store.CaptureRequest{Window: aroundNow, Limit: 1}, func(*audit.Event) error { return nil })
		return err
	},
}

// TestReadIsCancelled cancels reads that wait: their statements end in the
// database too.
func TestReadIsCancelled(t *testing.T) {
	s := openAt(t, newDatabase(t))
	mustAppend(t, s, store.Appended{Stored: 1}, plain(1, testNow))
	lockPlaces(t, s)
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- read(ctx, s) }()
			awaitWaiting(t, s, 1)
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled read = %v, want context.Canceled", err)
			}
			awaitWaiting(t, s, 0)
		})
	}
}

func TestReadTakesTooLong(t *testing.T) {
	url := newDatabase(t)
	mustAppend(t, openAt(t, url), store.Appended{Stored: 1}, plain(1, testNow))
	s := mustOpen(t, Options{URL: url, StatementTimeout: 200 * time.Millisecond, Now: func() time.Time { return testNow }, Log: testr.New(t)})
	lockPlaces(t, s)
	for name, read := range reads {
		err := read(t.Context(), s)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "took longer than 200ms") {
			t.Errorf("%s that waits = %v, want that it took longer than 200ms", name, err)
		}
	}
	awaitWaiting(t, s, 0)
}

// TestStatementTimeout has the server end a statement whose cancellation does
// not arrive.
func TestStatementTimeout(t *testing.T) {
	s := openAt(t, newDatabase(t))
	err := s.read(t.Context(), "store.test", func(ctx context.Context, tx *readTx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 10"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "SELECT pg_sleep(60)")
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read that the server ends = %v, want context.DeadlineExceeded", err)
	}
}

// TestDayIsDroppedWhileRead drops a day between the statements of a read, which
// goes on to see it; a read that begins then sees nothing of it.
func TestDayIsDroppedWhileRead(t *testing.T) {
	s := openAt(t, newDatabase(t))
	old := audit.Day(testNow).AddDate(0, 0, -2)
	var events []audit.Event
	for i := range 30 {
		events = append(events, plain(i, old.Add(time.Duration(i)*time.Hour)))
	}
	mustAppend(t, s, store.Appended{Stored: len(events)}, events...)
	window := query.Window{From: old, To: testNow}
	drop := func() {
		t.Helper()
		mustRetain(t, s, old.AddDate(0, 0, 1), old)
	}
	var captured []audit.Event
	capture, err := s.Capture(t.Context(), query.ClusterWide(), store.CaptureRequest{Window: window, Limit: 100}, func(e *audit.Event) error {
		if captured = append(captured, *e); len(captured) == 1 {
			drop()
		}
		return nil
	})
	if err != nil || capture.Matched != 30 || len(captured) != 30 {
		t.Errorf("Capture counted %d, %v, and gave %d rows, want 30", capture.Matched, err, len(captured))
	}
	view, err := s.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: window, Limit: 100, Count: true})
	if err != nil || view.Matched != 6 || len(view.Events) != 6 {
		t.Errorf("View counted %d, %v, and gave %d rows, want 6", view.Matched, err, len(view.Events))
	}
}

// TestViewWhileDayIsDropped does so between the parts of a page.
func TestViewWhileDayIsDropped(t *testing.T) {
	s := openAt(t, newDatabase(t))
	old := audit.Day(testNow).AddDate(0, 0, -2)
	mustAppend(t, s, store.Appended{Stored: 3}, plain(1, old), plain(2, old.Add(23*time.Hour)), plain(3, testNow.Add(-time.Hour)))
	req := store.ViewRequest{Window: query.Window{From: old, To: testNow}, Limit: 10, Count: true, HistogramWidth: 24 * time.Hour}
	before, err := s.View(t.Context(), query.ClusterWide(), req)
	if err != nil {
		t.Fatal(err)
	}
	var during store.View
	if err := s.read(t.Context(), "store.test", func(ctx context.Context, tx *readTx) error {
		cond, err := newWhere(query.ClusterWide(), &req.Filter, req.Window.From)
		if err != nil {
			return err
		}
		during = store.View{AsOf: tx.asOf}
		if err := tx.page(ctx, cond, req, &during); err != nil {
			return err
		}
		mustRetain(t, s, old.AddDate(0, 0, 1), old)
		return tx.viewCounts(ctx, cond, req, &during)
	}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, during, cmp.Comparer(func(a, b audit.Event) bool { return a.ID == b.ID })); d != "" {
		t.Errorf("a page during which a day was dropped (-want +got):\n%s", d)
	}
	if len(before.Events) != 3 || !slices.Equal(before.Histogram, []store.Bucket{{Start: old, Count: 2}, {Start: audit.Day(testNow), Count: 1}}) {
		t.Errorf("before, the page was %+v", before)
	}
}
