package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
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
	// Only is the namespace that the caller's rights limit the list to.
	Only    string
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
		d.fail(w, r, user, problem{Status: http.StatusBadRequest, Title: "This filter can't be read",
			Text: "Nothing is shown, because leaving out a part of the filter would show more than was asked for. Correct the address, or begin without a filter.", Items: lines(err)})
		return
	}
	if after == nil && hasBlank(r.URL.RawQuery) {
		// Forms send every field; the address that people copy holds what counts.
		w.Header().Set("Location", listLink(filter.Encode()))
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	scope, err := d.scope(r.Context(), user, onlyNamespace(filter))
	if errors.Is(err, auth.ErrForbidden) {
		d.forbiddenList(w, r, user, filter)
		return
	}
	if err != nil {
		d.unreachable(w, r, user, err)
		return
	}
	view, err := d.Store.View(r.Context(), scope, store.ViewRequest{Filter: filter, Window: window, Limit: pageRows, After: after, Count: true})
	if err != nil {
		d.broken(w, r, user, err)
		return
	}

	types := d.Types()
	data := listData{
		Form: newForm(filter, types), Chips: chips(filter, displayNames(types)), Window: window, AsOf: view.AsOf,
		Rows: d.rows(view.Events, scope), Matched: view.Matched, Later: after != nil, First: listLink(filter.Encode()), All: query.AuditLogsPath,
	}
	_, data.Only, _ = scope.Namespace()
	if view.Next != nil {
		cursor := query.Cursor{Position: *view.Next, Window: window, FilterHash: filter.Hash()}
		data.Next = listLink(join(filter.Encode(), encode(parameter{cursorParameter, cursor.Encode()})))
	}
	d.render(w, r, http.StatusOK, "list", page{Title: "API audit logs", User: user.Name, Data: data})
}

// rows returns events with the links to them, which stay within the scope.
func (d *dashboard) rows(events []audit.Event, scope query.Scope) []row {
	names := displayNames(d.Types())
	var rows []row
	for i := range events {
		e := &events[i]
		rows = append(rows, row{Event: e, Type: nameOf(names, e.ResourceType), Link: eventsPath + e.ID.String() + namespaceQuery(scope)})
	}
	return rows
}

// readList reads the filter, its window and where the page starts. Its error's
// text is fit for users.
func (d *dashboard) readList(r *http.Request) (query.Filter, query.Window, *query.Position, error) {
	// Not URL.Query, which leaves out what it can't read.
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query.Filter{}, query.Window{}, nil, errors.New("the address has a part that is not written as URLs are: " + err.Error())
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

// onlyNamespace returns the one namespace that a filter is about, if there is one.
func onlyNamespace(f query.Filter) string {
	if len(f.Namespaces) == 1 && f.Namespaces[0] != query.NoNamespace {
		return f.Namespaces[0]
	}
	return ""
}

// forbiddenList says how to look at what the caller may see. It shows nothing
// but what the caller sent.
func (d *dashboard) forbiddenList(w http.ResponseWriter, r *http.Request, user auth.User, f query.Filter) {
	p := problem{Status: http.StatusForbidden, Title: "You may not see these events", Rights: true, Namespace: true,
		Text: "Seeing the events of all namespaces needs cluster-wide rights. If you have them for one namespace, name it here; the link then holds namespace= and its name."}
	if ns := onlyNamespace(f); ns != "" {
		p.Text = "You lack the right to read the events of the namespace " + ns + "."
	}
	for _, param := range parameters(f) {
		if param.Name != string(query.ByNamespace) {
			p.Keep = append(p.Keep, param)
		}
	}
	d.fail(w, r, user, p)
}

// lines splits joined errors.
func lines(err error) []string { return strings.Split(err.Error(), "\n") }

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
