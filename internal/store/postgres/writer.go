package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// writer is a committer's side of the store: its connection, and what it knows
// of the database. All that it knows goes with the connection, because the
// next one may lead to another server, which need not have it.
type writer struct {
	pool *pgxpool.Pool
	conn *pgx.Conn // nil while there is none

	dictionaries [dictionaries]dictionary
	days         map[dayNumber]bool
	// The numbers of blobs that it may use: from nextBatch until endBatch.
	nextBatch, endBatch int64
}

// How long a committer waits: for a connection, and for all of a commit.
const (
	connectTimeout = 5 * time.Second
	commitTimeout  = 15 * time.Second
)

// prepareWriter readies a connection. What a committer left half done when it
// died must not hold up others for long.
const prepareWriter = commitLater + `;
	SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
	SET idle_in_transaction_session_timeout = '15s';
	SET statement_timeout = '15s';
	CREATE TEMPORARY TABLE audit_staging (LIKE audit_rows) ON COMMIT DELETE ROWS`

// commitLater is for transactions before that of the rows, which need what is
// written in them: the log is durable in its order, so the commit of the rows
// makes them durable too, and they need not wait for it.
const commitLater = "SELECT set_config('synchronous_commit', 'off', true)"

// aside begins such a transaction. It ends with what is queued in it.
func aside() *pgx.Batch {
	batch := &pgx.Batch{}
	batch.Queue(commitLater)
	return batch
}

// connect makes sure that there is a connection.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil && !w.conn.IsClosed() {
		return nil
	}
	w.close()
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := connectBeside(ctx, w.pool)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	w.conn = conn
	if _, err := w.conn.PgConn().Exec(ctx, prepareWriter).ReadAll(); err != nil {
		w.close()
		return fmt.Errorf("prepare the connection: %w", err)
	}
	return nil
}

// close forgets the connection and what was known by it.
func (w *writer) close() {
	if w.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.conn.Close(ctx) // the server notices in any case
	}
	*w = writer{pool: w.pool}
}

// createDay makes a day, unless there is one.
const createDay = "SELECT audit_create_day($1)"

// ensureDays makes sure that days exist, as far as is known.
func (w *writer) ensureDays(ctx context.Context, days []dayNumber) error {
	for _, day := range days {
		if w.days[day] {
			continue
		}
		batch := aside()
		batch.Queue("SELECT set_config('lock_timeout', '500ms', true)")
		batch.Queue(createDay, day.start())
		if err := w.conn.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("create a day: %w", err)
		}
		if w.days == nil {
			w.days = map[dayNumber]bool{}
		}
		w.days[day] = true
	}
	return nil
}

// batchNumber returns a number that no other blob has.
func (w *writer) batchNumber(ctx context.Context) (int64, error) {
	const block = 1000 // the increment of the sequence
	if w.nextBatch == w.endBatch {
		batch := aside()
		batch.Queue("SELECT nextval('audit_raw_batch')").QueryRow(func(row pgx.Row) error { return row.Scan(&w.nextBatch) })
		if err := w.conn.SendBatch(ctx, batch).Close(); err != nil {
			return 0, fmt.Errorf("number raw events: %w", err)
		}
		w.endBatch = w.nextBatch + block
	}
	w.nextBatch++
	return w.nextBatch - 1, nil
}
