package dashboard

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// failure is the page of a problem.
type failure struct {
	problem.Problem
	// Rights says how to get the right to read events.
	Rights bool
	// Namespace offers to look at one namespace with the filter's other
	// parameters, which Keep holds.
	Namespace bool
	Action    string // the page that the namespace is for
	Keep      []parameter
	// Again is the same page, where trying again may help.
	Again string
}

// parameter is one value of the URL.
type parameter struct{ Name, Value string }

func (d *dashboard) fail(w http.ResponseWriter, r *http.Request, user auth.User, f failure) {
	if here := r.URL.RequestURI(); f.Status >= http.StatusInternalServerError && r.Method == http.MethodGet && login.Local(here) {
		f.Again = here
	}
	f.WriteRetryAfter(w.Header())
	d.render(w, r, f.Status, "problem", page{Title: f.Title, User: user.Name, Wide: d.maySeeQuarantine(r, user), Data: f})
}

// failed answers for an error. What has gone wrong here goes to the log.
func (d *dashboard) failed(w http.ResponseWriter, r *http.Request, user auth.User, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	p := problem.Of(err)
	// Refused reads are counted; a line for each would let a client fill the log.
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, store.ErrBusy) {
		d.Log.Error(err, "Could not serve a page", "path", r.URL.Path, "user", user.Name)
	}
	d.fail(w, r, user, failure{Problem: p})
}

// refused answers for an error of a page's scope: it says how to get rights, and
// offers to look at one namespace on the page of a path, the list's where it is
// empty, with the parameters to keep. It shows nothing but what the caller sent.
func (d *dashboard) refused(w http.ResponseWriter, r *http.Request, user auth.User, err error, action string, keep []parameter) {
	if !errors.Is(err, auth.ErrForbidden) && !errors.Is(err, auth.ErrNamespaceNeeded) {
		d.failed(w, r, user, err)
		return
	}
	page := failure{Problem: problem.Of(err), Rights: true, Namespace: true, Action: action}
	for _, p := range keep {
		if p.Name != string(query.ByNamespace) {
			page.Keep = append(page.Keep, p)
		}
	}
	d.fail(w, r, user, page)
}

// notFound is the one answer to what does not exist and to what the caller may
// not see.
func (d *dashboard) notFound(w http.ResponseWriter, r *http.Request, user auth.User) {
	d.failed(w, r, user, store.ErrNotFound)
}

// itemScope is the scope of a page of one thing, with the namespaces that its
// link names. If it returns false it has answered.
func (d *dashboard) itemScope(w http.ResponseWriter, r *http.Request, user auth.User) (query.Scope, []string, bool) {
	scope, namespaces, err := d.scopeOfItem(r, user)
	if err != nil {
		d.failed(w, r, user, err)
	}
	return scope, namespaces, err == nil
}

// scopeOfItem is the scope of one thing, whose link may name namespaces and
// nothing else. To those who may not see it there is nothing.
func (d *dashboard) scopeOfItem(r *http.Request, user auth.User) (query.Scope, []string, error) {
	namespaces, err := itemNamespaces(r)
	if err != nil {
		return query.Scope{}, nil, err
	}
	scope, err := d.Auth.Scope(r.Context(), user, namespaces...)
	if errors.Is(err, auth.ErrForbidden) || errors.Is(err, auth.ErrNamespaceNeeded) {
		err = store.ErrNotFound
	}
	return scope, namespaces, err
}

// itemNamespaces are those that the address of a page of one thing names. Its
// error is a *query.FieldError.
func itemNamespaces(r *http.Request) ([]string, error) {
	values, err := readValues(r)
	if err != nil {
		return nil, err
	}
	namespaces := namedNamespaces(values)
	return namespaces, noMore(values, string(query.ByNamespace))
}

// namedNamespaces removes the namespaces that an address names, and returns
// them in their canonical form.
func namedNamespaces(values url.Values) []string {
	name := string(query.ByNamespace)
	named := slices.DeleteFunc(values[name], func(n string) bool { return n == "" })
	delete(values, name)
	return query.Canonical(name, named)
}

// noMore refuses a parameter that a page has not read.
func noMore(values url.Values, known ...string) error {
	if names := slices.Sorted(maps.Keys(values)); len(names) > 0 {
		return &query.FieldError{Field: names[0], Problem: "is no parameter of this page; use " + strings.Join(known, " or ")}
	}
	return nil
}

// namespaceOf is what the link to a thing of a namespace ends with for those
// whose rights are limited, so that it needs one answer about rights alone.
func namespaceOf(scope query.Scope, namespace string) string {
	if scope.IsClusterWide() || namespace == "" {
		return ""
	}
	return "?" + encode(parameter{string(query.ByNamespace), namespace})
}
