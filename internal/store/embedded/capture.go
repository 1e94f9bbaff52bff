package embedded

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Capture implements store.Reader. Counting by day first tells where the
// newest rows start, so that they can be read in ascending order, a day at a
// time, without holding them.
func (s *Store) Capture(ctx context.Context, scope query.Scope, req store.CaptureRequest, row func(*audit.Event) error) (store.Capture, error) {
	capture := store.Capture{CountsByType: map[string]int64{}, CountsByStatusClass: map[string]int64{}}
	err := s.read(ctx, "store.capture", func(ctx context.Context, tx *readTx) error {
		capture.AsOf = tx.asOf
		cond, err := newWhere(scope, &req.Filter, req.Window)
		if err != nil {
			return err
		}
		if capture.Quarantined, err = tx.quarantined(ctx, scope, req.Window); err != nil {
			return err
		}
		days := daysIn(tx.days, req.Window)
		matched, err := captureCounts(ctx, tx, cond, days, &capture)
		if err != nil {
			return err
		}
		take := make([]int64, len(days))
		left := int64(max(req.Limit, 0))
		for i, day := range days {
			take[i] = min(left, matched[day])
			left -= take[i]
		}
		if req.Begin != nil {
			req.Begin(int64(max(req.Limit, 0)) - left)
		}
		for i, day := range slices.Backward(days) {
			if take[i] == 0 {
				continue
			}
			if err := tx.newestAscending(ctx, cond, day, take[i], row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return store.Capture{}, fmt.Errorf("capture events: %w", err)
	}
	return capture, nil
}

// captureRows is how many rows of a capture the database holds at a time.
const captureRows = 2000

// newestAscending calls row for the newest rows of a day that match, the oldest
// first, a part of them after the other.
func (tx *readTx) newestAscending(ctx context.Context, cond *where, day int, limit int64, row func(*audit.Event) error) error {
	ids, err := tx.newestIDs(ctx, cond, day, limit)
	if err != nil {
		return err
	}
	slices.Reverse(ids)
	for part := range slices.Chunk(ids, captureRows) {
		if err := tx.rows(ctx, day, part, " ORDER BY occurred_at, id", func(_ int64, e *audit.Event) error { return row(e) }); err != nil {
			return err
		}
	}
	return nil
}

// captureCounts fills the counts and returns the matches of each day.
func captureCounts(ctx context.Context, tx *readTx, cond *where, days []int, capture *store.Capture) (map[int]int64, error) {
	matched := map[int]int64{}
	if len(days) == 0 {
		return matched, nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT day, resource_type, class, count(*) FROM ("+
		cond.overDays("occurred_at // "+strconv.FormatInt((24*time.Hour).Microseconds(), 10)+" AS day, resource_type, status_code // 100 AS class", days)+
		") GROUP BY ALL", cond.args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func() error {
		var day, class int
		var resourceType string
		var count int64
		if err := rows.Scan(&day, &resourceType, &class, &count); err != nil {
			return err
		}
		matched[day] += count
		capture.Matched += count
		if resourceType != "" {
			capture.CountsByType[resourceType] += count
		}
		if class != 0 {
			capture.CountsByStatusClass[strconv.Itoa(class)+"xx"] += count
		}
		return nil
	})
	return matched, err
}
