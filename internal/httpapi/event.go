package httpapi

import (
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// eventAnswer is one event, as in a list.
type eventAnswer struct {
	snapshot.Record
	Raw jsontext.Value `json:"raw,omitzero"` // where it was asked for
}

func (a *api) event(w http.ResponseWriter, r *http.Request, user auth.User) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	raw, namespaces := p.flag("raw"), p.namespaces()
	if err := p.err(); err != nil {
		return err
	}
	scope, err := a.itemScope(r, user, namespaces)
	if err != nil {
		return err
	}
	id, err := audit.ParseID(r.PathValue("id"))
	if err != nil {
		return store.ErrNotFound
	}
	e, err := a.Store.Event(r.Context(), scope, id)
	if err != nil {
		return err
	}
	answer := eventAnswer{Record: snapshot.NewRecord(&e)}
	if raw {
		answer.Raw = e.Raw
	}
	return send(w, answer)
}

// itemScope is the scope of a request for one thing. To those who may not see
// the events of a namespace that they name, nothing is there.
func (a *api) itemScope(r *http.Request, user auth.User, namespaces []string) (query.Scope, error) {
	scope, err := a.Auth.Scope(r.Context(), user, namespaces...)
	if errors.Is(err, auth.ErrForbidden) {
		err = store.ErrNotFound
	}
	return scope, err
}
