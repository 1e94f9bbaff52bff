package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// readyLimit is how long Ready may take.
	readyLimit = 2 * time.Second
	// readyKept is how long an answer holds for others who ask.
	readyKept = time.Second
)

// readiness finds out whether a write would be durable now. Its connection is
// its own, so that neither readers nor commits that wait make it wait.
type readiness struct {
	turn chan struct{} // held by who checks; guards conn
	conn *pgx.Conn

	mu       sync.Mutex
	failed   error // of the last commit that ended
	commits  int   // that ended
	answer   error
	answered time.Time // zero where the answer holds no longer
}

func (r *readiness) init() { r.turn = make(chan struct{}, 1) }

// committed notes how a commit ended. A commit that the database refuses for
// what is in it says nothing against the database.
func (r *readiness) committed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isDataError(err) {
		err = nil
	}
	r.failed = err
	r.commits++
	if err != nil {
		r.answered = time.Time{}
	}
}

// Ready implements store.Store: the server that the store is connected to
// takes writes, has the schema, and commits now. Nobody delivers to a store
// that isn't ready, so after a commit has failed it tries what commits do.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.calls.Enter(); err != nil {
		return err
	}
	defer s.calls.Leave()
	r := &s.readiness
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if answer, ok := r.recent(); ok {
		return answer
	}
	limited, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	commits, failed := r.last()
	err := s.target.explain(s.probe(limited, failed != nil))
	if ctx.Err() != nil {
		return ctx.Err() // it says nothing about the store
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	r.settle(err, commits)
	return err
}

func (r *readiness) recent() (answer error, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answer, time.Since(r.answered) < readyKept
}

func (r *readiness) last() (commits int, failed error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.commits, r.failed
}

// settle keeps an answer, unless a commit has ended since it was looked for.
func (r *readiness) settle(answer error, commits int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.commits != commits && r.failed != nil {
		return
	}
	r.answer, r.answered = answer, time.Now()
	if answer == nil {
		r.failed = nil
	}
}

// askServer also commits, because a message in the log is a write: it waits
// for the disk, and for a standby that commits wait for.
const (
	askServer = "SELECT (SELECT coalesce(max(version_id), 0) FROM " + versionTable + " WHERE is_applied), current_setting('transaction_read_only') = 'on'"
	logSign   = "SELECT pg_logical_emit_message(true, 'audit-operator', 'ready')"
)

// probe commits, and connects where it has to.
func (s *Store) probe(ctx context.Context, rehearse bool) error {
	r := &s.readiness
	if r.conn == nil || r.conn.IsClosed() {
		conn, err := connectBeside(ctx, s.pool)
		if err != nil {
			return err
		}
		r.conn = conn
	}
	err := s.tryCommitting(ctx, r.conn, rehearse)
	if err != nil {
		r.close() // whatever state it is in
	}
	if ctx.Err() != nil {
		return hangs(readyLimit)
	}
	return err
}

// hangs is why a commit did not come to its end.
func hangs(limit time.Duration) error {
	return errUnfit{fmt.Sprintf("does not commit within %s: it hangs, or a standby is missing that commits wait for", limit)}
}

func (s *Store) tryCommitting(ctx context.Context, conn *pgx.Conn, rehearse bool) error {
	if rehearse {
		if err := s.rehearse(ctx, conn); err != nil {
			return fmt.Errorf("rehearse a commit: %w", err)
		}
	}
	var version int64
	var readOnly bool
	batch := &pgx.Batch{}
	batch.Queue(askServer).QueryRow(func(row pgx.Row) error { return row.Scan(&version, &readOnly) })
	batch.Queue(logSign)
	err := conn.SendBatch(ctx, batch).Close()
	switch {
	case err != nil:
		return err
	case readOnly:
		return pgconn.ErrReadOnlyConnection
	case version < schemaVersion():
		return fmt.Errorf("the schema has version %d, this version (%s) needs %d: run manager migrate", version, s.opts.Version, schemaVersion())
	}
	return nil
}

// rehearsalBytes is more than fits into pages that are there already.
const rehearsalBytes = 256 << 10

// rehearse does what commits do, without a trace: it makes today, and writes a
// blob that is rolled back.
func (s *Store) rehearse(ctx context.Context, conn *pgx.Conn) error {
	today := dayOf(s.now()).start()
	if _, err := conn.Exec(ctx, "SELECT audit_create_day($1)", today); err != nil {
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	_, err = tx.Exec(ctx, insertBlob, 0, today, make([]byte, rehearsalBytes)) // no blob has number 0
	return err
}

func (r *readiness) close() {
	if r.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.conn.Close(ctx) // the server notices in any case
	r.conn = nil
}
