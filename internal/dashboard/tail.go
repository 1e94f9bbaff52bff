package dashboard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	tailPath       = query.AuditLogsPath + "/tail"
	afterParameter = "after"
	// liveParameter of the list turns the tail on.
	liveParameter = "live"
	// tailRows bounds one answer, so that its rows fit maxPage however long their
	// texts are; more come with the next, at once.
	tailRows = 64
)

// tailData is the live tail as the list begins it.
type tailData struct {
	Poll string // the address to ask, with the filter
	Next string // the position to go on from
	// Ended says that the time range has a fixed end, so that nothing that
	// happens now is in it.
	Ended  bool
	To     time.Time
	Follow string // the same filter up to now, live
	Here   string
	Off    string
}

// tailAnswer is one answer of the tail.
type tailAnswer struct {
	Rows []row
	Next string
	More bool
	AsOf time.Time
}

// beginTail returns what the list needs to go on live: a position from before
// the list is read, so that nothing falls between. It is nil where the address
// asks for no tail, or for a later page, which has none.
func (d *dashboard) beginTail(ctx context.Context, scope query.Scope, a address, now time.Time) (*tailData, error) {
	if !a.Live || a.After != nil {
		return nil, nil
	}
	filter := a.Filter.Encode()
	off := a
	off.Live = false
	t := &tailData{Poll: withQuery(tailPath, filter), Here: a.link(), Off: off.link()}
	if to := a.Filter.Range.To; !to.IsZero() && to.Before(now) {
		open := a.Filter
		open.Range = query.TimeRange{}
		t.Ended, t.To, t.Follow = true, to, a.withFilter(open)
		return t, nil
	}
	begun, err := d.Store.Tail(ctx, scope, store.TailRequest{Filter: a.Filter, Since: a.Window.From, Limit: 1})
	t.Next = begun.Next
	return t, err
}

// tail answers with the rows of the events that were stored since a position,
// as the list shows them. Rights are asked for anew each time.
func (d *dashboard) tail(w http.ResponseWriter, r *http.Request, user auth.User) {
	values, err := readValues(r)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	after, err := take(values, afterParameter)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	filter, err := query.ParseValues(values)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	window, err := filter.Range.Resolve(d.Now())
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	auth.LookIs(r.Context(), auth.Ongoing) // it asks every two seconds
	scope, err := d.Auth.Scope(r.Context(), user, filter.Namespaces...)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	tail, err := d.Store.Tail(r.Context(), scope, store.TailRequest{Filter: filter, Since: window.From, After: after, Limit: tailRows})
	if errors.Is(err, store.ErrPosition) {
		err = &query.FieldError{Field: afterParameter, Problem: "is no position to go on from; begin anew"}
	}
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	events := make([]audit.Event, 0, len(tail.Events))
	for _, e := range tail.Events {
		// A range that ends now takes in what a clock ahead of this one dates.
		if end := filter.Range.To; end.IsZero() || e.OccurredAt.Before(end) {
			events = append(events, e)
		}
	}
	d.write(w, r, http.StatusOK, "list", "tail-answer", tailAnswer{
		Rows: listRows(address{Filter: filter, Live: true}, events, d.Types()), Next: tail.Next, More: tail.More, AsOf: tail.AsOf,
	})
}

// fixedLink is the address that shows the same window at any time, where the
// range of a goes on with the time.
func fixedLink(a address) string {
	if !a.Filter.Range.To.IsZero() {
		return ""
	}
	fixed := address{Filter: a.Filter, Event: a.Event}
	fixed.Filter.Range = query.TimeRange{From: a.Window.From, To: a.Window.To}
	return fixed.link()
}
