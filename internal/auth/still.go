package auth

import (
	"context"
	"errors"

	"github.com/porter-dev/audit-operator/internal/query"
)

// askedByName is how many namespaces are asked about one by one while an answer
// is sent; more are looked for among all, which their owner's other requests
// share.
const askedByName = 16

// Still returns nil where the user may still see all that a scope covers, which
// Scope returned a while ago. Its errors are those of Scope.
func (a *Auth) Still(ctx context.Context, user User, scope query.Scope) error {
	now, err := a.scopeAgain(ctx, user, scope)
	switch {
	case err != nil:
		return err
	case !scope.Within(now):
		return ErrForbidden
	}
	return nil
}

func (a *Auth) scopeAgain(ctx context.Context, user User, scope query.Scope) (query.Scope, error) {
	_, names := scope.Namespaces()
	if len(names) <= askedByName {
		return a.Scope(ctx, user, names...)
	}
	now, err := a.Scope(ctx, user)
	if errors.Is(err, ErrNamespaceNeeded) {
		return a.Scope(ctx, user, names...)
	}
	return now, err
}
