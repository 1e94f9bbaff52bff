package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// standbyConnectLimit is how long a read waits for a connection to the
	// standby before it goes to the writer.
	standbyConnectLimit = time.Second
	// standbyWait is how long a read waits for the standby to catch up, and
	// standbyPoll how often it looks.
	standbyWait = 100 * time.Millisecond
	standbyPoll = 5 * time.Millisecond
	// standbyRest is for how long a standby that was behind, or could not be
	// reached, is left alone, so that not every read waits for it.
	standbyRest = 5 * time.Second
)

// standby answers reads while it has all that the writer has acknowledged. It
// may be several servers behind one address: what it is asked for, it is asked
// for on the connection that then reads.
type standby struct {
	pool   *pgxpool.Pool
	target target
	log    logr.Logger

	mu     sync.Mutex
	rested time.Time // when it may be asked again
	unused bool      // since it last failed
}

// newStandby reads the URL. It does not connect: a standby that is away is no
// reason not to start.
func newStandby(ctx context.Context, url string, log logr.Logger) (*standby, error) {
	config, err := poolConfig(url)
	if err != nil {
		return nil, fmt.Errorf("the standby: %w", err)
	}
	config.ConnConfig.ConnectTimeout = standbyConnectLimit
	config.ConnConfig.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if err := checkServer(conn.ParameterStatus); err != nil {
			return err
		}
		return checkSettings(ctx, conn)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &standby{pool: pool, target: targetOf(config.ConnConfig), log: log}, nil
}

// close closes the connections; there is none where there is no standby.
func (b *standby) close() {
	if b != nil {
		b.pool.Close()
	}
}

// logPosition is how far a server's log must be known, and whose log it is: that
// of a system and, since a standby may be promoted beside it, of a timeline.
type logPosition struct {
	lsn, system string
	timeline    int64
}

// writerPosition is after all that was acknowledged.
const writerPosition = `SELECT pg_current_wal_flush_lsn()::text, (SELECT system_identifier::text FROM pg_control_system()),
	('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::bigint`

// standbyPosition has no row on a server that is none. Its timeline is that of
// its control file, which is never ahead of what it has replayed.
const standbyPosition = `SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn,
		(SELECT system_identifier::text FROM pg_control_system()),
		greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()))::bigint
	WHERE pg_is_in_recovery()`

// readStandby runs fn in a read transaction of the standby. Where that can't be
// done, or fails as it need not on the writer, it reports false.
func (s *Store) readStandby(ctx context.Context, fn func(ctx context.Context, tx *readTx) error) (done bool, err error) {
	b := s.standby
	if b == nil || !b.mayBeAsked() {
		return false, nil
	}
	var acknowledged logPosition
	if err := s.pool.QueryRow(ctx, writerPosition).Scan(&acknowledged.lsn, &acknowledged.system, &acknowledged.timeline); err != nil {
		return true, fmt.Errorf("ask for the writer's position: %w", err)
	}
	conn, err := b.caughtUp(ctx, acknowledged)
	if err != nil {
		if ctx.Err() == nil {
			b.leaveAlone(err)
		}
		return false, nil
	}
	defer conn.Release()
	b.isUsed()
	err = s.readIn(ctx, conn, fn)
	var wrong *query.FieldError
	if err == nil || ctx.Err() != nil || errors.Is(err, store.ErrNotFound) || errors.As(err, &wrong) {
		return true, err
	}
	if conn.Conn().IsClosed() {
		b.leaveAlone(err)
	}
	return false, nil
}

// caughtUp returns a connection to a server that has replayed a position.
func (b *standby) caughtUp(ctx context.Context, want logPosition) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, standbyConnectLimit)
	defer cancel()
	conn, err := b.pool.Acquire(ctx)
	if err != nil {
		return nil, b.target.explain(err)
	}
	if err := awaitPosition(ctx, conn, want); err != nil {
		conn.Release()
		return nil, err
	}
	return conn, nil
}

func awaitPosition(ctx context.Context, conn *pgxpool.Conn, want logPosition) error {
	late := time.NewTimer(standbyWait)
	defer late.Stop()
	tick := time.NewTicker(standbyPoll)
	defer tick.Stop()
	for {
		got := want
		var reached bool
		err := conn.QueryRow(ctx, standbyPosition, want.lsn).Scan(&reached, &got.system, &got.timeline)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return errors.New("it is no standby")
		case err != nil:
			return err
		case got.system != want.system:
			return errors.New("it follows another system than the writer's")
		case got.timeline != want.timeline:
			return fmt.Errorf("it is on timeline %d, the writer on %d", got.timeline, want.timeline)
		case reached:
			return nil
		}
		select {
		case <-late.C:
			return fmt.Errorf("it is more than %s behind the writer", standbyWait)
		case <-tick.C:
		}
	}
}

func (b *standby) mayBeAsked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !time.Now().Before(b.rested)
}

func (b *standby) leaveAlone(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rested = time.Now().Add(standbyRest)
	if !b.unused {
		b.log.Info("Reads go to the writer, because the standby is of no use now", "error", err.Error())
	}
	b.unused = true
}

func (b *standby) isUsed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unused {
		b.log.Info("Reads go to the standby again")
	}
	b.unused = false
}
