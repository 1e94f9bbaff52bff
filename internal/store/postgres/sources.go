package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/store"
)

const totalsColumns = "source, received, stored, duplicate, quarantined, own, last_received_at, last_event_at"

// Sources implements store.Reader.
func (s *Store) Sources(ctx context.Context) (all []store.SourceStats, err error) {
	err = s.read(ctx, "store.sources", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.Query(ctx, "SELECT "+totalsColumns+" FROM audit_sources ORDER BY source")
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.SourceStats, error) { return scanTotals(row) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	return all, nil
}

// scanTotals reads the columns of totals, and others before them.
func scanTotals(row pgx.CollectableRow, before ...any) (store.SourceStats, error) {
	var stats store.SourceStats
	var eventAt *time.Time // none yet
	err := row.Scan(append(before, &stats.Source, &stats.Received, &stats.Stored, &stats.Duplicate, &stats.Quarantined, &stats.Own, &stats.LastReceivedAt, &eventAt)...)
	stats.LastReceivedAt = stats.LastReceivedAt.UTC()
	if eventAt != nil {
		stats.LastEventAt = eventAt.UTC()
	}
	return stats, err
}

// selectTotals asks for this store's own totals and those of others.
const selectTotals = `
	SELECT (SELECT id FROM audit_identity)::text, source, sum(received)::bigint, sum(stored)::bigint, sum(duplicate)::bigint,
		sum(quarantined)::bigint, sum(own)::bigint, max(last_received_at), max(last_event_at)
	FROM (SELECT * FROM audit_source_totals UNION ALL SELECT * FROM audit_source_deltas) AS parts GROUP BY source
	UNION ALL SELECT store::text, ` + totalsColumns + " FROM audit_other_totals"

// ExportTotals implements store.Holdings.
func (s *Store) ExportTotals(ctx context.Context) (all []store.Totals, err error) {
	err = s.read(ctx, "store.exportTotals", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.Query(ctx, selectTotals)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Totals, error) {
			var t store.Totals
			var err error
			t.SourceStats, err = scanTotals(row, &t.Store)
			return t, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("export totals: %w", err)
	}
	return all, nil
}

// mergeTotals takes over what others count. Nobody knows better than this
// store what it has counted itself.
const mergeTotals = `INSERT INTO audit_other_totals AS known (store, ` + totalsColumns + `)
	SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE NOT EXISTS (SELECT FROM audit_identity WHERE id = $1)
	ON CONFLICT (store, source) DO UPDATE SET
		received = greatest(known.received, excluded.received), stored = greatest(known.stored, excluded.stored),
		duplicate = greatest(known.duplicate, excluded.duplicate), quarantined = greatest(known.quarantined, excluded.quarantined),
		own = greatest(known.own, excluded.own), last_received_at = greatest(known.last_received_at, excluded.last_received_at),
		last_event_at = greatest(known.last_event_at, excluded.last_event_at)`

// ImportTotals implements store.Holdings.
func (s *Store) ImportTotals(ctx context.Context, totals []store.Totals) error {
	batch := &pgx.Batch{}
	for _, t := range totals {
		batch.Queue(mergeTotals, t.Store, t.Source, t.Received, t.Stored, t.Duplicate, t.Quarantined, t.Own, t.LastReceivedAt, noTime(t.LastEventAt))
	}
	err := s.call(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
	})
	if err != nil {
		return fmt.Errorf("import totals: %w", err)
	}
	return nil
}
