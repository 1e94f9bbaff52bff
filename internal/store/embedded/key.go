package embedded

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Key implements store.Store.
func (s *Store) Key() audit.Key { return *s.key.Load() }

// loadKey reads the store's key, and makes it in one that has none.
func (s *Store) loadKey(ctx context.Context) error {
	var stored []byte
	err := s.writer.conn.QueryRowContext(ctx, "SELECT key FROM secret_key").Scan(&stored)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		var key audit.Key
		_, _ = rand.Read(key[:]) // never fails
		return s.writeKey(key)
	case err != nil:
		return fmt.Errorf("read the store's key: %w", err)
	case len(stored) != len(audit.Key{}):
		return fmt.Errorf("read the store's key: it has %d bytes, not %d", len(stored), len(audit.Key{}))
	}
	key := audit.Key(stored)
	s.key.Store(&key)
	return nil
}

func (s *Store) writeKey(key audit.Key) error {
	w := &s.writer
	if err := w.inTransaction(func() error {
		return errors.Join(w.bulk.run("DELETE FROM secret_key"), w.bulk.exec("INSERT INTO secret_key VALUES (from_hex($1))", hex.EncodeToString(key[:])))
	}); err != nil {
		return fmt.Errorf("write the store's key: %w", err)
	}
	s.key.Store(&key)
	return nil
}

// ImportKey implements store.Holdings.
func (s *Store) ImportKey(ctx context.Context, key audit.Key) error {
	if err := s.calls.Enter(); err != nil {
		return fmt.Errorf("import the key: %w", err)
	}
	defer s.calls.Leave()
	var failure error
	j := &job{run: func() { failure = s.importKey(context.WithoutCancel(ctx), key) }}
	if err := s.commit(ctx, j); err != nil {
		return fmt.Errorf("import the key: %w", err)
	}
	switch {
	case failure == nil:
		return nil
	case errors.Is(failure, store.ErrOtherKey):
		return failure
	}
	return fmt.Errorf("import the key: %w: %w", store.ErrUnavailable, failure)
}

// importKey is called by the committer, so that no event comes between.
func (s *Store) importKey(ctx context.Context, key audit.Key) error {
	if s.Key() == key {
		return nil
	}
	if err := s.restore(ctx); err != nil {
		return err
	}
	for day := range s.writer.sizes {
		var some bool
		if err := s.writer.conn.QueryRowContext(ctx, "SELECT EXISTS (FROM "+tableOf(day)+")").Scan(&some); err != nil {
			return err
		}
		if some {
			return store.ErrOtherKey
		}
	}
	return s.writeKey(key)
}
