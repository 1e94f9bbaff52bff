package postgres

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Days implements store.Holdings.
func (s *Store) Days(ctx context.Context) ([]store.DayCount, error) {
	var counts []store.DayCount
	err := s.read(ctx, "store.days", func(ctx context.Context, tx *readTx) error {
		counts = nil
		for _, day := range slices.Backward(tx.days) {
			count := store.DayCount{Day: day.UTC()}
			stretch := within(store.Stretch{Day: day})
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM audit_rows r WHERE "+stretch.condition, stretch.args...).Scan(&count.Events); err != nil {
				return err
			}
			if count.Events > 0 { // days are made ahead
				counts = append(counts, count)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the days: %w", err)
	}
	return counts, nil
}

// OldestDay implements store.Holdings.
func (s *Store) OldestDay() time.Time { return audit.Day(s.now().Add(-s.opts.Retention)) }

// span is the condition on rows that a stretch is.
type span struct {
	condition string
	args      []any
}

// within returns the rows of a stretch. It names the day's bounds, by which
// partitions are chosen.
func within(stretch store.Stretch) span {
	w := span{
		condition: "r.occurred_at >= $1 AND r.occurred_at < $2",
		args:      []any{stretch.Day, stretch.Day.AddDate(0, 0, 1)},
	}
	bound := func(p *query.Position, comparison string) {
		if p != nil {
			w.condition += fmt.Sprintf(" AND (r.occurred_at, r.id) %s ($%d, $%d)", comparison, len(w.args)+1, len(w.args)+2)
			w.args = append(w.args, p.OccurredAt, p.ID[:])
		}
	}
	bound(stretch.After, ">")
	bound(stretch.UpTo, "<=")
	return w
}

// Entries implements store.Holdings.
func (s *Store) Entries(ctx context.Context, stretch store.Stretch, limit int) (entries []store.Entry, err error) {
	err = s.readStretch(ctx, stretch, "r.occurred_at, r.id, r.raw_sha256", "", "r.occurred_at, r.id LIMIT "+strconv.Itoa(limit), func(rows pgx.Rows) (err error) {
		entries, err = pgx.CollectRows(rows, scanEntry)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return entries, nil
}

func scanEntry(row pgx.CollectableRow) (store.Entry, error) {
	var entry store.Entry
	var sum []byte
	err := row.Scan(&entry.OccurredAt, (*[16]byte)(&entry.ID), &sum)
	entry.OccurredAt = entry.OccurredAt.UTC()
	copy(entry.RawSHA256[:], sum)
	return entry, err
}

// readStretch has collect take the rows of a stretch. A day that is dropped has
// none.
func (s *Store) readStretch(ctx context.Context, stretch store.Stretch, columns, joins, order string, collect func(pgx.Rows) error) error {
	return s.read(ctx, "store.stretch", func(ctx context.Context, tx *readTx) error {
		if !slices.ContainsFunc(tx.days, stretch.Day.Equal) {
			return nil
		}
		w := within(stretch)
		rows, err := tx.Query(ctx, "SELECT "+columns+" FROM audit_rows r"+joins+" WHERE "+w.condition+" ORDER BY "+order, w.args...)
		if err != nil {
			return err
		}
		return collect(rows)
	})
}

// ExportQuarantine implements store.Holdings.
func (s *Store) ExportQuarantine(ctx context.Context, item func(*audit.Quarantined) error) error {
	var items []audit.Quarantined // no more than is kept
	err := s.read(ctx, "store.exportQuarantine", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.Query(ctx, "SELECT "+quarantineColumns+" FROM audit_quarantine ORDER BY seq")
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, scanQuarantined)
		return err
	})
	if err != nil {
		return fmt.Errorf("export quarantine: %w", err)
	}
	for i := range items {
		if err := item(&items[i]); err != nil {
			return err
		}
	}
	return nil
}

// Manifests implements store.Holdings.
func (s *Store) Manifests(ctx context.Context) ([]store.Manifest, error) {
	found, err := s.snapshots(ctx, selectSnapshots)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return manifestsOf(found), nil
}

// SnapshotBody implements store.Holdings.
func (s *Store) SnapshotBody(ctx context.Context, id string) (io.ReadCloser, error) {
	found, err := s.findSnapshot(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	return &bodyReader{ctx: ctx, store: s, number: found.Body, parts: found.Parts}, nil
}
