package dashboard

import (
	"context"
	"errors"
	"net/http"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A problem is a page that says what went wrong, in words that give nothing away.
type problem struct {
	Status int
	Title  string
	Text   string
	Items  []string // what is wrong, one by one
	// Rights says how to get the right to read events.
	Rights bool
	// Namespace offers to look at one namespace with the filter's other
	// parameters, which Keep holds.
	Namespace bool
	Keep      []parameter
}

// parameter is one value of the URL.
type parameter struct{ Name, Value string }

func (d *dashboard) fail(w http.ResponseWriter, r *http.Request, user auth.User, p problem) {
	d.render(w, r, p.Status, "problem", page{Title: p.Title, User: user.Name, Data: p})
}

// notFound is the one answer to what does not exist and to what the caller may
// not see.
func (d *dashboard) notFound(w http.ResponseWriter, r *http.Request, user auth.User) {
	d.fail(w, r, user, problem{Status: http.StatusNotFound, Title: "Not found",
		Text: "There is nothing here, or nothing that you may see. If you may read the events of one namespace only, the link must end with ?namespace= and its name."})
}

// broken answers for a part of the system that gave no answer. The details go
// to the log only.
func (d *dashboard) broken(w http.ResponseWriter, r *http.Request, user auth.User, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	d.Log.Error(err, "Could not serve a page", "path", r.URL.Path, "user", user.Name)
	p := problem{Status: http.StatusInternalServerError, Title: "Something went wrong",
		Text: "The events could not be read. The operator's log says why."}
	for _, passing := range []error{store.ErrUnavailable, store.ErrOverloaded, store.ErrClosed, context.DeadlineExceeded} {
		if errors.Is(err, passing) {
			p = problem{Status: http.StatusServiceUnavailable, Title: "Not available now",
				Text: "The events can't be read at the moment, or it takes too long. Try again shortly, or with a shorter time range."}
		}
	}
	d.fail(w, r, user, p)
}

// unreachable answers when the API server can't say who the caller is or what
// it may see.
func (d *dashboard) unreachable(w http.ResponseWriter, r *http.Request, user auth.User, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	d.Log.Error(err, "Could not ask the API server about a caller", "path", r.URL.Path, "user", user.Name)
	d.fail(w, r, user, problem{Status: http.StatusServiceUnavailable, Title: "Not available now",
		Text: "Your rights can't be checked at the moment, so nothing is shown. Try again shortly."})
}

// scope returns what the user may see: everything or, without that right, the
// namespace. Without either its error is auth.ErrForbidden.
func (d *dashboard) scope(ctx context.Context, user auth.User, namespace string) (query.Scope, error) {
	scope, err := d.Auth.ScopeFor(ctx, user, d.Cluster, "")
	if errors.Is(err, auth.ErrForbidden) && namespace != "" {
		return d.Auth.ScopeFor(ctx, user, d.Cluster, namespace)
	}
	return scope, err
}

// itemScope is the scope of a page of one thing, whose link names a namespace
// for those who may see no more. If it returns false it has answered.
func (d *dashboard) itemScope(w http.ResponseWriter, r *http.Request, user auth.User) (query.Scope, bool) {
	scope, err := d.scope(r.Context(), user, r.URL.Query().Get("namespace"))
	switch {
	case err == nil:
		return scope, true
	case errors.Is(err, auth.ErrForbidden):
		d.notFound(w, r, user)
	default:
		d.unreachable(w, r, user, err)
	}
	return query.Scope{}, false
}

// readFailed answers for a thing that could not be read.
func (d *dashboard) readFailed(w http.ResponseWriter, r *http.Request, user auth.User, err error) {
	if errors.Is(err, store.ErrNotFound) {
		d.notFound(w, r, user)
		return
	}
	d.broken(w, r, user, err)
}

// namespaceQuery is what links within a namespaced scope end with.
func namespaceQuery(scope query.Scope) string {
	if _, namespace, ok := scope.Namespace(); ok {
		return "?" + encode(parameter{"namespace", namespace})
	}
	return ""
}
