package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// clock is a settable clock, safe for concurrent use.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func mustRetain(t *testing.T, s *Store, before time.Time, want ...time.Time) {
	t.Helper()
	got, err := s.Retain(t.Context(), before)
	if err != nil || !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Fatalf("Retain dropped %v, %v; want %v", got, err, want)
	}
}

const countOfDay = "SELECT count(*) FROM audit_rows WHERE occurred_at >= $1 AND occurred_at < $1 + interval '1 day'"

// TestRetainBesideOthers drops a day that is being read while others write: who
// reads it sees all of it until the end, and nobody waits for that.
func TestRetainBesideOthers(t *testing.T) {
	s := openAt(t, newDatabase(t))
	old := audit.Day(testNow).AddDate(0, 0, -3)
	mustAppend(t, s, store.Appended{Stored: 100}, generated(t, 1, old.Add(12*time.Hour), 100)...)
	mustAppend(t, s, store.Appended{Stored: 1}, plain(1, testNow))

	writing, stopWriting := context.WithCancel(t.Context())
	var writer errgroup.Group
	written := 1
	writer.Go(func() error {
		for writing.Err() == nil {
			began := time.Now()
			written++
			got, err := s.Append(t.Context(), batchOf(plain(written, testNow)))
			if err != nil || got.Stored != 1 || time.Since(began) > 5*time.Second {
				return fmt.Errorf("Append = %+v, %w after %s", got, err, time.Since(began))
			}
		}
		return nil
	})
	if err := s.read(t.Context(), "store.test", func(ctx context.Context, tx *readTx) error {
		began := time.Now()
		mustRetain(t, s, old.AddDate(0, 0, 1), old)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("Retain waited for a reader, for %s", took)
		}
		var found int
		if err := tx.QueryRow(ctx, countOfDay, old).Scan(&found); err != nil || found != 100 {
			t.Errorf("who began before finds %d events, %v; want 100", found, err)
		}
		return s.read(t.Context(), "store.test", func(_ context.Context, tx *readTx) error {
			if days := tx.days; len(days) != 1 || !days[0].Equal(audit.Day(testNow)) {
				t.Errorf("who begins now is told of the days %v, want today", days)
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	// A writer may be at it for longer than the drop waits.
	left := true
	for deadline := time.Now().Add(30 * time.Second); left && time.Now().Before(deadline); {
		if err := s.maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		left = ask[bool](t, s, "SELECT to_regclass('audit_rows' || to_char($1::date, '_YYYYMMDD')) IS NOT NULL", old)
	}
	stopWriting()
	if err := writer.Wait(); err != nil {
		t.Error(err)
	}
	for _, table := range []string{"audit_rows", "audit_raw", "audit_rollup_deltas", "audit_rollup_kinds", "audit_rollup_places", "audit_rollup_actors"} {
		if ask[bool](t, s, "SELECT to_regclass($1 || to_char($2::date, '_YYYYMMDD')) IS NOT NULL", table, old) {
			t.Errorf("the day's part of %s is still there", table)
		}
	}
	if got := ask[int](t, s, "SELECT count(*) FROM audit_rows"); got != written {
		t.Errorf("%d events are stored, want the %d of today", got, written)
	}
	checkRollups(t, s)
}

// TestRetainForgets appends an event of a day that was dropped by
// another replica: it is as new as any.
func TestRetainForgets(t *testing.T) {
	url := newDatabase(t)
	s, other := openAt(t, url), openAt(t, url)
	old := plain(1, testNow.Add(-72*time.Hour))
	mustAppend(t, s, store.Appended{Stored: 2}, old, plain(2, testNow))
	for range 5 { // by either committer
		mustRetain(t, other, testNow.Add(-24*time.Hour), old.Day())
		mustAppend(t, s, store.Appended{Stored: 1, Duplicate: 1}, old, plain(2, testNow))
	}
	if got := len(rowsOf(t, s)); got != 2 {
		t.Errorf("%d events are found, want 2", got)
	}
	mustRetain(t, s, testNow.AddDate(1, 0, 0), old.Day())
}

// TestRetainBesideLateEvents appends an event of a day that was forgotten but
// is still being read: it is not acknowledged and lost with the day.
func TestRetainBesideLateEvents(t *testing.T) {
	s := openAt(t, newDatabase(t))
	old := plain(1, testNow.Add(-72*time.Hour))
	mustAppend(t, s, store.Appended{Stored: 2}, old, plain(2, testNow))
	if err := s.read(t.Context(), "store.test", func(ctx context.Context, tx *readTx) error {
		mustRetain(t, s, testNow.Add(-24*time.Hour), old.Day())
		if got, err := s.Append(t.Context(), batchOf(old)); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Append while the day is being read = %+v, %v; want ErrUnavailable", got, err)
		}
		var found int
		return tx.QueryRow(ctx, "SELECT count(*) FROM audit_rows").Scan(&found)
	}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, store.Appended{Stored: 1}, old)
	if got := len(rowsOf(t, s)); got != 2 {
		t.Errorf("%d events are found, want 2", got)
	}
}

// TestRetainPrunes removes what no row uses from the dictionaries while another
// replica believes that it is there.
func TestRetainPrunes(t *testing.T) {
	url := newDatabase(t)
	c := &clock{now: testNow}
	open := func() *Store {
		return mustOpen(t, Options{URL: url, Now: c.Now, Retention: 24 * time.Hour, Log: testr.New(t)})
	}
	s, leader := open(), open()
	rare := func(n int) audit.Event {
		e := plain(n, c.Now())
		e.Source, e.Actor, e.Namespace, e.Verb = "rare", "rare", "rare", "rare"
		return e
	}
	mustAppend(t, s, store.Appended{Stored: 1}, rare(1))
	late := mustOpen(t, Options{URL: url, Now: func() time.Time { return testNow.AddDate(0, 0, 7) }, Retention: 24 * time.Hour})
	if err := late.pruneDictionaries(t.Context()); err != nil { // before the day is dropped
		t.Fatal(err)
	}
	entries := func() (n int) {
		t.Helper()
		for _, d := range definitions {
			n += ask[int](t, s, "SELECT count(*) FROM "+d.table)
		}
		return n
	}
	for range 4 {
		mustAppend(t, leader, store.Appended{Stored: 1}, plain(int(c.Now().Unix()), c.Now()))
		mustRetain(t, leader, c.Now().Add(-24*time.Hour), ask[[]time.Time](t, s, "SELECT coalesce(array_agg(day), '{}') FROM audit_days WHERE day + 1 <= $1", c.Now().Add(-24*time.Hour))...)
		if got := entries(); got != 2*dictionaries {
			t.Errorf("on %s there are %d entries, want those of both", c.Now(), got)
		}
		c.advance(24 * time.Hour)
	}
	mustAppend(t, leader, store.Appended{Stored: 1}, plain(2, c.Now()))
	mustRetain(t, leader, c.Now().Add(-24*time.Hour), audit.Day(c.Now()).AddDate(0, 0, -2))
	if got := entries(); got != dictionaries {
		t.Errorf("%d entries are left, want those that are in use", got)
	}
	again := rare(3)
	mustAppend(t, s, store.Appended{Stored: 1}, again)
	got := rowsOf(t, s)[again.ID.String()]
	for _, column := range []string{"source", "actor", "namespace", "verb"} {
		if got[column] != "rare" {
			t.Errorf("%s is %q, want rare", column, got[column])
		}
	}
}

func TestRetainClearsQuarantine(t *testing.T) {
	s := openAt(t, newDatabase(t))
	batch := batchOf()
	batch.Quarantined = []audit.Quarantined{
		{Reason: "old", ReceivedAt: testNow.Add(-time.Hour - time.Microsecond)}, {Reason: "kept", ReceivedAt: testNow.Add(-time.Hour)},
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	mustRetain(t, s, testNow.Add(-time.Hour))
	if items, err := storetest.Quarantined(t.Context(), s, "s"); err != nil || len(items) != 1 || items[0].Reason != "kept" {
		t.Errorf("Quarantine = %+v, %v; want what came after the cut", items, err)
	}
}
