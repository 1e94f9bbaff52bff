// Package intake is what stores have in common before a commit: calls that the
// end of a store waits for, and batches that wait for a committer.
package intake

import (
	"sync"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Calls counts the calls that use a store. A call within a call is allowed, so
// End waits on a counter rather than on a lock.
type Calls struct {
	mu     sync.Mutex
	idle   *sync.Cond // signalled when run reaches 0
	run    int
	closed bool
}

// NewCalls returns the calls of a store that is open.
func NewCalls() *Calls {
	c := &Calls{}
	c.idle = sync.NewCond(&c.mu)
	return c
}

// Enter begins a call, or returns store.ErrClosed. Leave ends it.
func (c *Calls) Enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return store.ErrClosed
	}
	c.run++
	return nil
}

// Leave ends a call.
func (c *Calls) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run--
	if c.run == 0 {
		c.idle.Broadcast()
	}
}

// End lets no call begin any more, and waits for those that run.
func (c *Calls) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.run > 0 {
		c.idle.Wait()
	}
}
