package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// View implements store.Reader.
func (s *Store) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	var view store.View
	if req.HistogramWidth != 0 && !slices.Contains(store.HistogramWidths, req.HistogramWidth) {
		return view, fmt.Errorf("histogram width %s is none of store.HistogramWidths", req.HistogramWidth)
	}
	req.Window = store.InScope(scope, req.Window)
	err := s.read(ctx, "store.view", func(ctx context.Context, tx *readTx) error {
		view = store.View{AsOf: tx.asOf}
		cond, err := newWhere(scope, &req.Filter, req.Window.From)
		if err != nil {
			return err
		}
		if view.Quarantined, err = tx.quarantined(ctx, scope, req.Window); err != nil {
			return err
		}
		if req.Limit > 0 {
			if err := tx.page(ctx, cond, req, &view); err != nil {
				return err
			}
		}
		return tx.viewCounts(ctx, cond, req, &view)
	})
	if err != nil {
		return store.View{}, fmt.Errorf("view events: %w", err)
	}
	return view, nil
}

// viewCounts reads the histogram and the count; the histogram's sum is the count.
func (tx *readTx) viewCounts(ctx context.Context, cond *where, req store.ViewRequest, view *store.View) error {
	if !req.Count && req.HistogramWidth == 0 {
		return nil
	}
	chosen, err := tx.choose(ctx, cond)
	if err != nil || chosen.none() {
		return err
	}
	shares := chosen.shares("")
	if req.HistogramWidth%time.Hour != 0 {
		shares = nil
	}
	counted, err := tx.newCounter(chosen, req.Window, shares).by(ctx, req.HistogramWidth)
	if err != nil {
		return err
	}
	if req.Count {
		view.Matched = counted.sum()
	}
	if req.HistogramWidth != 0 {
		view.Histogram = counted.buckets(req.HistogramWidth)
	}
	return nil
}

// by counts by the time, in buckets of a width, or in as few as there may be.
func (n *counter) by(ctx context.Context, width time.Duration) (tally, error) {
	if n.shares != nil {
		return n.tally(ctx)
	}
	counted := tally{}
	if isEmpty(n.window) {
		return counted, nil
	}
	bucket := n.bind(n.window.From) + "::timestamptz"
	if width != 0 {
		bucket = "date_bin(" + n.bind(width) + "::interval, r.occurred_at, to_timestamp(0))"
	}
	rows, err := n.tx.Query(ctx, "SELECT "+bucket+", count(*) FROM audit_rows r WHERE "+n.tx.during(n.where, n.window)+" AND "+n.ofRows()+" GROUP BY 1", n.args)
	if err != nil {
		return nil, err
	}
	var at time.Time
	var matched int64
	_, err = pgx.ForEachRow(rows, []any{&at, &matched}, func() error {
		counted[at.UTC()] = matched
		return nil
	})
	return counted, err
}

// buckets sums up by a width that is a multiple of the tally's.
func (t tally) buckets(width time.Duration) []store.Bucket {
	sums := tally{}
	for at, n := range t {
		sums[at.Truncate(width)] += n
	}
	var buckets []store.Bucket
	for _, at := range slices.Backward(sums.newestFirst()) {
		buckets = append(buckets, store.Bucket{Start: at, Count: sums[at]})
	}
	return buckets
}
