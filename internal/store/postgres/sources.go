package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Sources implements store.Reader.
func (s *Store) Sources(ctx context.Context) (all []store.SourceStats, err error) {
	err = s.read(ctx, "store.sources", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.Query(ctx, `SELECT source, received, stored, duplicate, quarantined, own, last_received_at, last_event_at
			FROM audit_sources ORDER BY source`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanSource)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	return all, nil
}

func scanSource(row pgx.CollectableRow) (store.SourceStats, error) {
	var stats store.SourceStats
	var eventAt *time.Time // none yet
	err := row.Scan(&stats.Source, &stats.Received, &stats.Stored, &stats.Duplicate, &stats.Quarantined, &stats.Own, &stats.LastReceivedAt, &eventAt)
	stats.LastReceivedAt = stats.LastReceivedAt.UTC()
	if eventAt != nil {
		stats.LastEventAt = eventAt.UTC()
	}
	return stats, err
}
