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
	kind  Look
}

// Look is how what was shown is recorded.
type Look int

// The kinds of looks.
const (
	// Once is a look of its own.
	Once Look = iota
	// Ongoing goes on from a look before, as the live tail does.
	Ongoing
	// Elsewhere is recorded in another way.
	Elsewhere
)

type noteKey struct{}

// WithNote returns a context in which Scope notes what it allows.
func WithNote(ctx context.Context) (context.Context, *Note) {
	note := &Note{}
	return context.WithValue(ctx, noteKey{}, note), note
}

// Seen returns who was let see what, and how that is recorded. The scope is zero
// where nothing was allowed.
func (n *Note) Seen() (User, query.Scope, Look) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.user, n.scope, n.kind
}

// LookIs says of what kind a request's look is, which is Once otherwise.
func LookIs(ctx context.Context, kind Look) {
	if n, ok := ctx.Value(noteKey{}).(*Note); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.kind = kind
	}
}

func noted(ctx context.Context, user User, scope query.Scope) {
	if n, ok := ctx.Value(noteKey{}).(*Note); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.user, n.scope = user, scope
	}
}
