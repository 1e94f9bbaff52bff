package httpapi

import (
	"net/http"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// snapshotsAnswer is a page of manifests, the newest first. It may hold fewer
// than were asked for before the last page.
type snapshotsAnswer struct {
	Items []store.Manifest `json:"items"`
	Next  string           `json:"next,omitzero"` // absent on the last page
}

func (a *api) snapshots(w http.ResponseWriter, r *http.Request, user auth.User) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	limit, cursor, namespaces := p.number("limit", defaultPage, store.MaxPage), p.text("cursor"), p.namespaces()
	var before *store.SnapshotPosition
	if cursor != "" {
		position, err := snapshot.DecodePosition("cursor", cursor)
		if err != nil {
			p.errs = append(p.errs, err)
		}
		before = &position
	}
	if err := p.err(); err != nil {
		return err
	}
	scope, err := a.Auth.Scope(r.Context(), user, namespaces...)
	if err != nil {
		return err
	}
	page, err := snapshot.List(r.Context(), a.Store, scope, namespaces, before, limit)
	if err != nil {
		return err
	}
	all := append([]store.Manifest{}, page.Manifests...)
	return sendPage(w, len(all), func(n int) any {
		next := page.Next
		if n < len(all) {
			last := all[n-1].Position()
			next = &last
		}
		answer := snapshotsAnswer{Items: all[:n]}
		if next != nil {
			answer.Next = snapshot.EncodePosition(*next)
		}
		return answer
	})
}

// snapshotScope is the scope of a question for one snapshot, which may name
// namespaces and nothing else.
func (a *api) snapshotScope(r *http.Request, user auth.User) (query.Scope, error) {
	p, err := parametersOf(r)
	if err != nil {
		return query.Scope{}, err
	}
	namespaces := p.namespaces()
	if err := p.err(); err != nil {
		return query.Scope{}, err
	}
	return a.itemScope(r, user, namespaces)
}

func (a *api) snapshot(w http.ResponseWriter, r *http.Request, user auth.User) error {
	scope, err := a.snapshotScope(r, user)
	if err != nil {
		return err
	}
	m, err := a.Store.Snapshot(r.Context(), scope, r.PathValue("id"))
	if err != nil {
		return err
	}
	return send(w, m)
}
