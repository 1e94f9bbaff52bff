package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// porterQuery is the body of Porter's query.
type porterQuery struct {
	porterFilter
	Limit  *int   `json:"limit"`
	Cursor string `json:"cursor"`
	Page   *int64 `json:"page"` // the first is 1
}

// maxPageRows is as far as pages reach by their number: all that is before a
// page is read to find it.
const maxPageRows = 10_000

// place returns how many entries there may be and how many are before them.
func (b *porterQuery) place() (limit, skipped int, err error) {
	limit = defaultPage
	if b.Limit != nil {
		limit = *b.Limit
	}
	if limit < 1 || limit > store.MaxPage {
		return 0, 0, invalidBody("limit", "must be a number from 1 to 1000")
	}
	if b.Page == nil {
		return limit, 0, nil
	}
	most := int64(maxPageRows / limit)
	switch {
	case *b.Page < 1 || *b.Page > most:
		return 0, 0, invalidBody("page", fmt.Sprintf("must be a number from 1 to %d with %d entries a page: pages end with the entry %d; what follows is reached by cursor, or by an export", most, limit, maxPageRows))
	case b.Cursor != "":
		return 0, 0, invalidBody("page", "must not be together with cursor")
	}
	return limit, int(*b.Page-1) * limit, nil
}

// porterAnswer is a page of entries, the newest first.
type porterAnswer struct {
	Entries    []porterEntry `json:"entries"`
	NextCursor string        `json:"next_cursor,omitzero"` // absent on the last page
	StartTime  time.Time     `json:"start_time"`
	EndTime    time.Time     `json:"end_time"`
	AsOf       time.Time     `json:"as_of"`
	Complete   completeness  `json:"complete"`
}

// porterEntry is an event as Porter's API has it. What the event lacks is empty.
type porterEntry struct {
	ID           string    `json:"id"`
	OccurredAt   time.Time `json:"occurred_at"`
	Method       string    `json:"method"`
	Path         string    `json:"path"`
	Action       string    `json:"action"`
	ActorType    string    `json:"actor_type"` // of export.PorterActorType
	ActorID      string    `json:"actor_id"`
	ActorName    string    `json:"actor_name"`
	ResourceType string    `json:"resource_type"`
	ResourceName string    `json:"resource_name"`
	StatusCode   *int      `json:"status_code"`
	Source       string    `json:"source,omitzero"` // cli, or absent
}

func (a *api) porterQuery(w http.ResponseWriter, r *http.Request, user auth.User) error {
	body, err := decodeBody[porterQuery](w, r)
	if err != nil {
		return err
	}
	q, err := body.question(r.PathValue("project"), a.Now())
	if err != nil {
		return err
	}
	limit, skipped, err := body.place()
	if err != nil {
		return err
	}
	if body.Cursor != "" {
		cursor, err := query.DecodeCursor(body.Cursor, q.Filter)
		if err != nil {
			return invalidBody("cursor", strayCursor)
		}
		q.Window, q.After = cursor.Window, &cursor.Position
	}
	scope, err := a.porterScope(r, user)
	if err != nil {
		return err
	}
	if q.After, err = a.after(r.Context(), scope, q, skipped); err != nil {
		return err
	}
	view, err := a.Store.View(r.Context(), scope, store.ViewRequest{Filter: q.Filter, Window: q.Window, Limit: limit, Bytes: pageBytes, After: q.After})
	if err != nil {
		return err
	}
	said := a.about(q, view.AsOf, view.Quarantined)
	entries := make([]porterEntry, len(view.Events))
	for i := range view.Events {
		entries[i] = newPorterEntry(&view.Events[i])
	}
	answer := porterAnswer{
		StartTime: said.Window.From, EndTime: said.Window.To, AsOf: said.AsOf, Complete: said.Complete,
	}
	page := func(n int) any {
		answer.Entries, answer.NextCursor = entries[:n], q.next(after(view, n))
		return answer
	}
	if body.Page == nil {
		return sendPage(w, len(entries), page)
	}
	// The next page by number begins after limit entries, however many are sent.
	if len(entries) < limit && view.Next != nil {
		return invalidBody("limit", largePage)
	}
	return sendWhole(w, page(len(entries)))
}

// largePage is what is wrong with a page of which a part would be left out.
const largePage = "must be less for this page: its entries have too long texts to be sent together"

// sendWhole answers with a page that is asked for by its number.
func sendWhole(w http.ResponseWriter, page any) error {
	body, err := encode(page)
	if err != nil {
		return err
	}
	if len(body) > maxAnswer {
		return invalidBody("limit", largePage)
	}
	write(w, http.StatusOK, "application/json", body)
	return nil
}

// after returns the place behind the first rows of an answer, or the question's
// own place where there are none to skip.
func (a *api) after(ctx context.Context, scope query.Scope, q question, rows int) (*query.Position, error) {
	place := q.After
	for rows > 0 {
		view, err := a.Store.View(ctx, scope, store.ViewRequest{Filter: q.Filter, Window: q.Window, Limit: min(rows, store.MaxPage), After: place})
		if err != nil {
			return nil, err
		}
		n := len(view.Events)
		if n == 0 {
			break
		}
		at := query.PositionOf(&view.Events[n-1])
		if place, rows = &at, rows-n; view.Next == nil {
			break
		}
	}
	return place, nil
}

// porterScope is the scope of a request about the project that its path names.
// A project is a namespace, or the whole cluster for those who may see all of
// it: nobody sees less than the whole and takes it for that.
func (a *api) porterScope(r *http.Request, user auth.User) (query.Scope, error) {
	return a.Auth.Scope(r.Context(), user, r.PathValue("project"))
}

func newPorterEntry(e *audit.Event) porterEntry {
	out := porterEntry{
		ID: e.ID.String(), OccurredAt: e.OccurredAt.UTC(), Method: e.Method, Path: e.Path, Action: e.Action,
		ActorType: export.PorterActorType(e), ActorID: e.Actor, ActorName: e.Actor,
		ResourceType: e.ResourceType, ResourceName: e.ResourceName,
	}
	if e.Client == audit.ClientCLI {
		out.Source = e.Client
	}
	if e.StatusCode != 0 {
		out.StatusCode = &e.StatusCode
	}
	return out
}
