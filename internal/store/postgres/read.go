package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/spans"
)

// readTx is one read transaction: every statement in it sees the same commits.
type readTx struct {
	pgx.Tx
	asOf time.Time
	days []time.Time // that hold events, newest first
}

// beginner is a connection, or a pool of them.
type beginner interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// read runs fn in a read transaction that ends with ctx and after the
// statement timeout: of the standby or, where that fails, of the writer. So fn
// may run twice and must not add to what it has found before. The name is that
// of the read's span.
func (s *Store) read(ctx context.Context, name string, fn func(ctx context.Context, tx *readTx) error) error {
	return s.reading(ctx, name, func(ctx context.Context) error {
		if done, err := s.readStandby(ctx, fn); done {
			return err
		}
		return s.readIn(ctx, s.pool, fn)
	})
}

// readOnce is read for an fn that must not run twice: it asks the writer.
func (s *Store) readOnce(ctx context.Context, name string, fn func(ctx context.Context, tx *readTx) error) error {
	return s.reading(ctx, name, func(ctx context.Context) error {
		return s.readIn(ctx, s.pool, fn)
	})
}

// reading runs fn within the bounds of a read.
func (s *Store) reading(ctx context.Context, name string, fn func(ctx context.Context) error) (err error) {
	if err := s.calls.Enter(); err != nil {
		return err
	}
	defer s.calls.Leave()
	caller, span := tracer.Begin(ctx, name)
	defer func() { spans.End(span, err) }()
	ctx, cancel := context.WithTimeout(caller, s.opts.StatementTimeout)
	defer cancel()
	err = fn(ctx)
	switch {
	case err == nil || errors.Is(err, store.ErrNotFound):
		return err
	// The driver reports a cancelled statement in its own words; callers want
	// to know that it was they who cancelled.
	case caller.Err() != nil:
		return caller.Err()
	case ctx.Err() != nil || isCanceled(err):
		return fmt.Errorf("statement took longer than %s: %w", s.opts.StatementTimeout, context.DeadlineExceeded)
	}
	return s.explain(err)
}

// isCanceled reports whether the server ended a statement for its time.
func isCanceled(err error) bool {
	var failed *pgconn.PgError
	return errors.As(err, &failed) && failed.Code == pgerrcode.QueryCanceled
}

// readIn runs fn in a read transaction of a server.
func (s *Store) readIn(ctx context.Context, server beginner, fn func(ctx context.Context, tx *readTx) error) error {
	return pgx.BeginTxFunc(ctx, server, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(begun pgx.Tx) error {
		tx := &readTx{Tx: begun, asOf: s.now()}
		if err := tx.prepare(ctx, s.opts.StatementTimeout); err != nil {
			return fmt.Errorf("begin to read: %w", err)
		}
		return fn(ctx, tx)
	})
}

// Holding these locks keeps the days that were listed from being dropped
// before the transaction ends. ONLY leaves their partitions for when they are
// read.
const lockForReading = `LOCK TABLE ONLY audit_rows, ONLY audit_raw, ONLY audit_rollup_deltas,
	ONLY audit_rollup_kinds, ONLY audit_rollup_places, ONLY audit_rollup_actors IN ACCESS SHARE MODE`

// prepare lists the days in one round trip.
func (tx *readTx) prepare(ctx context.Context, timeout time.Duration) error {
	batch := &pgx.Batch{}
	// For when the cancellation does not arrive.
	batch.Queue("SET LOCAL statement_timeout = " + strconv.FormatInt(timeout.Milliseconds(), 10))
	// Plans are made for the values that are asked for: of time above all.
	batch.Queue("SET LOCAL plan_cache_mode = force_custom_plan")
	// Compiling takes longer than most answers.
	batch.Queue("SET LOCAL jit = off")
	batch.Queue(lockForReading)
	batch.Queue("SELECT day FROM audit_days ORDER BY day DESC").Query(func(rows pgx.Rows) (err error) {
		tx.days, err = pgx.CollectRows(rows, pgx.RowTo[time.Time])
		return err
	})
	return tx.SendBatch(ctx, batch).Close()
}
