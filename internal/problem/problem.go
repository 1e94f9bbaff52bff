// Package problem turns errors into what callers are told: a status, and words
// that say what to do next and give nothing away. Pages show it, the API sends
// it as RFC 9457 has it.
package problem

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Kind names what is wrong, for programs. It never changes its meaning.
type Kind string

// The kinds. docs/spec/api.md says what to do about each.
const (
	Internal         Kind = "internal"
	Invalid          Kind = "invalid"
	Unauthenticated  Kind = "unauthenticated"
	Forbidden        Kind = "forbidden"
	NamespaceNeeded  Kind = "namespace-needed"
	CrossOrigin      Kind = "cross-origin"
	NotFound         Kind = "not-found"
	MethodNotAllowed Kind = "method-not-allowed"
	TooLarge         Kind = "too-large"
	Unavailable      Kind = "unavailable"
	TooManyRequests  Kind = "too-many-requests"
)

// Kinds lists the kinds.
var Kinds = []Kind{
	Internal, Invalid, Unauthenticated, Forbidden, NamespaceNeeded, CrossOrigin, NotFound, MethodNotAllowed, TooLarge, Unavailable,
	TooManyRequests,
}

// Type returns the kind as RFC 9457's type, a URN.
func (k Kind) Type() string { return "urn:audit-operator:problem:" + string(k) }

// Problem is what a caller is told. It is an error, which Of returns as it is.
type Problem struct {
	Kind   Kind
	Status int // of HTTP
	Title  string
	Detail string
	Fields []Field // what is wrong with the question, one by one
	// RetryAfter is how long to wait where trying again may help; else 0.
	RetryAfter time.Duration
}

// retryAfter is how long to wait for what passes by itself.
const retryAfter = 5 * time.Second

// WriteRetryAfter adds the header Retry-After where trying again may help.
func (p Problem) WriteRetryAfter(h http.Header) {
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.RetryAfter/time.Second)))
	}
}

// Field is a parameter that is wrong.
type Field struct {
	Name   string // empty where no one parameter is wrong
	Value  string // what was given; may be empty
	Reason string // what is allowed
}

func (p Problem) Error() string { return p.Title + ": " + p.Detail }

// InvalidFields is the problem of a question with these fields.
func InvalidFields(fields ...Field) Problem {
	return Problem{Kind: Invalid, Status: http.StatusBadRequest, Title: "This filter can't be read", Fields: fields,
		Detail: "Nothing is shown, because leaving out a part of the filter would show more than was asked for. Correct the address, or begin without a filter."}
}

