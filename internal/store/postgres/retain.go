package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
)

// Retain implements store.Store. Items in quarantine go by when they were
// received, those of before the cut too. A day is gone at once for who begins
// to read; its space is free when those have ended who read it before.
func (s *Store) Retain(ctx context.Context, before time.Time) (dropped []time.Time, err error) {
	for _, step := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"forget days", func(ctx context.Context) (err error) {
			dropped, err = s.forgetDays(ctx, before)
			return err
		}},
		{"drop forgotten days", s.dropForgotten},
		{"clear quarantine", func(ctx context.Context) error {
			_, err := s.pool.Exec(ctx, "DELETE FROM audit_quarantine WHERE received_at < $1", before)
			return err
		}},
		{"prune dictionaries", s.pruneDictionaries},
	} {
		if err := s.call(ctx, step.do); err != nil {
			return dropped, fmt.Errorf("retain: %s: %w", step.name, err)
		}
	}
	return dropped, nil
}

// forgetDays hides the days that ended before the cut, never today.
func (s *Store) forgetDays(ctx context.Context, before time.Time) ([]time.Time, error) {
	end := min(dayOf(before), dayOf(s.now()))
	rows, err := s.pool.Query(ctx, "SELECT day FROM audit_days WHERE day < $1 ORDER BY day", end.start())
	if err != nil {
		return nil, err
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return nil, err
	}
	var forgotten []time.Time
	for _, day := range days {
		var found bool
		if err := s.pool.QueryRow(ctx, "SELECT audit_forget_day($1)", day).Scan(&found); err != nil {
			return forgotten, err
		}
		if found { // else another replica was first
			forgotten = append(forgotten, day)
		}
	}
	return forgotten, nil
}

// dropForgotten frees what forgotten days have left. One that is still being
// read stays until the next time: who waits for it would hold up everybody.
func (s *Store) dropForgotten(ctx context.Context) error {
	for {
		var day *time.Time
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '200ms'"); err != nil {
				return err
			}
			return tx.QueryRow(ctx, "SELECT audit_drop_forgotten_day()").Scan(&day)
		})
		switch failed := failedStatement(err); {
		case failed != nil && failed.Code == pgerrcode.LockNotAvailable:
			s.log.V(1).Info("A day that was dropped is still being read; its space stays taken for now")
			return nil
		case err != nil:
			return err
		case day == nil:
			return nil
		}
	}
}

// pruneMargin is how far the clocks of replicas may be apart, and more. An
// entry is used as long as its last day is retained by the clock of who does.
const pruneMargin = 2

// pruneDictionaries removes entries that no row can have any more.
func (s *Store) pruneDictionaries(ctx context.Context) error {
	cut := dayOf(s.now().Add(-s.opts.Retention)) - pruneMargin
	_, err := s.pool.Exec(ctx, "SELECT audit_prune_dictionaries($1)", cut.start())
	return err
}
