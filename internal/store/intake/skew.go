package intake

import (
	"sync"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Skews measures how far the clocks of sources are ahead of this one: by the
// newest event of each delivery, and of those by the one that was the newest when
// it arrived, in the last store.SkewWindow. What comes late says nothing about
// a clock as long as something comes in time.
type Skews struct {
	mu      sync.Mutex
	sources map[string]*skew
}

// skew holds two halves of the window, so that what is older goes.
type skew struct {
	began           time.Time
	lag, lagBefore  time.Duration // the least; hasBefore
	hasBefore       bool
	reported, since time.Time
}

// Note measures a delivery. The operator's own records say nothing.
func (s *Skews) Note(batch *store.Batch) {
	newest := newestStage(batch.Events)
	if newest.IsZero() || batch.Source == audit.OwnSource || batch.ReceivedAt.IsZero() {
		return
	}
	lag := batch.ReceivedAt.Sub(newest)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sources == nil {
		s.sources = map[string]*skew{}
	}
	name := store.Text(batch.Source)
	known := s.sources[name]
	switch {
	case known == nil, batch.ReceivedAt.Sub(known.began).Abs() >= store.SkewWindow:
		s.sources[name] = &skew{began: batch.ReceivedAt, since: batch.ReceivedAt, lag: lag}
		return
	case batch.ReceivedAt.Sub(known.began) >= store.SkewWindow/2:
		known.began, known.lagBefore, known.hasBefore, known.lag = batch.ReceivedAt, known.lag, true, lag
	}
	known.lag, known.since = min(known.lag, lag), batch.ReceivedAt
}

// All returns, by source, how far the clocks are ahead of those that delivered
// in the last store.SkewWindow; what is negative is behind.
func (s *Skews) All(now time.Time) map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]time.Duration{}
	for name, known := range s.sources {
		if now.Sub(known.since).Abs() >= store.SkewWindow {
			delete(s.sources, name)
			continue
		}
		all[name] = -known.least()
	}
	return all
}

func (k *skew) least() time.Duration {
	if k.hasBefore {
		return min(k.lag, k.lagBefore)
	}
	return k.lag
}

// Due returns what a source's clock is ahead by, where this has not been asked
// for since every ago: for who shares it with other replicas.
func (s *Skews) Due(source string, every time.Duration) (ahead time.Duration, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.sources[source]
	if known == nil || known.since.Sub(known.reported) < every {
		return 0, false
	}
	known.reported = known.since
	return -known.lag, true
}
