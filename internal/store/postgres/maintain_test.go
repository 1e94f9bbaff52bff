package postgres

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// TestRollupsCountRows interleaves appends, with duplicates, and merges of two
// replicas: the roll-ups always say what the rows do.
func TestRollupsCountRows(t *testing.T) {
	url := newDatabase(t)
	replicas := []*Store{openAt(t, url), openAt(t, url)}
	corpus := generated(t, 1, testNow.Add(-26*time.Hour), 300)
	run := uint64(0)
	rapid.Check(t, func(r *rapid.T) {
		run++
		events := anew(corpus, run)
		var group errgroup.Group
		for range rapid.IntRange(1, 6).Draw(r, "steps") {
			s := rapid.SampledFrom(replicas).Draw(r, "replica")
			from := rapid.IntRange(0, len(events)-1).Draw(r, "from")
			to := rapid.IntRange(from+1, len(events)).Draw(r, "to")
			do := func() error {
				_, err := s.Append(t.Context(), batchOf(events[from:to]...))
				return err
			}
			if rapid.Bool().Draw(r, "merges") {
				do = func() error { return s.maintain(t.Context()) }
			}
			if rapid.Bool().Draw(r, "beside") {
				group.Go(do)
			} else if err := do(); err != nil {
				r.Fatal(err)
			}
		}
		if err := group.Wait(); err != nil {
			r.Fatal(err)
		}
		checkRollups(r, replicas[0])
	})
}

// anew returns events as others than before.
func anew(events []audit.Event, run uint64) []audit.Event {
	events = slices.Clone(events)
	for i := range events {
		binary.BigEndian.PutUint64(events[i].ID[:], run)
	}
	return events
}

func TestMaintainMerges(t *testing.T) {
	s := openAt(t, newDatabase(t))
	events := generated(t, 1, testNow.Add(-26*time.Hour), 500)
	slices.SortFunc(events, func(a, b audit.Event) int { return b.StageAt.Compare(a.StageAt) })
	want := store.SourceStats{Source: "s", LastReceivedAt: testNow}
	for half := range slices.Chunk(events, 250) {
		for _, e := range half {
			mustAppend(t, s, store.Appended{Stored: 1}, e)
			want.Received++
			want.Stored++
			if e.Client == audit.ClientOperator {
				want.Own++
			}
			if e.StageAt.After(want.LastEventAt) {
				want.LastEventAt = e.StageAt
			}
		}
		// More than one transaction takes.
		mustExec(t, s, "INSERT INTO audit_rollup_deltas SELECT day, -n, '{}', '{}', '{}', '{}', '{}' FROM audit_days, generate_series(1, $1) AS n", 2*mergeBatches)
		if err := s.maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"audit_rollup_deltas", "audit_source_deltas"} {
			if got := ask[int](t, s, "SELECT count(*) FROM "+table); got > 0 {
				t.Errorf("%d rows of %s are left", got, table)
			}
		}
		checkRollups(t, s)
		if got, err := s.Sources(t.Context()); err != nil || !cmp.Equal([]store.SourceStats{want}, got) {
			t.Errorf("Sources = %v, %v; want %v", got, err, want)
		}
	}
}

// TestMaintainMakesDaysAhead has the clock go on over days on which commits
// come and retention drops others: there are always daysAhead days ahead, and
// no commit has to make one.
func TestMaintainMakesDaysAhead(t *testing.T) {
	c := &clock{now: testNow}
	s := mustOpen(t, Options{URL: newDatabase(t), Now: c.Now, Retention: 48 * time.Hour, Log: testr.New(t)})
	for n := range 5 {
		for range 2 {
			if err := s.maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
			today := audit.Day(c.Now())
			got := ask[[]time.Time](t, s, "SELECT array_agg(day ORDER BY day) FROM audit_days WHERE day >= $1", today)
			var want []time.Time
			for ahead := range daysAhead + 1 {
				want = append(want, today.AddDate(0, 0, ahead))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("days from %s on (-want +got):\n%s", today.Format(time.DateOnly), d)
			}
		}
		mustAppend(t, s, store.Appended{Stored: 1}, plain(n, c.Now()))
		c.advance(24 * time.Hour)
	}
}

func TestMaintainBoundsQuarantine(t *testing.T) {
	const limit = 10_000
	s := mustOpen(t, Options{URL: newDatabase(t), Now: func() time.Time { return testNow }, QuarantineBytes: limit})
	quarantine := func(n int) {
		t.Helper()
		batch := batchOf()
		for i := range n {
			batch.Quarantined = append(batch.Quarantined, audit.Quarantined{Reason: fmt.Sprintf("%020d", i), Redacted: make([]byte, 180)})
		}
		if _, err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := s.maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() []string {
		t.Helper()
		items, err := storetest.Quarantined(t.Context(), s, "s")
		if err != nil {
			t.Fatal(err)
		}
		var reasons []string
		for _, item := range items {
			reasons = append(reasons, item.Reason)
		}
		return reasons
	}
	quarantine(33) // of 300 bytes each: within the limit
	if got := len(kept()); got != 33 {
		t.Errorf("%d items are kept, want 33", got)
	}
	quarantine(40)
	var want []string
	for i := range limit * 3 / 4 / 300 {
		want = append(want, fmt.Sprintf("%020d", 39-i))
	}
	if d := cmp.Diff(want, kept()); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
}

// TestMergeIsBounded adds up a backlog in steps, one delta at least, so that
// it is done in the end however slow the server is.
func TestMergeIsBounded(t *testing.T) {
	s := openAt(t, newDatabase(t))
	for n := range 4 {
		mustAppend(t, s, store.Appended{Stored: 100}, anew(generated(t, 1, testNow.Add(-time.Hour), 100), uint64(n))...)
	}
	for _, step := range []struct{ limit, left int }{{1, 3}, {ask[int](t, s, "SELECT cardinality(counts) FROM audit_rollup_deltas ORDER BY batch LIMIT 1") + 1, 1}, {mergeLimit, 0}} {
		if err := s.exclusively(t.Context(), func(tx pgx.Tx) error {
			merged, err := mergeDay(t.Context(), tx, audit.Day(testNow), step.limit)
			if !merged {
				t.Errorf("nothing is added up with a limit of %d", step.limit)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if left := ask[int](t, s, "SELECT count(*) FROM audit_rollup_deltas"); left != step.left {
			t.Errorf("with a limit of %d counts %d deltas are left, want %d", step.limit, left, step.left)
		}
		checkRollups(t, s)
	}
}
