// Package auth asks the Kubernetes API server who a caller is and what it may
// see. It decides nothing itself and never lends a caller the operator's own
// rights: whatever is not answered with a clear yes is an error.
//
// Every lookup is by the caller's own token (TokenReview) or by the user that
// the API server made of it (SubjectAccessReview).
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/porter-dev/audit-operator/internal/query"
)

// Errors that callers tell apart with errors.Is. Any other error means that
// the API server gave no answer, so nothing may be shown.
var (
	// ErrUnauthenticated means that the token is nobody's, or that it is the
	// anonymous user's.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrForbidden means that the user may not read the events asked for.
	ErrForbidden = errors.New("forbidden")
)

// The virtual subresource that stands for the right to read events, so that
// kubectl auth can-i and kubectl create role understand it.
const (
	Verb        = "get"
	Group       = "audit.porter.run"
	Resource    = "auditlogqueries"
	Subresource = "events"
)

const (
	anonymous       = "system:anonymous"
	unauthenticated = "system:unauthenticated"

	// answersLast bounds how long a revoked token or right still works.
	answersLast = 10 * time.Second
	// answersKept bounds the memory of each cache, whatever callers send.
	answersKept = 4096
	// reviewTimeout bounds how long a page waits for the API server.
	reviewTimeout = 10 * time.Second
)

// User is who the API server says a token belongs to.
type User struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
}

// Options of New.
type Options struct {
	// Now is the clock of the caches (default time.Now).
	Now func() time.Time
}

// Auth answers who a caller is and what it may see. It is safe for concurrent use.
type Auth struct {
	client kubernetes.Interface
	tokens *cache[User]
	rights *cache[struct{}]
}

// New returns an Auth that asks the API server of client. The client needs the
// right to create tokenreviews and subjectaccessreviews, no more.
func New(client kubernetes.Interface, opts Options) *Auth {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Auth{
		client: client,
		tokens: newCache[User](opts.Now, answersLast, answersKept, ErrUnauthenticated),
		rights: newCache[struct{}](opts.Now, answersLast, answersKept, ErrForbidden),
	}
}

// Authenticate returns the user of a bearer token, or ErrUnauthenticated. The
// answer may be up to ten seconds old. Any other error means that the API
// server could not be asked. The token is in no error.
func (a *Auth) Authenticate(ctx context.Context, token string) (User, error) {
	if token == "" {
		return User{}, ErrUnauthenticated
	}
	// The key is a hash, so that the cache holds nothing that could be used.
	return a.tokens.get(sha256.Sum256([]byte(token)), func() (User, error) {
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		review, err := a.client.AuthenticationV1().TokenReviews().Create(ctx,
			&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		if err != nil {
			return User{}, fmt.Errorf("review a token: %w", err)
		}
		if !review.Status.Authenticated {
			return User{}, ErrUnauthenticated
		}
		u := review.Status.User
		user := User{Name: u.Username, UID: u.UID, Groups: u.Groups, Extra: map[string][]string{}}
		for k, v := range u.Extra {
			user.Extra[k] = v
		}
		return user, user.check()
	})
}

// check refuses users that stand for nobody: rights given to them are not
// meant for a person's eyes.
func (u User) check() error {
	if u.Name == "" || u.Name == anonymous || slices.Contains(u.Groups, unauthenticated) {
		return ErrUnauthenticated
	}
	return nil
}

// ScopeFor returns the scope of a namespace's events in the operator's own
// cluster, or the cluster-wide one where namespace is empty. It fails with
// ErrForbidden where the user lacks the right, with ErrUnauthenticated for a
// user that Authenticate would not return, and with another error when the API
// server could not be asked. The answer may be up to ten seconds old.
func (a *Auth) ScopeFor(ctx context.Context, user User, cluster, namespace string) (query.Scope, error) {
	if err := user.check(); err != nil {
		return query.Scope{}, err
	}
	if namespace != "" && cluster == "" {
		return query.Scope{}, errors.New("scope: the name of the operator's own cluster is not set")
	}
	if err := a.may(ctx, user, authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: Verb, Group: Group, Resource: Resource, Subresource: Subresource,
	}}); err != nil {
		return query.Scope{}, err
	}
	if namespace == "" {
		return query.ClusterWide(), nil
	}
	return query.InNamespace(cluster, namespace), nil
}

// MayGet returns nil where the user may get a path that is no resource's, such
// as /metrics. Its errors, and how old its answer may be, are those of ScopeFor.
func (a *Auth) MayGet(ctx context.Context, user User, path string) error {
	if err := user.check(); err != nil {
		return err
	}
	return a.may(ctx, user, authorizationv1.SubjectAccessReviewSpec{
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: Verb, Path: path},
	})
}

// may asks whether the user may do what the attributes say.
func (a *Auth) may(ctx context.Context, user User, spec authorizationv1.SubjectAccessReviewSpec) error {
	spec.User, spec.UID, spec.Groups, spec.Extra = user.Name, user.UID, user.Groups, map[string]authorizationv1.ExtraValue{}
	for k, v := range user.Extra {
		spec.Extra[k] = v
	}
	key, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("review the rights of %q: %w", user.Name, err)
	}
	_, err = a.rights.get(sha256.Sum256(key), func() (struct{}, error) { return struct{}{}, a.review(ctx, user, spec) })
	return err
}

func (a *Auth) review(ctx context.Context, user User, spec authorizationv1.SubjectAccessReviewSpec) error {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review, err := a.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("review the rights of %q: %w", user.Name, err)
	}
	switch {
	case review.Status.Allowed && !review.Status.Denied:
		return nil
	case !review.Status.Denied && review.Status.EvaluationError != "":
		// RBAC reports a role that it can't find here and still answers from
		// the others, so this is a no and not a failure.
		return fmt.Errorf("%w: %s", ErrForbidden, review.Status.EvaluationError)
	}
	return ErrForbidden
}
