package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/store"
)

// readTx is one read transaction: every statement in it sees the same commits.
type readTx struct {
	pgx.Tx
	asOf time.Time
	days []time.Time // that hold events, newest first
}

// Holding these locks keeps the days that were listed from being dropped
// before the transaction ends. ONLY leaves their partitions for when they are
// read.
const lockForReading = `LOCK TABLE ONLY audit_rows, ONLY audit_raw, ONLY audit_rollup_deltas,
	ONLY audit_rollup_hours, ONLY audit_rollup_places, ONLY audit_rollup_actors IN ACCESS SHARE MODE`

// read runs fn in a read transaction that ends with ctx and after the
// statement timeout.
func (s *Store) read(ctx context.Context, fn func(ctx context.Context, tx *readTx) error) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, s.opts.StatementTimeout)
	defer cancel()
	// The driver reports a cancelled statement in its own words; callers want
	// to know that it was they who cancelled.
	defer func() {
		if err != nil && caller.Err() != nil && !errors.Is(err, store.ErrNotFound) {
			err = caller.Err()
		}
		err = s.target.explain(err)
	}()
	tx := &readTx{asOf: s.opts.Now().UTC().Truncate(time.Microsecond)}
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(begun pgx.Tx) error {
		tx.Tx = begun
		if err := tx.prepare(ctx, s.opts.StatementTimeout); err != nil {
			return fmt.Errorf("begin to read: %w", err)
		}
		return fn(ctx, tx)
	})
}

// prepare lists the days in one round trip.
func (tx *readTx) prepare(ctx context.Context, timeout time.Duration) error {
	batch := &pgx.Batch{}
	// For when the cancellation does not arrive.
	batch.Queue("SET LOCAL statement_timeout = " + strconv.FormatInt(timeout.Milliseconds(), 10))
	batch.Queue(lockForReading)
	batch.Queue("SELECT day FROM audit_days ORDER BY day DESC").Query(func(rows pgx.Rows) (err error) {
		tx.days, err = pgx.CollectRows(rows, pgx.RowTo[time.Time])
		return err
	})
	return tx.SendBatch(ctx, batch).Close()
}
