package collector

import (
	"fmt"
	"io"
	"sync"

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
	want := min((bytes/reserveStep+1)*reserveStep, r.limit)
	more := want - r.held
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
	r.held = want
	r.metrics.hold(more)
	return nil
}

// close gives everything back.
func (r *reservation) close() {
	r.own.Release(r.held)
	r.all.Release(r.held)
	r.metrics.hold(-r.held)
	r.held = 0
}

// meter reserves memory for a delivery as it arrives.
type meter struct {
	body io.Reader
	*reservation
	maxItem  int64
	arrived  int64 // since the last item was complete
	gathered int64 // in the batch
}

// Read implements io.Reader. Of an item beyond the bound nothing is held.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.body.Read(p)
	m.arrived = min(m.arrived+int64(n), m.maxItem)
	if full := m.reserve(); full != nil {
		return 0, full
	}
	return n, err
}

// gather notes that an item is complete and kept.
func (m *meter) gather(bytes int64) error {
	m.arrived = 0
	m.gathered += bytes + itemBytes
	return m.reserve()
}

// flushed notes that the batch is in the store. What was reserved for it stays:
// the next one is likely to be as large.
func (m *meter) flushed() { m.gathered = 0 }

// reserve counts everything twice: it is decoded, and later compressed.
func (m *meter) reserve() error { return m.hold(2 * (m.arrived + m.gathered)) }
