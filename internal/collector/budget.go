package collector

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/porter-dev/audit-operator/internal/store"
)

// reserveStep is what a delivery reserves at first, and each time that it
// needs more: an ordinary one needs no more than the first. It also bounds how
// many deliveries there are at once, each of which has buffers of its own.
const reserveStep = 1 << 20

// itemBytes is what an item takes beside its raw.
const itemBytes = 1 << 10

// budget is the memory that deliveries may hold, all together and those of one
// source: a source alone can't put the others off.
type budget struct {
	all      *semaphore.Weighted
	capacity int64
	share    int64 // of one source
	metrics  *Metrics

	mu      sync.Mutex
	sources map[string]*semaphore.Weighted
}

func newBudget(capacity int64, metrics *Metrics) *budget {
	share := max(capacity/2, min(capacity, reserveStep))
	return &budget{
		all: semaphore.NewWeighted(capacity), capacity: capacity, share: share, metrics: metrics,
		sources: map[string]*semaphore.Weighted{},
	}
}

// open begins a delivery that holds at most limit bytes at once.
func (b *budget) open(source string, limit int64) (*reservation, error) {
	b.mu.Lock()
	own := b.sources[source]
	if own == nil {
		own = semaphore.NewWeighted(b.share)
		b.sources[source] = own
	}
	b.mu.Unlock()
	r := &reservation{budget: b, own: own, limit: min(limit, b.share)}
	return r, r.hold(0)
}

// reservation is what one delivery has of the budget.
type reservation struct {
	*budget
	own   *semaphore.Weighted
	limit int64
	held  int64
}

// hold makes sure that at least this many bytes are reserved, or says that the
// delivery must come again.
func (r *reservation) hold(bytes int64) error {
	more := r.missing(bytes)
	if more <= 0 {
		return nil
	}
	if !r.own.TryAcquire(more) {
		return fmt.Errorf("deliveries of this source hold %d bytes: %w", r.share, store.ErrOverloaded)
	}
	if !r.all.TryAcquire(more) {
		r.own.Release(more)
		return fmt.Errorf("deliveries hold %d bytes: %w", r.capacity, store.ErrOverloaded)
	}
	r.grow(more)
	return nil
}

// await is hold, but waits until others have ended, or the context.
func (r *reservation) await(ctx context.Context, bytes int64) error {
	more := r.missing(bytes)
	if more <= 0 {
		return nil
	}
	if err := r.own.Acquire(ctx, more); err != nil {
		return fmt.Errorf("deliveries of this source hold %d bytes: %w", r.share, store.ErrOverloaded)
	}
	if err := r.all.Acquire(ctx, more); err != nil {
		r.own.Release(more)
		return fmt.Errorf("deliveries hold %d bytes: %w", r.capacity, store.ErrOverloaded)
	}
	r.grow(more)
	return nil
}

func (r *reservation) missing(bytes int64) int64 {
	return min((bytes/reserveStep+1)*reserveStep, r.limit) - r.held
}

func (r *reservation) grow(more int64) {
	r.held += more
	r.metrics.hold(more)
}

// close gives everything back.
func (r *reservation) close() {
	r.own.Release(r.held)
	r.all.Release(r.held)
	r.metrics.hold(-r.held)
	r.held = 0
}

// maxWait is how long a delivery waits for memory in all, once a part of it was
// taken. An API server gives a request 30 s.
const maxWait = 10 * time.Second

// mostHeld is what a delivery can hold at once: a batch, one more event, and the
// same again while it is decoded and compressed; and one event beyond the bound.
func mostHeld(maxItem int64) int64 {
	return 2*(batchBytes+maxItem) + largeCopies*(maxLarge+2*maxItem)
}

const (
	// maxLarge is what the decoder holds at most of one event beyond the
	// bound, but for its bodies.
	maxLarge = 32 << 20
	// largeCopies is how often it is held while it is decoded.
	largeCopies = 3
)

// meter reserves memory for a delivery as it arrives.
type meter struct {
	body io.Reader
	*reservation
	relieve  func() error // commits what was gathered
	until    func(time.Time) (context.Context, context.CancelFunc)
	deadline time.Time // set when it first waits
	maxItem  int64
	arrived  int64 // since the last item was complete
	large    int64 // of an item beyond the bound
	gathered int64 // in the batch
}

// Read implements io.Reader. An item beyond the bound is counted by holdLarge.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.body.Read(p)
	m.arrived = min(m.arrived+int64(n), m.maxItem)
	if full := m.reserve(); full != nil {
		return 0, full
	}
	return n, err
}

// holdLarge notes how much is held of an item beyond the bound.
func (m *meter) holdLarge(bytes int64) error {
	m.large = bytes
	return m.reserve()
}

// gather notes that an item is complete and kept.
func (m *meter) gather(bytes int64) error {
	m.arrived, m.large = 0, 0
	m.gathered += bytes + itemBytes
	return m.reserve()
}

// flushed notes that the batch is in the store. What was reserved for it stays:
// the next one is likely to be as large.
func (m *meter) flushed() { m.gathered = 0 }

// reserve counts everything twice: it is decoded, and later compressed. Where
// that is more than there is, what was gathered is committed; then it waits.
func (m *meter) reserve() error {
	err := m.hold(m.needed())
	if err == nil {
		return nil
	}
	if m.gathered > 0 {
		if err := m.relieve(); err != nil {
			return err
		}
	}
	if m.deadline.IsZero() {
		m.deadline = time.Now().Add(maxWait)
	}
	ctx, cancel := m.until(m.deadline)
	defer cancel()
	return m.await(ctx, m.needed())
}

func (m *meter) needed() int64 { return 2*(m.arrived+m.gathered) + largeCopies*m.large }
