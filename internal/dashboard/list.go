package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	pageRows        = 50
	cursorParameter = "cursor"
)

type listData struct {
	Form   form
	Chips  []chip
	Window query.Window
	AsOf   time.Time
	// Only are the namespaces that the caller's rights limit the list to.
	Only    []string
	Matched int64
	Rows    []row
	First   string // the first page's address, on later pages
	Next    string // the next page's address
	Later   bool
	All     string // the list without filters
}

type row struct {
	*audit.Event
	Link string
	Type string // the resource type's display name
}

// CLI reports whether a person typed the request.
func (r row) CLI() bool { return r.Client == audit.ClientCLI }

func (d *dashboard) list(w http.ResponseWriter, r *http.Request, user auth.User) {
	filter, window, after, err := d.readList(r)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	if after == nil && hasBlank(r.URL.RawQuery) {
		// Forms send every field; the address that people copy holds what counts.
		w.Header().Set("Location", listLink(filter.Encode()))
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	scope, err := d.Auth.Scope(r.Context(), user, filter.Namespaces...)
	if errors.Is(err, auth.ErrForbidden) || errors.Is(err, auth.ErrNamespaceNeeded) {
		d.forbiddenList(w, r, user, filter, err)
		return
	}
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	view, err := d.Store.View(r.Context(), scope, store.ViewRequest{Filter: filter, Window: window, Limit: pageRows, After: after, Count: true})
	if err != nil {
		d.failed(w, r, user, err)
		return
	}

	types := d.Types()
	data := listData{
		Form: newForm(filter, types), Chips: chips(filter, displayNames(types)), Window: window, AsOf: view.AsOf,
		Rows: d.rows(view.Events, scope), Matched: view.Matched, Later: after != nil, First: listLink(filter.Encode()), All: query.AuditLogsPath,
	}
	_, data.Only = scope.Namespaces()
	if view.Next != nil {
		cursor := query.Cursor{Position: *view.Next, Window: window, FilterHash: filter.Hash()}
		data.Next = listLink(join(filter.Encode(), encode(parameter{cursorParameter, cursor.Encode()})))
	}
	d.render(w, r, http.StatusOK, "list", page{Title: "API audit logs", User: user.Name, Place: inLogs, Data: data})
}

// rows returns events with the links to them, which stay within the scope.
func (d *dashboard) rows(events []audit.Event, scope query.Scope) []row {
	names := displayNames(d.Types())
	var rows []row
	for i := range events {
		e := &events[i]
		rows = append(rows, row{Event: e, Type: nameOf(names, e.ResourceType), Link: eventsPath + e.ID.String() + namespaceOf(scope, e.Namespace)})
	}
	return rows
}

// readList reads the filter, its window and where the page starts. Its error's
// text is fit for users.
func (d *dashboard) readList(r *http.Request) (query.Filter, query.Window, *query.Position, error) {
	// Not URL.Query, which leaves out what it can't read.
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query.Filter{}, query.Window{}, nil, &query.FieldError{Field: "the address", Problem: "has a part that is not written as URLs are: " + err.Error()}
	}
	cursors := values[cursorParameter]
	delete(values, cursorParameter)
	filter, err := query.ParseValues(values)
	if err != nil {
		return query.Filter{}, query.Window{}, nil, err
	}
	if len(cursors) > 1 {
		return query.Filter{}, query.Window{}, nil, &query.FieldError{Field: cursorParameter, Problem: "may be given once"}
	}
	if len(cursors) == 1 && cursors[0] != "" {
		cursor, err := query.DecodeCursor(cursors[0], filter)
		return filter, cursor.Window, &cursor.Position, err
	}
	window, err := filter.Range.Resolve(d.Now())
	return filter, window, nil, err
}

// hasBlank reports whether a query string has a parameter without a value.
func hasBlank(encoded string) bool {
	for part := range strings.SplitSeq(encoded, "&") {
		if _, value, _ := strings.Cut(part, "="); value == "" && encoded != "" {
			return true
		}
	}
	return false
}

// forbiddenList says how to look at what the caller may see. It shows nothing
// but what the caller sent.
func (d *dashboard) forbiddenList(w http.ResponseWriter, r *http.Request, user auth.User, f query.Filter, err error) {
	page := failure{Problem: problem.Of(err), Rights: true, Namespace: true}
	for _, param := range parameters(f) {
		if param.Name != string(query.ByNamespace) {
			page.Keep = append(page.Keep, param)
		}
	}
	d.fail(w, r, user, page)
}

func listLink(encoded string) string {
	if encoded == "" {
		return query.AuditLogsPath
	}
	return query.AuditLogsPath + "?" + encoded
}

func join(parts ...string) string {
	var filled []string
	for _, p := range parts {
		if p != "" {
			filled = append(filled, p)
		}
	}
	return strings.Join(filled, "&")
}

func encode(params ...parameter) string {
	parts := make([]string, len(params))
	for i, p := range params {
		parts[i] = url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value)
	}
	return join(parts...)
}

// parameters returns what Filter.Encode writes, one by one.
func parameters(f query.Filter) []parameter {
	var out []parameter
	for part := range strings.SplitSeq(f.Encode(), "&") {
		name, value, ok := strings.Cut(part, "=")
		if value, err := url.QueryUnescape(value); ok && err == nil {
			out = append(out, parameter{name, value})
		}
	}
	return out
}
