// Package auth asks the Kubernetes API server who a caller is and what it may
// see. It decides nothing itself and never lends a caller the operator's own
// rights: whatever is not answered with a clear yes is an error.
//
// Every lookup is by the caller's own token (TokenReview), or by the user that
// log-in found it to be (SubjectAccessReview).
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	// Namespaces returns the cluster's namespaces, among which those that a caller
	// may read are looked for. It need not return more than one above
	// MaxNamespaces. It is called every ten seconds at most.
	Namespaces func(context.Context) ([]query.Namespace, error)
	// Created returns when a namespace was created, or the API
	// server's NotFound (default: the client of New, which then needs the right to
	// get namespaces). It is called every ten seconds at most for a name.
	Created func(ctx context.Context, namespace string) (time.Time, error)
	// Finder asks about each of those namespaces (default: the client of New).
	// With a limit of its own it can't keep others waiting who name what they
	// want to see.
	Finder kubernetes.Interface
	// Strangers asks about tokens that were not good yet (default: the client of
	// New). With a limit of its own, who makes tokens up can't keep those waiting
	// who are signed in.
	Strangers kubernetes.Interface
	// Now is the clock of the caches (default time.Now).
	Now func() time.Time
}

// Auth answers who a caller is and what it may see. It is safe for concurrent use.
type Auth struct {
	client     kubernetes.Interface
	opts       Options
	tokens     *cache[User] // that were good when they were last asked about
	strangers  *cache[User] // apart, so that no made-up token pushes another out
	known      *known
	rights     *cache[struct{}]
	candidates *cache[[]query.Namespace]
	created    *cache[time.Time]
	finds      *cache[found] // apart, so that looking at many pushes no other answer out
	reviews    *semaphore.Weighted
}

// New returns an Auth that asks the API server of client. The client needs the
// right to create tokenreviews and subjectaccessreviews, and without
// Options.Created to get namespaces, no more.
func New(client kubernetes.Interface, opts Options) *Auth {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Finder == nil {
		opts.Finder = client
	}
	if opts.Strangers == nil {
		opts.Strangers = client
	}
	if opts.Created == nil {
		opts.Created = func(ctx context.Context, namespace string) (time.Time, error) {
			found, err := client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
			if err != nil {
				return time.Time{}, err
			}
			return found.CreationTimestamp.Time, nil
		}
	}
	return &Auth{
		client:     client,
		opts:       opts,
		tokens:     newCache[User](opts.Now, answersLast, answersKept, ErrUnauthenticated),
		strangers:  newCache[User](opts.Now, answersLast, answersKept, ErrUnauthenticated),
		known:      newKnown(),
		rights:     newCache[struct{}](opts.Now, answersLast, answersKept, ErrForbidden),
		candidates: newCache[[]query.Namespace](opts.Now, answersLast, 1, nil),
		created:    newCache[time.Time](opts.Now, answersLast, answersKept, ErrForbidden),
		finds:      newCache[found](opts.Now, answersLast, findsKept, nil),
		reviews:    semaphore.NewWeighted(allReviewsAtOnce),
	}
}

// Authenticate returns the user of a bearer token, or ErrUnauthenticated, or
// ErrNoAnswer. The answer may be up to ten seconds old. The token is in no error.
func (a *Auth) Authenticate(ctx context.Context, token string) (User, error) {
	if token == "" {
		return User{}, ErrUnauthenticated
	}
	// The key is a hash, so that the cache holds nothing that could be used.
	k := key(sha256.Sum256([]byte(token)))
	if a.known.has(k) {
		return a.tokens.get(ctx, k, func(ctx context.Context, _ User) (User, error) {
			user, err := owner(ctx, a.client, token)
			if errors.Is(err, ErrUnauthenticated) {
				a.known.remove(k)
			}
			return user, err
		})
	}
	return a.strangers.get(ctx, k, func(ctx context.Context, _ User) (User, error) {
		asked := a.opts.Now()
		user, err := owner(ctx, a.opts.Strangers, token)
		if err == nil {
			a.tokens.keep(k, user, asked)
			a.known.add(k)
		}
		return user, err
	})
}

