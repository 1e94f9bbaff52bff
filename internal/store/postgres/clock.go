package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/store"
)

// JudgeClock implements store.Store.
func (s *Store) JudgeClock() error {
	_, err := s.clock.Judge()
	return err
}

// lastReceived is when the newest delivery came that the store knows of; zero
// where there is none.
func (s *Store) lastReceived(ctx context.Context) (time.Time, error) {
	var last *time.Time
	if err := s.pool.QueryRow(ctx, "SELECT max(last_received_at) FROM audit_sources").Scan(&last); err != nil || last == nil {
		return time.Time{}, err
	}
	return last.UTC(), nil
}

const (
	// shareSkewEvery is how often a replica tells the others of a source's skew.
	shareSkewEvery = 15 * time.Second

	insertSkew = "INSERT INTO audit_source_skews (source, at, ahead_us) VALUES ($1, $2, $3)"
	askSkews   = "SELECT source, max(ahead_us) FROM audit_source_skews WHERE at > $1 GROUP BY source"
	dropSkews  = "DELETE FROM audit_source_skews WHERE at <= $1"
)

// sharedSkew is what a replica tells the others of a source's clock.
type sharedSkew struct {
	source string
	ahead  time.Duration
}

// sharedSkews returns what the others are to be told of the sources of a group.
func (s *Store) sharedSkews(group []*job) (due []sharedSkew) {
	for _, j := range group {
		if j.imported {
			continue
		}
		name := store.Text(j.batch.Source)
		if ahead, ok := s.skews.Due(name, shareSkewEvery); ok {
			due = append(due, sharedSkew{name, ahead})
		}
	}
	return due
}

// Skews implements store.Reader: over all replicas.
func (s *Store) Skews(ctx context.Context) (skews map[string]time.Duration, err error) {
	err = s.read(ctx, "store.skews", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.Query(ctx, askSkews, s.now().Add(-store.SkewWindow))
		if err != nil {
			return err
		}
		skews = map[string]time.Duration{}
		var source string
		var ahead int64
		_, err = pgx.ForEachRow(rows, []any{&source, &ahead}, func() error {
			skews[source] = time.Duration(ahead) * time.Microsecond
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read skews: %w", err)
	}
	return skews, nil
}

// dropSkews forgets what nobody asks for any more.
func (s *Store) dropSkews(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, dropSkews, s.now().Add(-store.SkewWindow))
	return err
}

// askStoredDays counts rows, raws and roll-ups with their indexes.
const askStoredDays = `SELECT d.day, coalesce(sum(pg_total_relation_size(to_regclass(parent || to_char(d.day, '_YYYYMMDD')))), 0)::bigint
	FROM audit_days AS d CROSS JOIN unnest(ARRAY['audit_rows', 'audit_raw', 'audit_rollup_deltas',
		'audit_rollup_kinds', 'audit_rollup_places', 'audit_rollup_actors']) AS parent
	GROUP BY d.day ORDER BY d.day`

// StoredDays implements store.Store.
func (s *Store) StoredDays(ctx context.Context) (days []store.StoredDay, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, askStoredDays)
		if err != nil {
			return err
		}
		days, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d store.StoredDay, err error) {
			err = row.Scan(&d.Day, &d.Bytes)
			return d, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list days: %w", err)
	}
	return days, nil
}
