package dashboard

import (
	"net/http"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

const pageRows = 50

type listData struct {
	Form   form
	Chips  []chip
	Chart  chart
	Window query.Window
	AsOf   time.Time
	// Only are the namespaces that the caller's rights limit the list to.
	Only    []string
	Matched int64
	// Incomplete says that something is missing, for the reason Why: one of
	// package snapshot's. Otherwise the completeness is not known.
	Incomplete bool
	Why        string
	Kept       string // how long events are kept
	Rows       []row
	First      string // the first page's address, on later pages
	Next       string // the next page's address
	Later      bool
	Empty      empty
	All        string     // the list without filters
	Here       string     // this page's address
	Drawer     *eventData // the event that is open beside the list
	Live       bool
	Tail       *tailData
	Skew       *skewNote
	InPart     *inPartNote
	Fixed      string // this page with the times that its range means now
	LiveLink   string // the same filter with the live tail on, or off
	SaveLink   string
	CSV        string
	NDJSON     string
	ExportMost int64 // how many rows either of them has at most
}

type row struct {
	*audit.Event
	Link string
	Type string // the resource type's display name
}

// Late says how long after its stage the event arrived, if that is remarkable.
func (r row) Late() string { return late(r.Event) }

// CLI reports whether a person typed the request.
func (r row) CLI() bool { return r.Client == audit.ClientCLI }

func (d *dashboard) list(w http.ResponseWriter, r *http.Request, user auth.User) {
	// Of whole microseconds like every window, so that they compare exactly.
	now := d.Now().UTC().Truncate(time.Microsecond)
	a, err := readAddress(r, now)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	w.Header().Add("Vary", "HX-Request")
	if !a.Canonical {
		// Forms send every field; the address that people copy holds what counts.
		if r.Header.Get("HX-Request") == "" {
			w.Header().Set("Location", a.link())
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		w.Header().Set("HX-Push-Url", a.link())
	}
	scope, err := d.Auth.Scope(r.Context(), user, a.Filter.Namespaces...)
	if err != nil {
		d.refused(w, r, user, err, "", parameters(a.Filter))
		return
	}
	tail, err := d.beginTail(r.Context(), scope, a, now)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	grain := grainOf(a.Window)
	view, err := d.Store.View(r.Context(), scope, store.ViewRequest{
		Filter: a.Filter, Window: a.Window, Limit: pageRows, Bytes: rowBytes, After: a.After, Count: true, HistogramWidth: grain.Store,
	})
	if err != nil {
		d.failed(w, r, user, err)
		return
	}

	types := d.Types()
	data := listData{
		Form: newForm(a, types), Chips: chips(a, displayNames(types)), Chart: newChart(a, grain, view.Histogram, now),
		Window: a.Window, AsOf: view.AsOf, Matched: view.Matched,
		Later: a.After != nil, First: a.withFilter(a.Filter), All: query.AuditLogsPath, Here: a.link(), Live: a.Live,
	}
	if data.Skew, err = d.skew(r.Context(), scope, a); err != nil {
		d.failed(w, r, user, err)
		return
	}
	if data.InPart, err = d.inPart(r.Context(), scope, a); err != nil {
		d.failed(w, r, user, err)
		return
	}
	data.Tail, data.Fixed = tail, fixedLink(a)
	_, data.Only = scope.Namespaces()
	complete, why := snapshot.Completeness(a.Window, now, d.Retention, view.Quarantined)
	data.Incomplete, data.Why, data.Kept = complete == snapshot.CompleteFalse, why, daysOf(d.Retention)
	if view.Matched == 0 {
		if data.Empty, err = d.emptiness(r.Context(), scope, a, now); err != nil {
			d.failed(w, r, user, err)
			return
		}
	}
	data.Drawer = d.drawer(r, scope, user, a.Event, a.Filter, a.withEvent(""))
	filter := a.Filter.Encode()
	data.LiveLink = (&address{Filter: a.Filter, Live: !a.Live}).link()
	data.SaveLink = query.AuditLogsPath + "/query?" + filter
	data.CSV, data.NDJSON = query.AuditLogsPath+csvFile+"?"+filter, query.AuditLogsPath+ndjsonFile+"?"+filter
	data.ExportMost = export.DefaultLimit
	shown := page{Title: "API audit logs", User: user.Name, Place: inLogs, Wide: scope.IsClusterWide()}
	rows := listRows(a, view.Events, types)
	d.drawn(w, r, http.StatusOK, "list", func() ([]byte, error) {
		return fitting(len(rows), func(n int) ([]byte, error) {
			data.Rows, data.Next = rows[:n], a.next(view, n)
			shown.Data = data
			return d.html("list", "layout.html", shown)
		})
	})
}

// next is the address of the page after the first n events of one; empty where
// there are no others.
func (a *address) next(view store.View, n int) string {
	position := view.Next
	if n < len(view.Events) {
		last := query.PositionOf(&view.Events[n-1])
		position = &last
	}
	if position == nil {
		return ""
	}
	cursor := query.Cursor{Position: *position, Window: a.Window, FilterHash: a.Filter.Hash()}
	return (&address{Filter: a.Filter, Cursor: cursor.Encode()}).link()
}

// listRows returns events with the links that open them beside the list.
func listRows(a address, events []audit.Event, types []ResourceType) []row {
	names := displayNames(types)
	rows := make([]row, len(events))
	short := manyLinks(len(events), len(a.link()))
	for i := range events {
		link := eventsPath + events[i].ID.String()
		if !short {
			link = a.withEvent(events[i].ID.String())
		}
		rows[i] = newRow(&events[i], names, link)
	}
	return rows
}

func newRow(e *audit.Event, names map[string]string, link string) row {
	return row{Event: shownInRow(e), Type: escapeUnseen(nameOf(names, e.ResourceType)), Link: link}
}

// shownInRow returns an event as a row shows it. Its texts stand side by side,
// so what can't be seen, or would turn around what follows, is written as
// escapes, and long ones are cut.
func shownInRow(e *audit.Event) *audit.Event {
	shown := *e
	for _, text := range []*string{
		&shown.Actor, &shown.ActedVia, &shown.Method, &shown.ResourceName, &shown.Resource, &shown.Subresource, &shown.Namespace,
		&shown.Action, &shown.Path, &shown.Source, &shown.Stage,
	} {
		most := rowText
		if text == &shown.Path {
			most = rowPath
		}
		*text = shorten(escapeUnseen(*text), most)
	}
	return &shown
}

// rows returns events with the links to their pages, which stay within the scope.
func (d *dashboard) rows(events []audit.Event, scope query.Scope) []row {
	names := displayNames(d.Types())
	var rows []row
	for i := range events {
		e := &events[i]
		rows = append(rows, newRow(e, names, eventsPath+e.ID.String()+namespaceOf(scope, e.Namespace)))
	}
	return rows
}
