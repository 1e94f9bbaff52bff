package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/porter-dev/audit-operator/internal/store"
)

const totalsColumns = "source, received, stored, duplicate, quarantined, own, last_received_at, last_event_at"

func scanTotals(rows *sql.Rows, before ...any) (store.SourceStats, error) {
	var stats store.SourceStats
	var receivedAt, eventAt int64
	err := rows.Scan(append(before, &stats.Source, &stats.Received, &stats.Stored, &stats.Duplicate, &stats.Quarantined, &stats.Own, &receivedAt, &eventAt)...)
	stats.LastReceivedAt, stats.LastEventAt = fromMicro(receivedAt), fromMicro(eventAt)
	return stats, err
}

// readOwnTotals returns what this store has counted, by source.
func readOwnTotals(ctx context.Context, q querier) (map[string]store.SourceStats, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+totalsColumns+" FROM sources")
	if err != nil {
		return nil, err
	}
	own := map[string]store.SourceStats{}
	err = each(rows, func() error {
		stats, err := scanTotals(rows)
		own[stats.Source] = stats
		return err
	})
	return own, err
}

// readTotals returns what this store and others have counted.
func readTotals(ctx context.Context, q querier) ([]store.Totals, error) {
	rows, err := q.QueryContext(ctx, "SELECT id::VARCHAR, "+totalsColumns+" FROM sources, identity UNION ALL SELECT store, "+totalsColumns+" FROM other_totals")
	if err != nil {
		return nil, err
	}
	var all []store.Totals
	err = each(rows, func() error {
		var t store.Totals
		var err error
		t.SourceStats, err = scanTotals(rows, &t.Store)
		all = append(all, t)
		return err
	})
	return all, err
}

// Sources implements store.Reader.
func (s *Store) Sources(ctx context.Context) ([]store.SourceStats, error) {
	totals, err := s.ExportTotals(ctx)
	if err != nil {
		return nil, err
	}
	sums := map[string]store.SourceStats{}
	for _, t := range totals {
		sums[t.Source] = t.Plus(sums[t.Source])
	}
	var all []store.SourceStats
	for _, source := range slices.Sorted(maps.Keys(sums)) {
		all = append(all, sums[source])
	}
	return all, nil
}

// ExportTotals implements store.Holdings.
func (s *Store) ExportTotals(ctx context.Context) (all []store.Totals, err error) {
	err = s.read(ctx, "store.sources", func(ctx context.Context, tx *readTx) error {
		all, err = readTotals(ctx, tx.Tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	return all, nil
}

// ImportTotals implements store.Holdings.
func (s *Store) ImportTotals(ctx context.Context, totals []store.Totals) error {
	if err := s.calls.Enter(); err != nil {
		return fmt.Errorf("import totals: %w", err)
	}
	defer s.calls.Leave()
	var failure error
	j := &job{run: func() { failure = s.mergeTotals(context.WithoutCancel(ctx), totals) }}
	if err := s.commit(ctx, j); err != nil {
		return fmt.Errorf("import totals: %w", err)
	}
	if failure != nil {
		return fmt.Errorf("import totals: %w: %w", store.ErrUnavailable, failure)
	}
	return nil
}

// mergeTotals replaces what is less than is known now.
func (s *Store) mergeTotals(ctx context.Context, totals []store.Totals) error {
	if err := s.restore(ctx); err != nil {
		return err
	}
	var identity string
	if err := s.writer.conn.QueryRowContext(ctx, "SELECT id::VARCHAR FROM identity").Scan(&identity); err != nil {
		return err
	}
	known, err := readTotals(ctx, s.writer.conn)
	if err != nil {
		return err
	}
	type key struct{ store, source string }
	others := map[key]store.SourceStats{}
	for _, t := range append(known, totals...) {
		if t.Store != identity { // nobody knows that better
			k := key{t.Store, t.Source}
			others[k] = t.Grown(others[k])
		}
	}
	w := &s.writer
	return w.inTransaction(func() error {
		if err := w.bulk.run("DELETE FROM other_totals"); err != nil {
			return err
		}
		for k, t := range others {
			if err := w.bulk.exec("INSERT INTO other_totals VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", k.store, k.source,
				t.Received, t.Stored, t.Duplicate, t.Quarantined, t.Own, t.LastReceivedAt.UnixMicro(), t.LastEventAt.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
}
