package embedded

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// lastReceived is when the newest delivery came that the store knows of; zero
// where there is none.
func (w *writer) lastReceived() (last time.Time) {
	for _, stats := range w.sources {
		if stats.LastReceivedAt.After(last) {
			last = stats.LastReceivedAt
		}
	}
	return last
}

// JudgeClock implements store.Store.
func (s *Store) JudgeClock() error {
	_, err := s.clock.Judge()
	return err
}

// Skews implements store.Reader.
func (s *Store) Skews(context.Context) (map[string]time.Duration, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("read skews: %w", err)
	}
	defer s.calls.Leave()
	return s.skews.All(s.now()), nil
}

// StoredDays implements store.Store. A day's share of DuckDB's file is not
// known; it is smaller than that of its raw events.
func (s *Store) StoredDays(ctx context.Context) ([]store.StoredDay, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("list days: %w", err)
	}
	defer s.calls.Leave()
	var days []store.StoredDay
	// The committer knows them.
	j := &job{run: func() {
		for day := range s.writer.sizes {
			stored := store.StoredDay{Day: dayStart(day)}
			if info, err := os.Stat(segmentPath(s.opts.Dir, day)); err == nil {
				stored.Bytes = info.Size()
			}
			days = append(days, stored)
		}
	}}
	if err := s.commit(ctx, j); err != nil {
		return nil, fmt.Errorf("list days: %w", err)
	}
	slices.SortFunc(days, func(a, b store.StoredDay) int { return a.Day.Compare(b.Day) })
	return days, nil
}
