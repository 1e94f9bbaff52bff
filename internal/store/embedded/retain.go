package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Retain implements store.Store. Items in quarantine go by when they were
// received, those of before the cut too.
func (s *Store) Retain(ctx context.Context, before time.Time) ([]time.Time, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("retain: %w", err)
	}
	defer s.calls.Leave()
	var dropped []time.Time
	var failure error
	// The committer does it, so that no commit uses a day while it goes.
	j := &job{run: func() { dropped, failure = s.dropDays(context.Background(), before) }}
	if err := s.commit(ctx, j); err != nil {
		return nil, fmt.Errorf("retain: %w", err)
	}
	if failure != nil {
		return dropped, fmt.Errorf("retain: %w: %w", store.ErrUnavailable, failure)
	}
	return dropped, nil
}

func (s *Store) dropDays(ctx context.Context, before time.Time) ([]time.Time, error) {
	if err := s.restore(ctx); err != nil {
		return nil, err
	}
	w := &s.writer
	today := dayOf(s.now())
	var dropped []time.Time
	for _, day := range slices.Sorted(maps.Keys(w.sizes)) {
		if day >= today || dayStart(day+1).After(before) {
			continue
		}
		if err := w.inTransaction(func() error {
			if err := w.bulk.run("DROP TABLE " + tableOf(day)); err != nil {
				return err
			}
			return w.bulk.exec("DELETE FROM days WHERE day = $1", int64(day))
		}); err != nil {
			return dropped, fmt.Errorf("drop a day: %w", err)
		}
		delete(w.sizes, day)
		s.filters.drop(day)
		s.arrivals.publish(func(days map[int]arrived) { delete(days, day) })
		s.opts.Metrics.dropped(day)
		dropped = append(dropped, dayStart(day))
		// From here on a crash leaves a file that opening removes.
		if g := w.segments[day]; g != nil {
			delete(w.segments, day)
			if err := g.file.Close(); err != nil {
				return dropped, fmt.Errorf("close raw segment: %w", err)
			}
		}
		if err := os.Remove(segmentPath(s.opts.Dir, day)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return dropped, fmt.Errorf("remove raw segment: %w", err)
		}
	}
	err := w.inTransaction(func() (err error) {
		if err = w.bulk.exec("DELETE FROM quarantine WHERE received_at < $1", before.UnixMicro()); err == nil {
			w.quarantineBytes, err = w.bulk.number(quarantineKept)
		}
		return err
	})
	if err != nil {
		return dropped, fmt.Errorf("clear quarantine: %w", err)
	}
	return dropped, nil
}
