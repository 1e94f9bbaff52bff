package postgres

import (
	"context"
	"errors"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Tail implements store.Reader.
func (s *Store) Tail(context.Context, query.Scope, store.TailRequest) (store.Tail, error) {
	return store.Tail{}, errors.ErrUnsupported
}
