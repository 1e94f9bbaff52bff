package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/store"
)

// epoch is what sessions are of. It differs after a restore by pg_dump (the
// server and the database), after a recovery to a point in time and after a
// failover (the timeline), all of which may have forgotten who signed out.
const epoch = `(SELECT md5(concat_ws('/', e.epoch, (SELECT system_identifier FROM pg_control_system()),
	(SELECT oid FROM pg_database WHERE datname = current_database()), left(pg_walfile_name(pg_current_wal_lsn()), 8)))::uuid FROM audit_session_epoch e)`

// noSession is the ID of the row that stands for all of an owner's sessions
// until a time.
var noSession [16]byte

// SessionEpoch implements store.Sessions.
func (s *Store) SessionEpoch(ctx context.Context) (store.SessionID, error) {
	var now store.SessionID
	err := s.call(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+epoch).Scan((*[16]byte)(&now))
	})
	if err != nil {
		return store.SessionID{}, fmt.Errorf("read the epoch of sessions: %w", err)
	}
	return now, nil
}

// SessionEnded implements store.Sessions.
func (s *Store) SessionEnded(ctx context.Context, one store.Session) (ended bool, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+epoch+" IS DISTINCT FROM $1::uuid OR EXISTS (SELECT FROM audit_ended_sessions WHERE owner = $2 AND (id = $3 OR id = $4 AND began >= $5))",
			[16]byte(one.Epoch), [16]byte(one.Owner), [16]byte(one.ID), noSession, one.Began).Scan(&ended)
	})
	if err != nil {
		return false, fmt.Errorf("look up an ended session: %w", err)
	}
	return ended, nil
}

// EndSession implements store.Sessions.
func (s *Store) EndSession(ctx context.Context, one store.Session) error {
	err := s.call(ctx, func(ctx context.Context) error {
		return s.durably(ctx, func(tx pgx.Tx) error { return s.endSession(ctx, tx, one) })
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

func (s *Store) endSession(ctx context.Context, tx pgx.Tx, one store.Session) error {
	// One after the other, so that the bounds hold.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('audit_ended_sessions'))"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM audit_ended_sessions WHERE expires <= $1", s.now()); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO audit_ended_sessions (owner, id, began, expires) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		[16]byte(one.Owner), [16]byte(one.ID), one.Began, one.Expires); err != nil {
		return err
	}
	var all, ofOwner int
	if err := tx.QueryRow(ctx, "SELECT count(*), count(*) FILTER (WHERE owner = $1 AND id <> $2) FROM audit_ended_sessions",
		[16]byte(one.Owner), noSession).Scan(&all, &ofOwner); err != nil {
		return err
	}
	switch {
	case all > s.endedMost:
		if _, err := tx.Exec(ctx, "DELETE FROM audit_ended_sessions"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE audit_session_epoch SET epoch = gen_random_uuid()")
		return err
	case ofOwner > store.MaxEndedSessions:
		return endSessionsOf(ctx, tx, one.Owner)
	}
	return nil
}

// endSessionsOf puts one row in the place of all of an owner's.
func endSessionsOf(ctx context.Context, tx pgx.Tx, owner store.SessionID) error {
	if _, err := tx.Exec(ctx, `INSERT INTO audit_ended_sessions (owner, id, began, expires)
		SELECT owner, $2, max(began), max(expires) FROM audit_ended_sessions WHERE owner = $1 GROUP BY owner
		ON CONFLICT (owner, id) DO NOTHING`, [16]byte(owner), noSession); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE audit_ended_sessions AS until SET began = newest.began, expires = newest.expires
		FROM (SELECT max(began) AS began, max(expires) AS expires FROM audit_ended_sessions WHERE owner = $1) AS newest
		WHERE until.owner = $1 AND until.id = $2`, [16]byte(owner), noSession); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "DELETE FROM audit_ended_sessions WHERE owner = $1 AND id <> $2", [16]byte(owner), noSession)
	return err
}
