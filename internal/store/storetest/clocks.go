package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// refuse appends events that are to be put off.
func (b *bench) refuse(t *testing.T, events ...audit.Event) {
	t.Helper()
	got, err := b.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: b.clock.Now(), Events: events})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Append = %+v, %v; want ErrUnavailable", got, err)
	}
}

func (b *bench) doubts(t *testing.T, want bool, when string) {
	t.Helper()
	if err := b.JudgeClock(); (err != nil) != want {
		t.Errorf("%s: JudgeClock = %v, want doubt: %t", when, err, want)
	}
}

// testClockAhead has the clock jump over the retention: what is stored says that
// it did, also after a restart, and what arrives is put off rather than
// quarantined. What arrives later confirms whichever is right.
func testClockAhead(t *testing.T, b *bench) {
	b.doubts(t, false, "of an empty store")
	b.append(t, store.Appended{Stored: 2}, plain(1, b.clock.Now().Add(-retention+time.Hour)), plain(2, b.clock.Now()))
	b.doubts(t, false, "at first")
	const jump = 32 * 24 * time.Hour
	b.clock.advance(jump)
	for range 2 {
		b.doubts(t, true, "after a jump")
		b.refuse(t, plain(3, b.clock.Now().Add(-jump)))
		b.reopen(t)
	}
	b.clock.advance(-jump)
	b.doubts(t, false, "after the jump back")
	b.append(t, store.Appended{Stored: 1}, plain(3, b.clock.Now()))

	// A long stop looks like it until something arrives.
	b.clock.advance(jump)
	b.doubts(t, true, "after a long stop")
	b.append(t, store.Appended{Stored: 1}, plain(4, b.clock.Now().Add(-time.Second)))
	b.doubts(t, false, "once something arrived")
	b.append(t, store.Appended{Quarantined: 1}, plain(5, b.clock.Now().Add(-jump)))
	if items, err := Quarantined(t.Context(), b, "s"); err != nil || len(items) != 1 {
		t.Errorf("Quarantine = %d items, %v; want the one that was too old by the right clock", len(items), err)
	}
}

// testClockBehind has the clock fall back.
func testClockBehind(t *testing.T, b *bench) {
	b.append(t, store.Appended{Stored: 1}, plain(1, b.clock.Now()))
	b.clock.advance(-3 * time.Hour)
	b.doubts(t, true, "after a fall")
	b.refuse(t, plain(2, b.clock.Now().Add(3*time.Hour)))
	b.append(t, store.Appended{Stored: 1}, plain(3, b.clock.Now().Add(-3*time.Hour)))
	b.doubts(t, true, "after what came late")
	b.append(t, store.Appended{Stored: 1}, plain(4, b.clock.Now()))
	b.doubts(t, false, "once something arrived that is new by it")
	b.append(t, store.Appended{Quarantined: 1}, plain(5, b.clock.Now().Add(3*time.Hour)))
}

// testSkews delivers by clocks that are right, ahead and behind, with late
// events between.
func testSkews(t *testing.T, b *bench) {
	deliver := func(source string, n int, late ...time.Duration) {
		t.Helper()
		batch := store.Batch{Source: source, ReceivedAt: b.clock.Now()}
		for i, by := range late {
			batch.Events = append(batch.Events, plain(100*n+i, b.clock.Now().Add(-by)))
		}
		if _, err := b.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		b.clock.advance(20 * time.Second)
	}
	skews := func(want map[string]time.Duration) {
		t.Helper()
		got, err := b.Skews(t.Context())
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("Skews, %v (-want +got):\n%s", err, d)
		}
	}
	skews(map[string]time.Duration{})
	deliver("right", 1, time.Hour, 2*time.Second, time.Minute)
	deliver("ahead", 2, -90*time.Second, -80*time.Second)
	deliver("behind", 3, 5*time.Minute)
	deliver("late", 4, 9*time.Minute)
	deliver("late", 5, time.Second)
	deliver("late", 6, 9*time.Minute)
	deliver(audit.OwnSource, 7, -time.Minute)
	skews(map[string]time.Duration{"right": -2 * time.Second, "ahead": 90 * time.Second, "behind": -5 * time.Minute, "late": -time.Second})
	for ahead, want := range map[time.Duration]bool{
		0: false, store.MaxSkewAhead: false, store.MaxSkewAhead + 1: true, -store.MaxSkewBehind: false, -store.MaxSkewBehind - 1: true,
	} {
		if store.IsSkewed(ahead) != want {
			t.Errorf("IsSkewed(%s) = %t", ahead, !want)
		}
	}
	b.clock.advance(store.SkewWindow / 2)
	deliver("ahead", 8, -time.Second) // its clock was set
	b.clock.advance(store.SkewWindow / 2)
	deliver("ahead", 9, 0)
	deliver("ahead", 10, 0)
	skews(map[string]time.Duration{"ahead": time.Second})
}

func testStoredDays(t *testing.T, b *bench) {
	today := audit.Day(b.clock.Now())
	var want []time.Time
	for n := -3; n <= 0; n++ {
		day := today.AddDate(0, 0, n)
		want = append(want, day)
		b.append(t, store.Appended{Stored: 1}, plain(10+n, day))
	}
	check := func(want []time.Time) {
		t.Helper()
		days, err := b.StoredDays(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []time.Time
		for _, d := range days {
			if d.Bytes <= 0 {
				t.Errorf("%s takes %d bytes", d.Day, d.Bytes)
			}
			got = append(got, d.Day)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("StoredDays (-want +got):\n%s", d)
		}
	}
	check(want)
	if _, err := b.Retain(t.Context(), today.AddDate(0, 0, -1)); err != nil {
		t.Fatal(err)
	}
	check(want[2:])
}
