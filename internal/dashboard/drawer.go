package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// eventParameter of the list opens an event beside it.
const eventParameter = "event"

// drawerID is the element of the list that holds the drawer; a request for it
// names it as htmx does.
const drawerID = "drawer"

// drawer returns the event that the list's address names, or says that there
// is none; nil where it names none. The list that surrounds it stays useful.
func (d *dashboard) drawer(r *http.Request, scope query.Scope, user auth.User, id string, filter query.Filter, list string) *eventData {
	if id == "" {
		return nil
	}
	data := &eventData{}
	parsed, err := audit.ParseID(id)
	if err != nil {
		err = store.ErrNotFound
	} else {
		var e audit.Event
		if e, err = d.Store.Event(r.Context(), scope, parsed); err == nil {
			data = d.eventData(r, scope, user, &e, filter)
		}
	}
	if err != nil {
		p := problem.Of(err)
		if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
			d.Log.Error(err, "Could not read an event", "path", r.URL.Path, "user", user.Name)
		}
		data.Problem = &p
	}
	data.Drawer, data.Close, data.List = true, list, list
	return data
}

// eventFragment answers with the drawer alone, for the list that is open.
func (d *dashboard) eventFragment(w http.ResponseWriter, r *http.Request, user auth.User) {
	list, filter := listOf(r)
	scope, _, err := d.scopeOfItem(r, user)
	var data *eventData
	if err == nil {
		data = d.drawer(r, scope, user, r.PathValue("id"), filter, list)
	} else {
		p := problem.Of(err)
		data = &eventData{Drawer: true, Close: list, List: list, Problem: &p}
	}
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	status := http.StatusOK
	if data.Problem != nil {
		status = data.Problem.Status
	}
	d.write(w, r, status, "event", "drawer-content", data)
}

// listOf returns the list that a fragment is fetched for, without the drawer,
// and its filter. What the browser says is only ever a link to the list.
func listOf(r *http.Request) (string, query.Filter) {
	u, err := url.Parse(r.Header.Get("HX-Current-URL"))
	if err != nil || u.Path != query.AuditLogsPath {
		return query.AuditLogsPath, query.Filter{}
	}
	list := listLink(without(u.RawQuery, eventParameter))
	values, err := url.ParseQuery(without(u.RawQuery, eventParameter, cursorParameter, liveParameter))
	if err != nil {
		return list, query.Filter{}
	}
	filter, err := query.ParseValues(values)
	if err != nil {
		return list, query.Filter{}
	}
	return list, filter
}

// without drops parameters from a query string and leaves the rest as it is.
func without(encoded string, names ...string) string {
	var rest []string
parts:
	for part := range strings.SplitSeq(encoded, "&") {
		name, _, _ := strings.Cut(part, "=")
		if unescaped, err := url.QueryUnescape(name); err == nil {
			name = unescaped
		}
		for _, n := range names {
			if n == name {
				continue parts
			}
		}
		rest = append(rest, part)
	}
	return join(rest...)
}
