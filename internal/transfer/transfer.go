// Package transfer copies all that one store holds to another, and proves that
// it arrived. It knows no store, only store.Holdings.
//
// Nothing is remembered of a copy but what the target holds. What is there is
// found by its position and the SHA-256 of its raw form, without reading raw
// events, so a copy that broke goes on where it was when it is run again.
package transfer

import (
	"context"
	"errors"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Options of Copy.
type Options struct {
	// VerifyOnly compares and copies nothing.
	VerifyOnly bool
	// DropDamagedRaw copies events whose raw form is lost, without it.
	// Otherwise they stay behind.
	DropDamagedRaw bool
	// Progress hears how many events are done with, and of how many.
	Progress func(done, total int64)
}

// Copy copies what from holds and to doesn't. Both may be in use: what arrives
// at from meanwhile is copied or not. The summary tells what became of each
// part; on an error, of those that were reached.
func Copy(ctx context.Context, from, to store.Holdings, opts Options) (Summary, error) {
	c := &copier{from: from, to: to, opts: opts}
	// The key comes first, as only a store without events takes one. Totals come
	// last: they count what was copied before.
	for _, part := range []func(context.Context) error{c.copyKey, c.copyEvents, c.copySnapshots, c.copyQuarantine, c.copyTotals} {
		if err := part(ctx); err != nil {
			return c.summary, err
		}
	}
	return c.summary, nil
}

type copier struct {
	from, to    store.Holdings
	opts        Options
	done, total int64 // events
	summary     Summary
}

// copyKey makes the target hash as the source does.
func (c *copier) copyKey(ctx context.Context) error {
	if !c.opts.VerifyOnly {
		return persist(ctx, func() error { return c.to.ImportKey(ctx, c.from.Key()) })
	}
	if c.from.Key() != c.to.Key() {
		c.summary.OtherKey = true
		c.problem("the target has another key: what was taken out of events is hashed otherwise there")
	}
	return nil
}

// patience is how long a store is waited for that takes or gives nothing now:
// it serves others first, and a server may be restarted.
const patience = 2 * time.Minute

// persist repeats what fails because a store has too much to do or is away.
func persist(ctx context.Context, try func() error) error {
	began := time.Now()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := try()
		passing := errors.Is(err, store.ErrOverloaded) || errors.Is(err, store.ErrUnavailable)
		if !passing || time.Since(began) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
