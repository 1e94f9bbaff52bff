package auth

import (
	"context"
	"sync"

	"github.com/porter-dev/audit-operator/internal/query"
)

// Note says what a request's caller was let see: Scope writes it. It is safe for
// concurrent use.
type Note struct {
	mu    sync.Mutex
	user  User
	scope query.Scope
	quiet bool
}

type noteKey struct{}

// WithNote returns a context in which Scope notes what it allows.
func WithNote(ctx context.Context) (context.Context, *Note) {
	note := &Note{}
	return context.WithValue(ctx, noteKey{}, note), note
}

// Seen returns who was let see what, and whether that is a look of its own; it
// is none where nothing was allowed.
func (n *Note) Seen() (User, query.Scope, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.user, n.scope, !n.quiet && !n.scope.IsZero()
}

// Quiet says that what a request shows is no look of its own: it is recorded in
// another way, or goes on from one that was.
func Quiet(ctx context.Context) {
	if n, ok := ctx.Value(noteKey{}).(*Note); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.quiet = true
	}
}

func noted(ctx context.Context, user User, scope query.Scope) {
	if n, ok := ctx.Value(noteKey{}).(*Note); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.user, n.scope = user, scope
	}
}
