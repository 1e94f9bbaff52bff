package httpapi

import (
	"net/http"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// porterQuery is the body of Porter's query.
type porterQuery struct {
	porterFilter
	Limit  *int   `json:"limit"`
	Cursor string `json:"cursor"`
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
	ActorType    string    `json:"actor_type"`
	ActorID      string    `json:"actor_id"`
	ActorName    string    `json:"actor_name"`
	ResourceType string    `json:"resource_type"`
	ResourceName string    `json:"resource_name"`
	StatusCode   *int      `json:"status_code"`
	Source       string    `json:"source"`
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
	limit := defaultPage
	if body.Limit != nil {
		limit = *body.Limit
	}
	if limit < 1 || limit > store.MaxPage {
		return invalidBody("limit", "must be a number from 1 to 1000")
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
	return sendPage(w, len(entries), func(n int) any {
		answer.Entries, answer.NextCursor = entries[:n], q.next(after(view, n))
		return answer
	})
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
		ActorType: e.ActorKind, ActorID: e.Actor, ActorName: e.Actor,
		ResourceType: e.ResourceType, ResourceName: e.ResourceName, Source: e.Client,
	}
	if e.StatusCode != 0 {
		out.StatusCode = &e.StatusCode
	}
	return out
}
