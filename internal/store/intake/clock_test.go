package intake

import (
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

var start = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// clocks are those of a test, to set.
type clocks struct {
	now     time.Time
	elapsed time.Duration
	witness time.Time // zero: not known
	*Clock
}

func newClocks(t *testing.T, newest time.Time) *clocks {
	c := &clocks{now: start}
	c.Clock = NewClock(ClockOptions{
		Now: func() time.Time { return c.now }, Elapsed: func() time.Duration { return c.elapsed },
		Witness: func() (time.Time, bool) { return c.witness, !c.witness.IsZero() }, Log: testr.New(t),
	})
	c.Begin(newest)
	return c
}

// pass lets every clock go on.
func (c *clocks) pass(d time.Duration) {
	c.now, c.elapsed = c.now.Add(d), c.elapsed+d
	if !c.witness.IsZero() {
		c.witness = c.witness.Add(d)
	}
}

func (c *clocks) want(t *testing.T, doubt bool, best time.Time, when string) {
	t.Helper()
	got, err := c.Judge()
	if (err != nil) != doubt || !got.Equal(best) {
		t.Errorf("%s: Judge = %s, %v; want %s, doubt: %t", when, got, err, best, doubt)
	}
}

func event(occurred, stage time.Time) audit.Event {
	return audit.Event{OccurredAt: occurred, StageAt: stage}
}

const retention = 30 * 24 * time.Hour

// admit judges a batch by its events: by which time, or not at all.
func (c *clocks) admit(t *testing.T, want time.Time, when string, events ...audit.Event) {
	t.Helper()
	got, err := c.Admit(&store.Batch{Source: "s", Events: events}, retention)
	if want.IsZero() != errors.Is(err, store.ErrUnavailable) || !got.Equal(want) {
		t.Errorf("%s: Admit = %s, %v; want %s", when, got, err, want)
	}
}

// A jump is noticed at once by the time that passed, which says what the clock
// should say: what arrives meanwhile is judged by that.
func TestClockJumps(t *testing.T) {
	c := newClocks(t, time.Time{})
	c.pass(100 * 24 * time.Hour) // nothing comes, and the clock is right
	c.want(t, false, c.now, "after a long quiet time")
	right := c.now
	for _, jump := range []time.Duration{32 * 24 * time.Hour, -2 * time.Hour, ClockTolerance + time.Second} {
		c.now = right.Add(jump)
		c.want(t, true, right, "after a jump of "+jump.String())
	}
	c.now = right.Add(ClockTolerance)
	c.want(t, false, c.now, "within what clocks may be apart")
	c.now = right.Add(32 * 24 * time.Hour)
	c.admit(t, right, "an event of now", event(right, right))
	c.admit(t, time.Time{}, "an event that is outside by either", event(right.Add(-retention-time.Hour), right))
	c.now = right
	c.admit(t, right, "after the jump back", event(right.Add(-retention-time.Hour), right))

	// The clock was wrong before the jump, and what arrives says so.
	c.now = right.Add(3 * time.Hour)
	c.want(t, true, right, "after a correction")
	c.admit(t, c.now, "a fresh event", event(c.now.Add(-time.Minute), c.now.Add(-time.Second)))
	c.want(t, false, c.now, "once an event confirms it")
}

// TestClockAndArrivals: what was just made by the clock's own time confirms it.
func TestClockAndArrivals(t *testing.T) {
	for ahead, confirms := range map[time.Duration]bool{
		-freshArrival: false, -freshArrival + 1: true, 0: true, ClockTolerance: true, ClockTolerance + 1: false,
	} {
		c := newClocks(t, time.Time{})
		c.now = start.Add(3 * time.Hour)
		c.admit(t, c.now, "an event that is not outside", event(c.now, c.now.Add(ahead)))
		if _, err := c.Judge(); (err == nil) != confirms {
			t.Errorf("after an event that was made %s ahead of the clock: %v; confirmed: want %t", ahead, err, confirms)
		}
	}
}

// The API server's clock is asked before all else.
func TestClockAndWitness(t *testing.T) {
	c := newClocks(t, time.Time{})
	c.witness = start.Add(-32 * 24 * time.Hour)
	c.want(t, true, c.witness, "from the beginning, with an empty store")
	c.admit(t, c.witness, "an event of the right time", event(c.witness.Add(-time.Hour), c.witness))
	if _, err := c.Admit(&store.Batch{Source: "s", Events: []audit.Event{event(c.now, c.now)}}, retention); err != nil {
		t.Error(err)
	}
	c.want(t, true, c.witness, "also when a source agrees with the clock")
	c.witness = c.now.Add(ClockTolerance)
	c.want(t, false, c.now, "which agrees")
	c.witness = c.now.Add(ClockTolerance + time.Second)
	c.want(t, true, c.witness, "which no longer does")
	c.witness = time.Time{}
	c.want(t, false, c.now, "which is gone")
}

// What is stored says when the clock was right last, before this process.
func TestClockAndStored(t *testing.T) {
	for _, tt := range []struct {
		newest time.Duration
		doubt  bool
	}{
		{-LongestPause, false}, {-LongestPause - time.Second, true}, {ClockTolerance, false}, {ClockTolerance + time.Second, true},
	} {
		c := newClocks(t, start.Add(tt.newest))
		best := start
		if tt.doubt {
			best = time.Time{}
		}
		c.want(t, tt.doubt, best, "with the newest from "+tt.newest.String())
		if tt.doubt {
			old := event(c.now.Add(-retention-time.Hour), c.now.Add(-retention))
			c.admit(t, time.Time{}, "an old event", old)
			if _, err := c.Admit(&store.Batch{Source: audit.OwnSource, Events: []audit.Event{event(c.now, c.now)}}, retention); err != nil {
				t.Error(err)
			}
			c.want(t, true, time.Time{}, "after the operator's own record")
			c.admit(t, c.now, "a fresh event beside an old one", old, event(c.now, c.now))
			c.want(t, false, c.now, "after a fresh event")
		}
	}
}
