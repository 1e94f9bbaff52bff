package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/query"
)

const (
	// MaxNamespaces is how many namespaces are looked at for a caller that names
	// none.
	MaxNamespaces = 500
	// reviewsAtOnce bounds what one caller asks of the API server at once, and
	// allReviewsAtOnce what all do.
	reviewsAtOnce    = 16
	allReviewsAtOnce = 64
	// lookedAtEvery bounds what a caller that asks all the time costs: ten
	// namespaces a second are looked at for new rights. Up to 100 namespaces a
	// new right is found as soon as a named one, of 500 after 50 seconds.
	lookedAtEvery = 100 * time.Millisecond
	// findsKept bounds the memory of what was found, whatever callers there are.
	findsKept = 1024
)

// found is what was found out about a caller: the namespaces that it may read,
// each asked about within answersLast, and when the cluster is searched for
// others again.
type found struct {
	allowed []query.Namespace
	next    time.Time // when to search again
}

// allScopes returns the scope of every namespace that the user may read.
func (a *Auth) allScopes(ctx context.Context, user User) (query.Scope, error) {
	k, err := keyOf(user.review())
	if err != nil {
		return query.Scope{}, err
	}
	all, err := a.finds.get(ctx, k, func(ctx context.Context, before found) (found, error) { return a.find(ctx, user, before) })
	if err != nil {
		return query.Scope{}, err
	}
	if len(all.allowed) == 0 {
		return query.Scope{}, ErrForbidden
	}
	return query.SinceCreation(a.opts.Cluster, all.allowed...), nil
}

// find asks anew about the namespaces that the user was allowed, and now and
// then about all.
func (a *Auth) find(ctx context.Context, user User, before found) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	now := a.opts.Now()
	candidates, err := a.candidates.get(ctx, key{}, func(ctx context.Context, _ []query.Namespace) ([]query.Namespace, error) {
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		return a.opts.Namespaces(ctx)
	})
	if err != nil {
		return found{}, fmt.Errorf("list the namespaces: %w: %w", ErrNoAnswer, err)
	}
	if slices.ContainsFunc(candidates, func(n query.Namespace) bool { return n.Since.IsZero() }) {
		return found{}, fmt.Errorf("list the namespaces: %w: one has no creationTimestamp", ErrNoAnswer)
	}
	if len(candidates) > MaxNamespaces {
		return found{}, ErrNamespaceNeeded
	}
	next := now.Add(time.Duration(len(candidates)) * lookedAtEvery)
	if now.Before(before.next) {
		// One that was made anew under its name is another namespace.
		candidates, next = slices.DeleteFunc(slices.Clone(candidates), func(n query.Namespace) bool {
			return !slices.ContainsFunc(before.allowed, func(b query.Namespace) bool { return b.Name == n.Name })
		}), before.next
	}
	allowed, err := a.allowedOf(ctx, user, candidates)
	return found{allowed, next}, err
}

// allowedOf returns those of the namespaces that the user may read, in any
// order. One that gets no answer fails all: what is left out must be forbidden.
func (a *Auth) allowedOf(ctx context.Context, user User, namespaces []query.Namespace) ([]query.Namespace, error) {
	var mu sync.Mutex
	var allowed []query.Namespace
	reviews, ctx := errgroup.WithContext(ctx)
	reviews.SetLimit(reviewsAtOnce)
	for _, namespace := range namespaces {
		reviews.Go(func() error {
			if err := a.reviews.Acquire(ctx, 1); err != nil {
				return fmt.Errorf("review the rights of %q: %w: %w", user.Name, ErrNoAnswer, err)
			}
			defer a.reviews.Release(1)
			err := ask(ctx, a.opts.Finder, user.reviewOf(namespace.Name))
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
	err := reviews.Wait() // before anything of allowed is read
	return allowed, err
}