// owner has the API server review a token.
func owner(ctx context.Context, client kubernetes.Interface, token string) (User, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review, err := client.AuthenticationV1().TokenReviews().Create(ctx,
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
}

// check refuses users that stand for nobody: rights given to them are not
// meant for a person's eyes. Names that are no UTF-8 would reach the API server
// as others.
func (u User) check() error {
	valid := utf8.ValidString(u.Name) && utf8.ValidString(u.UID) && !slices.ContainsFunc(u.Groups, func(g string) bool { return !utf8.ValidString(g) })
	if !valid || u.Name == "" || u.Name == anonymous || slices.Contains(u.Groups, unauthenticated) {
		return ErrUnauthenticated
	}
	return nil
}

// review is a review of the user's rights with all that the API server may
// judge by, and as yet without what it asks about.
func (u User) review() authorizationv1.SubjectAccessReviewSpec {
	spec := authorizationv1.SubjectAccessReviewSpec{User: u.Name, UID: u.UID, Groups: u.Groups, Extra: map[string]authorizationv1.ExtraValue{}}
	for k, v := range u.Extra {
		spec.Extra[k] = v
	}
	return spec
}

// reviewOf asks for the right to read the events of a namespace, or of all.
func (u User) reviewOf(namespace string) authorizationv1.SubjectAccessReviewSpec {
	spec := u.review()
	spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: Verb, Group: Group, Resource: Resource, Subresource: Subresource,
	}
	return spec
}

// keyOf is the key of a review: all of what is asked.
func keyOf(spec authorizationv1.SubjectAccessReviewSpec) (key, error) {
	whole, err := json.Marshal(spec)
	if err != nil {
		return key{}, fmt.Errorf("review the rights of %q: %w", spec.User, err)
	}
	return sha256.Sum256(whole), nil
}

// Scope returns what the user may see of the events of the namespaces that it
// asks for, as a filter names them, or of all where it names none: everything with cluster-wide rights,
// else the events of namespaces in the operator's own cluster, of each since it
// was created. It fails with ErrForbidden where the user lacks the right to one of the namespaces, or to
// any if none is named; with ErrNamespaceNeeded where none is named and the
// cluster has too many to look at each; with ErrUnauthenticated for a user that
// Authenticate would not return; and with ErrNoAnswer.
//
// No yes is older than ten seconds, and no answer about a namespace that is
// named. Where none is named, a right that is new may be found later, in
// clusters of more than 100 namespaces: see lookedAtEvery.
func (a *Auth) Scope(ctx context.Context, user User, namespaces ...string) (query.Scope, error) {
	scope, err := a.scope(ctx, user, namespaces)
	if err == nil {
		noted(ctx, user, scope)
	}
	return scope, err
}

func (a *Auth) scope(ctx context.Context, user User, namespaces []string) (query.Scope, error) {
	if err := user.check(); err != nil {
		return query.Scope{}, err
	}
	err := a.may(ctx, user.reviewOf(""))
	switch {
	case err == nil:
		return query.ClusterWide(), nil
	case !errors.Is(err, ErrForbidden):
		return query.Scope{}, err
	case len(namespaces) == 0:
		return a.allScopes(ctx, user)
	}
	allowed := make([]query.Namespace, 0, len(namespaces))
	for _, namespace := range namespaces {
		none := namespace == query.NoNamespace
		namespace = query.Exact(namespace)
		if none || namespace == "" {
			return query.Scope{}, ErrForbidden
		}
		if err := a.may(ctx, user.reviewOf(namespace)); err != nil {
			return query.Scope{}, err
		}
		since, err := a.since(ctx, namespace)
		if err != nil {
			return query.Scope{}, err
		}
		allowed = append(allowed, query.Namespace{Name: namespace, Since: since})
	}
	return query.SinceCreation(a.opts.Cluster, allowed...), nil
}

