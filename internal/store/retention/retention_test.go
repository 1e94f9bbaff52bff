package retention

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

var start = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

const kept = 10 * day

// world is a store that holds some days, with clocks to set.
type world struct {
	*Keeper
	store   *embedded.Store
	now     time.Time
	elapsed time.Duration
}

func newWorld(t *testing.T) *world {
	w := &world{now: start}
	now, elapsed := func() time.Time { return w.now }, func() time.Duration { return w.elapsed }
	var err error
	w.store, err = embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Retention: kept, Now: now, Elapsed: elapsed, Log: testr.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Keeper = New(Options{Days: w.store, Retention: kept, Now: now, Elapsed: elapsed, Log: testr.New(t)})
	return w
}

// pass lets every clock go on, while something is stored each day.
func (w *world) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for ; d > 0; d -= day {
		step := min(d, day)
		w.now, w.elapsed = w.now.Add(step), w.elapsed+step
		w.append(t)
	}
}

func (w *world) append(t *testing.T) {
	t.Helper()
	e := audit.Event{Source: "s", OccurredAt: w.now, StageAt: w.now, Raw: []byte("{}")}
	copy(e.ID[:], w.now.Format(time.RFC3339))
	if _, err := w.store.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: w.now, Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) days(t *testing.T) (days []string) {
	t.Helper()
	stored, err := w.store.StoredDays(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range stored {
		days = append(days, d.Day.Format(time.DateOnly))
	}
	return days
}

func (w *world) want(t *testing.T, oldest string, failure error) {
	t.Helper()
	if err := w.Pass(t.Context()); !errors.Is(err, failure) {
		t.Errorf("Pass = %v, want %v", err, failure)
	}
	if days := w.days(t); days[0] != oldest {
		t.Errorf("the oldest day is %s, want %s", days[0], oldest)
	}
}

// Days go one by one as they pass the retention.
func TestPass(t *testing.T) {
	w := newWorld(t)
	w.append(t)
	for n := range 20 {
		w.pass(t, day)
		oldest := start
		if n >= 10 {
			oldest = start.AddDate(0, 0, n-9)
		}
		w.want(t, oldest.Format(time.DateOnly), nil)
	}
}

// A clock that jumps ahead for one pass drops nothing, whatever the jump; and
// neither after a restart, when nothing but what is stored speaks against it.
func TestPassInDoubt(t *testing.T) {
	w := newWorld(t)
	w.append(t)
	w.pass(t, 9*day)
	before := w.days(t)
	for _, jump := range []time.Duration{2 * day, 3 * day, 32 * day, 3650 * day} {
		w.now = w.now.Add(jump)
		if err := w.Pass(t.Context()); err == nil {
			t.Errorf("a jump by %s: Pass did not say that it does nothing", jump)
		}
		w.now = w.now.Add(-jump)
		if d := cmp.Diff(before, w.days(t)); d != "" {
			t.Fatalf("a jump by %s dropped days:\n%s", jump, d)
		}
	}
	if err := w.Pass(t.Context()); err != nil {
		t.Errorf("after the jumps: Pass = %v", err)
	}
}

// More than MaxDays wait for a person, who sees them first.
func TestConfirmed(t *testing.T) {
	w := newWorld(t)
	w.append(t)
	w.pass(t, 9*day)
	short := New(Options{Days: w.store, Retention: kept - 4*day, Now: w.opts.Now, Elapsed: w.opts.Elapsed, Log: testr.New(t)})
	if err := short.Pass(t.Context()); !errors.Is(err, ErrWaits) {
		t.Errorf("Pass after the retention was shortened by 4 days = %v, want ErrWaits", err)
	}
	if days := w.days(t); len(days) != 10 {
		t.Fatalf("%d days are left, want 10", len(days))
	}
	p, err := short.Plan(t.Context())
	if err != nil || len(p.Days) != 3 || p.Bytes <= 0 || p.Doubt != "" {
		t.Fatalf("Plan = %+v, %v; want 3 days with their bytes", p, err)
	}
	dropped, err := short.Confirmed(t.Context(), p)
	if err != nil || len(dropped) != 3 || len(w.days(t)) != 7 {
		t.Errorf("Confirmed dropped %v, %v; want the 3 days", dropped, err)
	}
	if err := short.Pass(t.Context()); err != nil {
		t.Errorf("Pass after it = %v", err)
	}
}

// At most MaxDays go in an hour, however often it looks.
func TestPassIsBounded(t *testing.T) {
	w := newWorld(t)
	w.append(t)
	w.pass(t, 9*day)
	dropped := 0
	k := New(Options{Days: counted{w.store, &dropped}, Retention: kept, Now: w.opts.Now, Elapsed: w.opts.Elapsed, Log: testr.New(t)})
	for n := range 4 {
		k.opts.Retention = kept - time.Duration(n+1)*day // one more day each time
		if err := k.Pass(t.Context()); err != nil && !errors.Is(err, ErrWaits) {
			t.Fatal(err)
		}
	}
	if dropped > MaxDays {
		t.Errorf("%d days were dropped within an hour, want at most %d", dropped, MaxDays)
	}
	w.elapsed, w.now = w.elapsed+hour, w.now.Add(hour)
	if err := k.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if dropped != MaxDays+1 && dropped != 2*MaxDays-1 {
		t.Errorf("%d days were dropped an hour later, want the next", dropped)
	}
}

// counted counts what is dropped.
type counted struct {
	Days
	dropped *int
}

func (c counted) Retain(ctx context.Context, before time.Time) ([]time.Time, error) {
	days, err := c.Days.Retain(ctx, before)
	*c.dropped += len(slices.Compact(days))
	return days, err
}
