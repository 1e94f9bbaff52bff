package embedded

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// readers are the reads that run. They can be held up for something that no
// read may be in the way of: a checkpoint, which DuckDB makes only while no
// transaction is older than the last commit, or a commit that needs the memory.
type readers struct {
	mu      sync.Mutex
	running map[*reader]struct{}
	// held is not nil while no read may begin; it is closed when they may again.
	held chan struct{}
	// fewer is closed, and made anew, when a read ends while others are held up.
	fewer chan struct{}
	// backups read for longer than anything waits, and are let finish.
	backups int
}

// reader is a read that runs.
type reader struct {
	began time.Time
	end   context.CancelCauseFunc
}

// errInTheWay ends a read that something waits for.
var errInTheWay = errors.New("the read was ended, since the store needs what it held")

func (r *readers) init() { r.running, r.fewer = map[*reader]struct{}{}, make(chan struct{}) }

// enter begins a read, which ends with the context that is returned. It waits
// while reads are held up.
func (r *readers) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	for {
		r.mu.Lock()
		held := r.held
		if held == nil {
			break
		}
		r.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	defer r.mu.Unlock()
	ctx, end := context.WithCancelCause(ctx)
	me := &reader{began: time.Now(), end: end}
	r.running[me] = struct{}{}
	return ctx, func() {
		end(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.running, me)
		close(r.fewer)
		r.fewer = make(chan struct{})
	}, nil
}

// hold has reads wait that have not begun, until release is called.
func (r *readers) hold() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		return func() {} // by somebody else already, who ends the reads too
	}
	held := make(chan struct{})
	r.held = held
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.held = nil
		close(held)
	}
}

// endLimit is how long an ended read may take to end: one that waits for a disk
// or a client may not notice.
const endLimit = 10 * time.Second

// drain waits until no read runs, and ends those that still do after a time. It
// returns how many these were, and whether none runs any more. It is called
// while reads are held up.
func (r *readers) drain(patience time.Duration) (ended int, alone bool) {
	end, giveUp := time.NewTimer(patience), time.NewTimer(patience+endLimit)
	defer end.Stop()
	defer giveUp.Stop()
	for {
		r.mu.Lock()
		n, fewer := len(r.running), r.fewer
		r.mu.Unlock()
		if n == 0 {
			return ended, true
		}
		select {
		case <-fewer:
		case <-end.C:
			ended = r.interrupt()
		case <-giveUp.C:
			return ended, false
		}
	}
}

// interrupt ends all reads, and returns how many.
func (r *readers) interrupt() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for reader := range r.running {
		reader.end(errInTheWay)
	}
	return len(r.running)
}

// backup notes that a backup reads, until done is called.
func (r *readers) backup() (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backups++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.backups--
	}
}

// backedUp reports whether a backup reads.
func (r *readers) backedUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.backups > 0
}

// others reports whether more than one read runs.
func (r *readers) others() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.running) > 1
}

// wasInTheWay reports whether a read was ended for something else.
func wasInTheWay(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errInTheWay) }

// errEnded is what a read's caller is told then.
var errEnded = busyError{errInTheWay}

// errNoMemory is what a read's caller is told whose memory others have.
var errNoMemory = busyError{errors.New("other reads have the memory that this one needs")}

// busyError is a store.ErrBusy with its own words.
type busyError struct{ error }

func (busyError) Is(target error) bool { return target == store.ErrBusy }
