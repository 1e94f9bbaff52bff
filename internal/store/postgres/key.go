package postgres

import (
	"context"
	"fmt"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Key implements store.Store.
func (s *Store) Key() audit.Key { return *s.key.Load() }

// loadKey reads the key that the migration has made.
func (s *Store) loadKey(ctx context.Context) error {
	var stored []byte
	if err := s.pool.QueryRow(ctx, "SELECT key FROM audit_key").Scan(&stored); err != nil {
		return fmt.Errorf("read the store's key: %w", err)
	}
	key := audit.Key(stored) // of its length, as the table says
	s.key.Store(&key)
	return nil
}

// ImportKey implements store.Holdings. A process that has the store open
// meanwhile goes on with the key that it has read, until it is started again.
func (s *Store) ImportKey(ctx context.Context, key audit.Key) error {
	var taken bool
	err := s.call(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT audit_import_key($1)", key[:]).Scan(&taken)
	})
	if err != nil {
		return fmt.Errorf("import the key: %w", err)
	}
	if !taken {
		return store.ErrOtherKey
	}
	s.key.Store(&key)
	return nil
}
