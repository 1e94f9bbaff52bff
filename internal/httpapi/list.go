package httpapi

import (
	"net/http"
	"strings"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

const defaultPage = 100 // rows

// listAnswer is a page of events, the newest first.
type listAnswer struct {
	Items []snapshot.Record `json:"items"`
	Next  string            `json:"next,omitzero"` // absent on the last page
	about
	Matched *int64 `json:"matched,omitzero"` // where it was asked for
	// SearchedInPart is how many events a search saw only in part.
	SearchedInPart *int64 `json:"searchedInPart,omitzero"`
}

func (a *api) list(w http.ResponseWriter, r *http.Request, user auth.User) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	limit, count, q := p.number("limit", defaultPage, store.MaxPage), p.flag("count"), p.page(a.Now())
	if err := p.err(); err != nil {
		return err
	}
	view, err := a.view(r, user, q, store.ViewRequest{Limit: limit, Bytes: pageBytes, Count: count})
	if err != nil {
		return err
	}
	answer := listAnswer{about: a.about(q, view.AsOf, view.Quarantined)}
	if count {
		answer.Matched = &view.Matched
	}
	if answer.SearchedInPart, err = a.searchedInPart(r, user, q); err != nil {
		return err
	}
	all := records(view.Events)
	return sendPage(w, len(all), func(n int) any {
		answer.Items, answer.Next = all[:n], q.next(after(view, n))
		return answer
	})
}

// searchedInPart counts the events that the filter selects but for its search,
// and whose texts were cut: what was searched for may have been in the rest. It
// is nil without a search.
func (a *api) searchedInPart(r *http.Request, user auth.User, q question) (*int64, error) {
	switch {
	case strings.TrimSpace(q.Search) == "":
		return nil, nil
	case q.Truncated != nil && !*q.Truncated:
		return new(int64), nil
	}
	truncated := true
	q.Search, q.Truncated = "", &truncated
	view, err := a.view(r, user, q, store.ViewRequest{Count: true})
	return &view.Matched, err
}

// after is the position to go on from after the first n events of a page; nil
// where there are no others.
func after(view store.View, n int) *query.Position {
	if n == len(view.Events) {
		return view.Next
	}
	next := query.PositionOf(&view.Events[n-1])
	return &next
}

// view answers a question as far as the user's rights go.
func (a *api) view(r *http.Request, user auth.User, q question, req store.ViewRequest) (store.View, error) {
	scope, err := a.Auth.Scope(r.Context(), user, q.Namespaces...)
	if err != nil {
		return store.View{}, err
	}
	req.Filter, req.Window, req.After = q.Filter, q.Window, q.After
	return a.Store.View(r.Context(), scope, req)
}

func records(events []audit.Event) []snapshot.Record {
	out := make([]snapshot.Record, len(events))
	for i := range events {
		out[i] = snapshot.NewRecord(&events[i])
	}
	return out
}

// next writes the cursor of the page at a position, or nothing without one.
func (q *question) next(position *query.Position) string {
	if position == nil {
		return ""
	}
	return query.Cursor{Position: *position, Window: q.Window, FilterHash: q.Hash()}.Encode()
}