// since returns when a namespace was created, or knows it still. What an earlier
// one of its name saw is not for who has rights in this one, so without an
// answer nothing is shown. One that does not exist is nobody's.
func (a *Auth) since(ctx context.Context, namespace string) (time.Time, error) {
	return a.created.get(ctx, sha256.Sum256([]byte(namespace)), func(ctx context.Context, _ time.Time) (time.Time, error) {
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		created, err := a.opts.Created(ctx, namespace)
		switch {
		case apierrors.IsNotFound(err):
			return time.Time{}, ErrForbidden
		case err != nil:
			return time.Time{}, fmt.Errorf("look up the namespace %q: %w: %w", namespace, ErrNoAnswer, err)
		case created.IsZero():
			return time.Time{}, fmt.Errorf("look up the namespace %q: %w: it has no creationTimestamp", namespace, ErrNoAnswer)
		}
		return created, nil
	})
}

// ErrQuarantine means that the user may not see what is in quarantine. It is an
// ErrForbidden.
var ErrQuarantine = fmt.Errorf("%w: the quarantine", ErrForbidden)

// MaySeeQuarantine returns nil where the user may see what could not become an
// event, of every source: by get on the virtual subresource
// auditsources/quarantine, for the whole cluster. No other right stands for it.
// Its errors are ErrQuarantine and those of Scope, and its answer is as old as
// that of Scope may be.
func (a *Auth) MaySeeQuarantine(ctx context.Context, user User) error {
	if err := user.check(); err != nil {
		return err
	}
	spec := user.review()
	spec.ResourceAttributes = &authorizationv1.ResourceAttributes{Verb: Verb, Group: Group, Resource: "auditsources", Subresource: "quarantine"}
	err := a.may(ctx, spec)
	if errors.Is(err, ErrForbidden) {
		return fmt.Errorf("%w (%w)", ErrQuarantine, err)
	}
	if err == nil {
		noted(ctx, user, query.ClusterWide()) // it is of every source
	}
	return err
}

// ErrDeleteSnapshot means that the user may not delete a snapshot. It is an
// ErrForbidden.
var ErrDeleteSnapshot = fmt.Errorf("%w: deleting a snapshot", ErrForbidden)

// MayDeleteSnapshot returns nil where the user may delete the snapshots of a
// namespace of the operator's own cluster, or of everything where it is empty: by
// delete on the virtual subresource auditlogqueries/snapshots. The right to write
// queries does not stand for it. Its errors are ErrDeleteSnapshot and those of
// Scope, and its answer is as old as that of Scope may be.
func (a *Auth) MayDeleteSnapshot(ctx context.Context, user User, cluster, namespace string) error {
	if err := user.check(); err != nil {
		return err
	}
	if cluster != a.opts.Cluster {
		namespace = "" // whose rights say nothing about another cluster
	}
	spec := user.review()
	spec.ResourceAttributes = &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "delete", Group: Group, Resource: Resource, Subresource: "snapshots"}
	err := a.may(ctx, spec)
	if errors.Is(err, ErrForbidden) {
		return fmt.Errorf("%w (%w)", ErrDeleteSnapshot, err)
	}
	return err
}

// MayGet returns nil where the user may get a path that is no resource's, such
// as /metrics. Its errors, and how old its answer may be, are those of Scope.
func (a *Auth) MayGet(ctx context.Context, user User, path string) error {
	if err := user.check(); err != nil {
		return err
	}
	spec := user.review()
	spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: Verb, Path: path}
	return a.may(ctx, spec)
}

// may asks whether the user may do something, or knows it still.
func (a *Auth) may(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) error {
	k, err := keyOf(spec)
	if err != nil {
		return err
	}
	_, err = a.rights.get(ctx, k, func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		return struct{}{}, ask(ctx, a.client, spec)
	})
	return err
}

// ask has the API server review a right. Only a clear yes is nil.
func ask(ctx context.Context, client kubernetes.Interface, spec authorizationv1.SubjectAccessReviewSpec) error {
	review, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("review the rights of %q: %w: %w", spec.User, ErrNoAnswer, err)
	}
	switch {
	case review.Status.Allowed && !review.Status.Denied:
		return nil
	case !review.Status.Denied && review.Status.EvaluationError != "":
		// An authorizer could not say, and the others did not say yes: a no, and
		// its reason for the log.
		return fmt.Errorf("%w: %s", ErrForbidden, review.Status.EvaluationError)
	}
	return ErrForbidden
}
