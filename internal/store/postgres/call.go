package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// call runs fn, which uses the pool, within the statement timeout.
func (s *Store) call(ctx context.Context, fn func(ctx context.Context) error) error {
	if err := s.calls.Enter(); err != nil {
		return err
	}
	defer s.calls.Leave()
	limited, cancel := context.WithTimeout(ctx, s.opts.StatementTimeout)
	defer cancel()
	err := fn(limited)
	// The driver reports a cancelled statement in its own words.
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return s.explain(err)
}

// durably runs fn in a transaction of which a standby knows, if there is one,
// before it counts as committed.
func (s *Store) durably(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return s.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		data := conn.Conn().PgConn().CustomData()
		delete(data, unreplicated) // of what was before
		if err := pgx.BeginFunc(ctx, conn, fn); err != nil {
			return err
		}
		if data[unreplicated] != nil {
			return errUnreplicated
		}
		return nil
	})
}