// Of returns the problem that an error is: a Problem, or an error of the
// packages query, auth, login, store, export and selfaudit. What it does not
// know is an internal error, whose text stays inside.
func Of(err error) Problem {
	var known Problem
	var wrong *query.FieldError
	var refused *login.Refused
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &refused):
		return Problem{Kind: Unauthenticated, Status: http.StatusUnauthorized, Title: "Not signed in", Detail: refused.Reason}
	case errors.As(err, &wrong), errors.Is(err, query.ErrCursor):
		return InvalidFields(fields(err)...)
	case errors.Is(err, auth.ErrUnauthenticated):
		return Problem{Kind: Unauthenticated, Status: http.StatusUnauthorized, Title: "Not signed in",
			Detail: "The API server does not accept the token of this request, or there is none. It may have expired. Send one as: Authorization: Bearer <token>"}
	case errors.Is(err, auth.ErrNamespaceNeeded):
		return Problem{Kind: NamespaceNeeded, Status: http.StatusForbidden, Title: "Name a namespace",
			Detail: "You lack the right to read the events of all namespaces, and there are too many to look for those that you may read. Name the one that you want to see."}
	case errors.Is(err, auth.ErrQuarantine):
		return Problem{Kind: Forbidden, Status: http.StatusForbidden, Title: "You may not see the quarantine",
			Detail: "It holds what every source sent and no event could be made of. The right to it is get on auditsources/quarantine, for the whole cluster."}
	case errors.Is(err, auth.ErrDeleteSnapshot):
		return Problem{Kind: Forbidden, Status: http.StatusForbidden, Title: "You may not delete this snapshot",
			Detail: "You lack the right to delete on auditlogqueries/snapshots, in the snapshot's namespace or, for one of the whole cluster, everywhere."}
	case errors.Is(err, auth.ErrForbidden):
		return Problem{Kind: Forbidden, Status: http.StatusForbidden, Title: "You may not see these events",
			Detail: "You lack the right to read the events of a namespace that you ask for, or of any if you name none."}
	case errors.Is(err, export.ErrCrossSite):
		return Problem{Kind: CrossOrigin, Status: http.StatusForbidden, Title: "Request refused",
			Detail: "A page of another site led here, and no other site may have you take events away. Open the link on the dashboard itself, or put its address into the browser."}
	case errors.Is(err, store.ErrNotFound):
		return Problem{Kind: NotFound, Status: http.StatusNotFound, Title: "Not found",
			Detail: "There is nothing here, or nothing that you may see."}
	}
	switch {
	case errors.Is(err, selfaudit.ErrNotRecorded):
		return Problem{Kind: Unavailable, Status: http.StatusServiceUnavailable, Title: "Not available now", RetryAfter: retryAfter,
			Detail: "That you take these events away has to be recorded, and the record can't be stored at the moment, so nothing was sent. Try again shortly."}
	case errors.Is(err, export.ErrYourOthers):
		return Problem{Kind: TooManyRequests, Status: http.StatusTooManyRequests, Title: "Too many exports at once", RetryAfter: export.RetryAfter,
			Detail: "As many of your exports run now as may at once. Wait until one of them has ended."}
	case errors.Is(err, export.ErrBusy):
		return Problem{Kind: Unavailable, Status: http.StatusServiceUnavailable, Title: "Too many exports at once", RetryAfter: export.RetryAfter,
			Detail: "As many exports run now as may at once. Try again shortly."}
	}
	if errors.Is(err, store.ErrBusy) {
		return Problem{Kind: Unavailable, Status: http.StatusServiceUnavailable, Title: "Too many questions at once", RetryAfter: retryAfter,
			Detail: "As many questions are answered and wait now as may at once. Try again shortly; one about a shorter time range, or without a search, is answered sooner."}
	}
	// Before the time that ran out: an answer that the API server owes has it too.
	if errors.Is(err, auth.ErrNoAnswer) {
		return Problem{Kind: Unavailable, Status: http.StatusServiceUnavailable, Title: "Not available now", RetryAfter: retryAfter,
			Detail: "Your rights can't be checked at the moment, so nothing is shown. Try again shortly."}
	}
	for _, passing := range []error{store.ErrUnavailable, store.ErrOverloaded, store.ErrClosed, context.DeadlineExceeded} {
		if errors.Is(err, passing) {
			return Problem{Kind: Unavailable, Status: http.StatusServiceUnavailable, Title: "Not available now", RetryAfter: retryAfter,
				Detail: "The events can't be read at the moment, or it takes too long. Try again shortly, or with a shorter time range."}
		}
	}
	return Problem{Kind: Internal, Status: http.StatusInternalServerError, Title: "Something went wrong",
		Detail: "The events could not be read. The operator's log says why."}
}

// fields takes the errors that errors.Join has joined apart.
func fields(err error) []Field {
	var wrong *query.FieldError
	var joined interface{ Unwrap() []error }
	switch {
	case errors.As(err, &joined):
		var all []Field
		for _, e := range joined.Unwrap() {
			all = append(all, fields(e)...)
		}
		return all
	case errors.As(err, &wrong):
		return []Field{{Name: wrong.Field, Value: wrong.Value, Reason: wrong.Problem}}
	}
	return []Field{{Reason: err.Error()}}
}

// String says what is wrong with a field in one line.
func (f Field) String() string {
	if f.Name == "" {
		return f.Reason
	}
	return (&query.FieldError{Field: f.Name, Value: f.Value, Problem: f.Reason}).Error()
}
