package dashboard

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
)

// eventData is one event in full, on a page of its own or in the drawer beside
// the list. In the drawer Event is nil where Problem says why.
type eventData struct {
	*audit.Event
	Sections []section
	Related  []link
	JSON     source
	Self     string // the event's page, to copy
	List     string // the list that leads here
	// Same are the other events with its audit ID, as the request went on.
	Same        []row
	More        bool // there are others that bear it
	Unavailable bool // they could not be read

	Drawer  bool
	Close   string // the list without the drawer
	Problem *problem.Problem
}

// link is one that a page offers, with words on what it leads to.
type link struct{ Label, Value, Link string }

func (d *dashboard) event(w http.ResponseWriter, r *http.Request, user auth.User) {
	if r.Header.Get("HX-Target") == drawerID {
		d.eventFragment(w, r, user)
		return
	}
	scope, named, e, ok := d.oneEvent(w, r, user)
	if !ok {
		return
	}
	data := d.eventData(r, scope, user, &e, query.Filter{Terms: query.Terms{Namespaces: named}})
	data.List = query.AuditLogsPath + namespaceOf(scope, e.Namespace)
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	d.render(w, r, http.StatusOK, "event", page{Title: "Audit event", User: user.Name, Place: inLogs, Wide: scope.IsClusterWide(), Data: data})
}

// oneEvent reads the event that the path names, with the namespaces that the
// address names. If it returns false it has answered.
func (d *dashboard) oneEvent(w http.ResponseWriter, r *http.Request, user auth.User) (query.Scope, []string, audit.Event, bool) {
	scope, named, ok := d.itemScope(w, r, user)
	if !ok {
		return scope, named, audit.Event{}, false
	}
	id, err := audit.ParseID(r.PathValue("id"))
	if err != nil {
		d.notFound(w, r, user)
		return scope, named, audit.Event{}, false
	}
	e, err := d.Store.Event(r.Context(), scope, id)
	if err != nil {
		d.failed(w, r, user, err)
		return scope, named, e, false
	}
	return scope, named, e, true
}

// eventRaw sends an event as it was received, byte for byte what its digest
// covers.
func (d *dashboard) eventRaw(w http.ResponseWriter, r *http.Request, user auth.User) {
	_, _, e, ok := d.oneEvent(w, r, user)
	if !ok {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="audit-event-`+e.ID.String()+`.json"`)
	h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(e.RawSHA256[:])+":")
	_, _ = w.Write(e.Raw) // the browser is gone
}

// eventData returns what is shown of an event. The filter is the one that the
// reader came with; the links to others keep its namespaces.
func (d *dashboard) eventData(r *http.Request, scope query.Scope, user auth.User, e *audit.Event, from query.Filter) *eventData {
	same, err := d.Store.SameRequest(r.Context(), scope, e)
	if err != nil && r.Context().Err() == nil { // the event itself is there to be shown
		d.Log.Error(err, "Could not read the events with an event's audit ID", "path", r.URL.Path, "user", user.Name)
	}
	self := eventsPath + e.ID.String()
	namespace := namespaceOf(scope, e.Namespace)
	data := &eventData{
		Event: e, Sections: d.sections(e), Related: related(e, scope, from, d.Now()), Self: self + namespace,
		JSON: newSource(e.Raw, self+rawFile+namespace),
		Same: d.rows(same.Events, scope), More: same.More, Unavailable: err != nil,
	}
	slices.SortStableFunc(data.Same, func(a, b row) int { return a.StageAt.Compare(b.StageAt) })
	return data
}

// lateAfter is how long after its stage an event may arrive without a word.
const lateAfter = 2 * time.Minute

// late says how long the event was under way, if that is remarkable.
func late(e *audit.Event) string {
	if delay := e.IngestedAt.Sub(e.StageAt); !e.IngestedAt.IsZero() && delay > lateAfter {
		return delay.Truncate(time.Second).String()
	}
	return ""
}

func statusText(code int) string {
	if code == 0 {
		return ""
	}
	text := strconv.Itoa(code)
	if name := http.StatusText(code); name != "" {
		text += " " + name
	}
	return text
}
