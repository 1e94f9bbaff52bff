package postgres

import (
	"context"
)

// call runs fn, which uses the pool, within the statement timeout.
func (s *Store) call(ctx context.Context, fn func(ctx context.Context) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	limited, cancel := context.WithTimeout(ctx, s.opts.StatementTimeout)
	defer cancel()
	err := fn(limited)
	// The driver reports a cancelled statement in its own words.
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return s.target.explain(err)
}
