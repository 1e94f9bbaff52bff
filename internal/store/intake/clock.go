package intake

import (
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// MaxAhead is how far ahead of the clock an event may be.
	MaxAhead = time.Hour
	// ClockTolerance is how far two clocks may be apart that agree.
	ClockTolerance = 5 * time.Minute
	// freshArrival is how old the newest event of a delivery may be that
	// confirms the clock: a batch waits for up to 30 s, and some longer.
	freshArrival = 10 * time.Minute
	// LongestPause is how long nothing may have been stored before a clock
	// counts as doubtful that nothing else confirms.
	LongestPause = 36 * time.Hour
)

// Witness reads another machine's clock, such as that of the API server; ok is
// false while it is not known.
type Witness func() (now time.Time, ok bool)

// ClockOptions of NewClock.
type ClockOptions struct {
	// Now is the operator's clock.
	Now func() time.Time
	// Elapsed is the time since the process began, by a clock that nobody sets;
	// nil where there is none.
	Elapsed func() time.Duration
	// Witness is another machine's clock; nil for none.
	Witness Witness
	Log     logr.Logger
}

// Clock is the operator's clock, and what speaks for and against it: what was
// stored last, what arrives, a clock that nobody sets, and a witness. Nothing is
// quarantined for its time, and no day dropped, by a clock that is in doubt.
type Clock struct {
	opts ClockOptions

	mu sync.Mutex
	// anchor is when the clock was last known to be right; zero where nothing
	// is known. elapsed was the process's time then, if it is this process's.
	anchor  time.Time
	elapsed time.Duration
	ours    bool
	doubted bool // by the last look, for the log
}

// NewClock returns a clock that trusts itself until something speaks against it.
func NewClock(opts ClockOptions) *Clock { return &Clock{opts: opts} }

// Begin tells the clock when the newest of what the store holds was received;
// zero where it holds nothing. It is called once, before the others.
func (c *Clock) Begin(newest time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.anchor = newest
	if _, err := c.judge(); err == nil {
		c.pin(c.opts.Now())
	}
}

// pin notes that the clock is right. Without a clock that nobody sets, there is
// nothing to be noted of a store that holds nothing.
func (c *Clock) pin(now time.Time) {
	if c.opts.Elapsed != nil {
		c.anchor, c.elapsed, c.ours = now, c.opts.Elapsed(), true
	} else if !c.anchor.IsZero() {
		c.anchor = now
	}
}

// Judge returns the time, and why it is in doubt; nil where it is not. In doubt,
// the time is the best guess, or zero where there is none.
func (c *Clock) Judge() (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, err := c.judge()
	switch {
	case err != nil && !c.doubted:
		c.opts.Log.Error(err, "The operator's clock is in doubt: no day is dropped, and what its time would quarantine is put off until the clock is confirmed")
	case err == nil && c.doubted:
		c.opts.Log.Info("The operator's clock is confirmed again")
	}
	c.doubted = err != nil
	return now, err
}

func (c *Clock) judge() (time.Time, error) {
	now := c.opts.Now()
	if c.opts.Witness != nil {
		if witness, ok := c.opts.Witness(); ok {
			if apart(now, witness) > ClockTolerance {
				return witness, fmt.Errorf("it says %s, and the API server's says %s", stamp(now), stamp(witness))
			}
			c.pin(now)
			return now, nil
		}
	}
	switch {
	case c.anchor.IsZero():
		return now, nil
	case c.ours:
		if expected := c.anchor.Add(c.opts.Elapsed() - c.elapsed); apart(now, expected) > ClockTolerance {
			return expected, fmt.Errorf("it says %s, and by the time that passed it should say %s", stamp(now), stamp(expected))
		}
	case now.Before(c.anchor.Add(-ClockTolerance)):
		return time.Time{}, fmt.Errorf("it says %s, and something was stored at %s", stamp(now), stamp(c.anchor))
	case now.After(c.anchor.Add(LongestPause)):
		return time.Time{}, fmt.Errorf("it says %s, and the newest of what is stored came at %s", stamp(now), stamp(c.anchor))
	}
	return now, nil
}

func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// saw notes the newest event of a delivery, which bears the time of its
// source: one that was just made confirms the clock.
func (c *Clock) saw(stageAt time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.opts.Now(); stageAt.After(now.Add(-freshArrival)) && !stageAt.After(now.Add(ClockTolerance)) {
		if c.opts.Elapsed == nil {
			c.anchor = now
		}
		c.pin(now)
	}
}

// Admit returns the time by which a batch is judged (see Outside). Where that
// would quarantine an event by a clock that is in doubt, it is an error that
// wraps store.ErrUnavailable.
func (c *Clock) Admit(batch *store.Batch, retention time.Duration) (time.Time, error) {
	if newest := newestStage(batch.Events); !newest.IsZero() && batch.Source != audit.OwnSource {
		c.saw(newest)
	}
	now := c.opts.Now()
	if !anyOutside(batch.Events, now, retention) {
		return now, nil
	}
	best, doubt := c.Judge()
	if doubt == nil {
		return now, nil
	}
	if best.IsZero() || anyOutside(batch.Events, best, retention) {
		return time.Time{}, fmt.Errorf("the operator's clock is in doubt: %w: %w", doubt, store.ErrUnavailable)
	}
	return best, nil
}

func newestStage(events []audit.Event) (newest time.Time) {
	for i := range events {
		if events[i].StageAt.After(newest) {
			newest = events[i].StageAt
		}
	}
	return newest
}

func anyOutside(events []audit.Event, now time.Time, retention time.Duration) bool {
	for i := range events {
		if isOutside(&events[i], now, retention) {
			return true
		}
	}
	return false
}

func isOutside(e *audit.Event, now time.Time, retention time.Duration) bool {
	return e.OccurredAt.Before(now.Add(-retention)) || e.OccurredAt.After(now.Add(MaxAhead))
}

// Outside says why an event belongs to no day that is kept, or nothing.
func Outside(e *audit.Event, now time.Time, retention time.Duration) string {
	switch {
	case !isOutside(e, now, retention):
		return ""
	case e.OccurredAt.Before(now):
		return fmt.Sprintf("the event occurred at %s, longer ago than events are kept (%s)", stamp(e.OccurredAt), retention)
	}
	return fmt.Sprintf("the event occurred at %s, more than an hour ahead of this clock; compare the clocks of the source and of the operator", stamp(e.OccurredAt))
}
