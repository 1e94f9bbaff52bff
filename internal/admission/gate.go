// Package admission lets reads of the store through: a few at once, and in turn
// between callers. So nobody's questions, however many, keep others waiting for
// more than a turn, nor take what ingestion needs.
package admission

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Bounds of what waits.
const (
	// WaitingMost is how many reads wait at once, of all callers.
	WaitingMost = 128
	// WaitingEach is how many reads of one caller wait at once.
	WaitingEach = 16
	// DefaultAtOnce is how many reads run at once.
	DefaultAtOnce = 6
	// MinAtOnce leaves a place for people where queries take theirs.
	MinAtOnce = 3
	// MaxAtOnce is the most reads at once that can be asked for.
	MaxAtOnce = 64
)

// waitFor is how long a read of a kind waits for its turn. Somebody sits before
// a page; a query has time.
var waitFor = map[Kind]time.Duration{People: 10 * time.Second, Queries: 30 * time.Second}

// Gate lets reads through. It is safe for concurrent use.
type Gate struct {
	atOnce  int // reads that run
	each    int // of one caller
	queries int // of queries

	patience map[Kind]time.Duration
	metrics  *Metrics

	mu      sync.Mutex
	running map[Kind]int
	callers map[string]*line // of those who read or wait
	turns   []*line          // of those who wait, the next one first
	waiting int
}

// line is what a caller runs, and what of it waits.
type line struct {
	key     string
	running int
	waiting []*ticket // in the order of arrival
}

// ticket is a read that waits.
type ticket struct {
	kind Kind
	line *line
	// called is closed when the read may run, or when it must give way.
	called  chan struct{}
	running bool
}

// NewGate returns a Gate for so many reads at once, MinAtOnce to MaxAtOnce. One
// caller has at most a third of them, and all queries together two thirds. A nil
// Metrics tells nothing.
func NewGate(atOnce int, metrics *Metrics) *Gate {
	atOnce = min(max(atOnce, MinAtOnce), MaxAtOnce)
	each := atOnce / 3
	g := &Gate{
		atOnce: atOnce, each: each, queries: atOnce - each, patience: waitFor, metrics: metrics,
		running: map[Kind]int{}, callers: map[string]*line{},
	}
	metrics.watch(g)
	return g
}

// Reasons for which a read is refused.
const (
	reasonFull   = "queue_full" // as many wait as may
	reasonWaited = "waited"     // its turn did not come in time
)

func busy(why string) error { return fmt.Errorf("%s: %w", why, store.ErrBusy) }

// Enter waits for the turn of the context's caller. Leave, which is to be called
// once, ends the read. An error is the context's, or store.ErrBusy: there are
// too many reads.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	caller := callerOf(ctx)
	t := g.enqueue(caller)
	if t == nil {
		g.metrics.refused(caller.kind, reasonFull)
		return nil, busy("too many reads wait")
	}
	began := time.Now()
	if err := g.await(ctx, t); err != nil {
		return nil, err
	}
	g.metrics.waited(t.kind, time.Since(began))
	var once sync.Once
	return func() { once.Do(func() { g.leave(t) }) }, nil
}

// await returns nil when a ticket's turn has come.
func (g *Gate) await(ctx context.Context, t *ticket) error {
	patience := time.NewTimer(g.patience[t.kind])
	defer patience.Stop()
	var err error
	select {
	case <-t.called:
	case <-ctx.Done():
		err = ctx.Err()
	case <-patience.C:
		err = busy("the read's turn did not come in time")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case t.running && err == nil:
		return nil
	case t.running: // it was called just now
		g.end(t)
		return err
	case err == nil:
		g.metrics.refused(t.kind, reasonFull)
		return busy("the read gave way to those of callers with fewer")
	}
	g.drop(t)
	if ctx.Err() == nil {
		g.metrics.refused(t.kind, reasonWaited)
	}
	return err
}

// enqueue adds a read to those that wait, and calls whom it can. It returns nil
// where there is no room. When as many wait as may, the caller with the most
// gives its last one up to those who have fewer: nobody fills the queue alone.
func (g *Gate) enqueue(caller Caller) *ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	mine := g.callers[caller.key]
	if mine == nil {
		mine = &line{key: caller.key}
	}
	if len(mine.waiting) >= WaitingEach {
		return nil
	}
	if g.waiting >= WaitingMost {
		longest := slices.MaxFunc(g.turns, func(a, b *line) int { return len(a.waiting) - len(b.waiting) })
		if len(longest.waiting) <= len(mine.waiting)+1 {
			return nil
		}
		last := longest.waiting[len(longest.waiting)-1]
		g.drop(last)
		close(last.called)
	}
	t := &ticket{kind: caller.kind, line: mine, called: make(chan struct{})}
	if len(mine.waiting) == 0 {
		g.turns = append(g.turns, mine)
	}
	mine.waiting = append(mine.waiting, t)
	g.callers[mine.key] = mine
	g.waiting++
	g.call()
	return t
}

// call lets reads run while there is room: each time the first that may of the
// caller whose turn it is, who then is the last to have a turn.
func (g *Gate) call() {
	for g.total() < g.atOnce {
		t := g.next()
		if t == nil {
			return
		}
		g.drop(t)
		if len(t.line.waiting) > 0 {
			i := slices.Index(g.turns, t.line)
			g.turns = append(slices.Delete(g.turns, i, i+1), t.line)
		}
		g.callers[t.line.key] = t.line
		t.line.running++
		g.running[t.kind]++
		t.running = true
		close(t.called)
	}
}

// next returns the read whose turn it is, or nil.
func (g *Gate) next() *ticket {
	for _, l := range g.turns {
		if l.running >= g.each {
			continue
		}
		for _, t := range l.waiting {
			if t.kind != Queries || g.running[Queries] < g.queries {
				return t
			}
		}
	}
	return nil
}

func (g *Gate) total() int { return g.running[People] + g.running[Queries] }

// drop takes a read from those that wait.
func (g *Gate) drop(t *ticket) {
	i := slices.Index(t.line.waiting, t)
	if i < 0 {
		return
	}
	t.line.waiting = slices.Delete(t.line.waiting, i, i+1)
	g.waiting--
	if len(t.line.waiting) == 0 {
		i := slices.Index(g.turns, t.line)
		g.turns = slices.Delete(g.turns, i, i+1)
	}
	g.forget(t.line)
}

// forget drops a caller of whom nothing runs or waits.
func (g *Gate) forget(l *line) {
	if l.running == 0 && len(l.waiting) == 0 {
		delete(g.callers, l.key)
	}
}

// leave ends a read.
func (g *Gate) leave(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end(t)
}

func (g *Gate) end(t *ticket) {
	t.line.running--
	g.running[t.kind]--
	g.forget(t.line)
	g.call()
}

// count returns how many reads of a kind run and how many wait.
func (g *Gate) count(kind Kind) (running, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.turns {
		for _, t := range l.waiting {
			if t.kind == kind {
				waiting++
			}
		}
	}
	return g.running[kind], waiting
}
