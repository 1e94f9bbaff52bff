package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// snapshotsAnswer is a page of manifests, the newest first. It may hold fewer
// than were asked for before the last page.
type snapshotsAnswer struct {
	Items []listedSnapshot `json:"items"`
	Next  string           `json:"next,omitzero"` // absent on the last page
}

// listedSnapshot is a manifest, with what is known about its query.
type listedSnapshot struct {
	store.Manifest
	// OrphanSince is when its query was first seen to be gone; absent while the
	// query is there.
	OrphanSince time.Time `json:"orphanSince,omitzero"`
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
	orphans, err := a.orphans(r.Context())
	if err != nil {
		return err
	}
	all := []listedSnapshot{}
	for _, m := range page.Manifests {
		all = append(all, listedSnapshot{m, orphans[m.Owner.UID]})
	}
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

// orphans returns since when owners of snapshots are no queries any more.
func (a *api) orphans(ctx context.Context) (map[string]time.Time, error) {
	marks, err := a.Store.SnapshotMarks(ctx)
	if err != nil {
		return nil, err
	}
	since := map[string]time.Time{}
	for _, m := range marks {
		if m.Kind == store.MarkOrphan {
			since[m.ID] = m.At.UTC().Truncate(time.Microsecond)
		}
	}
	return since, nil
}

// deleteSnapshot deletes a snapshot that the caller may see, by a right of its
// own. It is recorded before it happens.
func (a *api) deleteSnapshot(w http.ResponseWriter, r *http.Request, user auth.User) error {
	scope, err := a.snapshotScope(r, user)
	if err != nil {
		return err
	}
	m, err := a.Store.Snapshot(r.Context(), scope, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := a.Auth.MayDeleteSnapshot(r.Context(), user, m.Cluster, m.Namespace); err != nil {
		return err
	}
	act := selfaudit.Act{
		Action: selfaudit.Delete, User: user, Request: r, Name: m.ID,
		Detail: map[string]string{"digest": m.Digest, "rows": strconv.FormatInt(m.Stored, 10), "query": m.Owner.Name},
	}
	if m.Namespace != "" {
		act.Namespaces = []string{m.Namespace}
	}
	end, err := a.Records.Begin(r.Context(), act)
	if err != nil {
		return err
	}
	// The mark says that it was deleted and not lost, so it comes first.
	err = a.Store.MarkSnapshot(r.Context(), store.SnapshotMark{Kind: store.MarkDeleted, ID: m.ID, At: a.Now()})
	if err == nil {
		err = a.Store.DeleteSnapshot(r.Context(), m.ID)
	}
	if err != nil {
		end(r.Context(), problem.Of(err).Status, nil)
		return err
	}
	end(r.Context(), http.StatusNoContent, nil)
	if a.Deleted != nil {
		a.Deleted(m.Owner)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
