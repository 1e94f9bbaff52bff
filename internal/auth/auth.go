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

// Errors that callers tell apart with errors.Is.
var (
	// ErrNoAnswer means that the API server gave no answer, so nothing may be
	// shown.
	ErrNoAnswer = errors.New("the API server gives no answer")
	// ErrUnauthenticated means that the token is nobody's, or that it is the
	// anonymous user's.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrForbidden means that the user may not read the events asked for.
	ErrForbidden = errors.New("forbidden")
	// ErrNamespaceNeeded means that the caller must name the namespace it asks
	// about: the cluster has more than MaxNamespaces.
	ErrNamespaceNeeded = errors.New("a namespace must be named")
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
	// Cluster is the name of the operator's own cluster, which namespaced rights
	// are limited to.
	Cluster string
	// Namespaces returns the names of the cluster's namespaces, among which those
	// that a caller may read are looked for.
	Namespaces func(context.Context) ([]string, error)
	// Now is the clock of the caches (default time.Now).
	Now func() time.Time
}

// Auth answers who a caller is and what it may see. It is safe for concurrent use.
type Auth struct {
	client kubernetes.Interface
	opts   Options
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
		opts:   opts,
		tokens: newCache[User](opts.Now, answersLast, answersKept, ErrUnauthenticated),
		rights: newCache[struct{}](opts.Now, answersLast, answersKept, ErrForbidden),
	}
}

// Authenticate returns the user of a bearer token, or ErrUnauthenticated, or
// ErrNoAnswer. The answer may be up to ten seconds old. The token is in no error.
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
			return User{}, fmt.Errorf("review a token: %w: %w", ErrNoAnswer, err)
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

// Scope returns what the user may see of the events of the namespaces that it
// asks for, or of all where it names none: everything with cluster-wide rights,
// else the events of namespaces in the operator's own cluster. It fails with
// ErrForbidden where the user lacks the right to one of the namespaces, or to
// any if none is named; with ErrNamespaceNeeded where none is named and the
// cluster has too many to look at each; with ErrUnauthenticated for a user that
// Authenticate would not return; and with ErrNoAnswer. The answer may be up to ten seconds old.
func (a *Auth) Scope(ctx context.Context, user User, namespaces ...string) (query.Scope, error) {
	if err := user.check(); err != nil {
		return query.Scope{}, err
	}
	err := a.mayRead(ctx, user, "")
	switch {
	case err == nil:
		return query.ClusterWide(), nil
	case !errors.Is(err, ErrForbidden):
		return query.Scope{}, err
	case len(namespaces) == 0:
		return a.allScopes(ctx, user)
	}
	for _, namespace := range namespaces {
		if namespace == "" || namespace == query.NoNamespace {
			return query.Scope{}, ErrForbidden
		}
		if err := a.mayRead(ctx, user, namespace); err != nil {
			return query.Scope{}, err
		}
	}
	return query.InNamespaces(a.opts.Cluster, namespaces...), nil
}

// mayRead asks for the right to read the events of a namespace, or of all.
func (a *Auth) mayRead(ctx context.Context, user User, namespace string) error {
	return a.may(ctx, user, authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: Verb, Group: Group, Resource: Resource, Subresource: Subresource,
	}})
}

// MayGet returns nil where the user may get a path that is no resource's, such
// as /metrics. Its errors, and how old its answer may be, are those of Scope.
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
		return fmt.Errorf("review the rights of %q: %w: %w", user.Name, ErrNoAnswer, err)
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
