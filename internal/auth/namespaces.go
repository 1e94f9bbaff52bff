package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/query"
)

const (
	// MaxNamespaces is how many namespaces are looked at for a caller that names
	// none.
	MaxNamespaces = 500
	// reviewsAtOnce bounds what one caller asks of the API server.
	reviewsAtOnce = 16
)

// allScopes returns the scope of every namespace that the user may read.
func (a *Auth) allScopes(ctx context.Context, user User) (query.Scope, error) {
	candidates, err := a.opts.Namespaces(ctx)
	if err != nil {
		return query.Scope{}, fmt.Errorf("list the namespaces: %w: %w", ErrNoAnswer, err)
	}
	if len(candidates) > MaxNamespaces {
		return query.Scope{}, ErrNamespaceNeeded
	}
	var mu sync.Mutex
	var allowed []string
	reviews, ctx := errgroup.WithContext(ctx)
	reviews.SetLimit(reviewsAtOnce)
	for _, namespace := range candidates {
		reviews.Go(func() error {
			err := a.mayRead(ctx, user, namespace)
			if errors.Is(err, ErrForbidden) {
				return nil
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				allowed = append(allowed, namespace)
			}
			return err
		})
	}
	if err := reviews.Wait(); err != nil {
		return query.Scope{}, err
	}
	if len(allowed) == 0 {
		return query.Scope{}, ErrForbidden
	}
	return query.InNamespaces(a.opts.Cluster, allowed...), nil
}
