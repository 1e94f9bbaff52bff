package dashboard

import (
	"net/http"
	"strings"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	snapshotsPath = "/security/snapshots"
	// beforeParameter is where a page of snapshots starts.
	beforeParameter = "before"
	snapshotRows    = 50
)

type snapshotsData struct {
	Rows  []snapshotRow
	Only  []string // the namespaces that the reader's rights end at
	Named []string // those that the address asks for; none for all
	All   string   // the list of all that the reader may see
	Later bool
	First string
	Next  string
}

// snapshotRow is one snapshot in a list.
type snapshotRow struct {
	store.Manifest
	Link string
	Live string // the list with its filter
	Here bool   // it is the one that the page shows
}

// ShortDigest is the beginning of the digest, to compare by eye.
func (r snapshotRow) ShortDigest() string {
	digest := strings.TrimPrefix(r.Digest, "sha256:")
	return digest[:min(12, len(digest))]
}

func newSnapshotRow(m store.Manifest) snapshotRow {
	return snapshotRow{Manifest: m, Link: query.SnapshotURL("", m.ID, m.Namespace), Live: liveView(m)}
}

// liveView is the list with a snapshot's filter; none for one that is too long
// for a page.
func liveView(m store.Manifest) string {
	if len(m.Filter) > maxAddress/2 {
		return ""
	}
	return listLink(m.Filter)
}

// snapshots lists the snapshots that the reader may see.
func (d *dashboard) snapshots(w http.ResponseWriter, r *http.Request, user auth.User) {
	values, err := readValues(r)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	namespaces := namedNamespaces(values)
	given, err := take(values, beforeParameter)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	if err := noMore(values, beforeParameter, string(query.ByNamespace)); err != nil {
		d.failed(w, r, user, err)
		return
	}
	var before *store.SnapshotPosition
	if given != "" {
		position, err := snapshot.DecodePosition(beforeParameter, given)
		if err != nil {
			d.failed(w, r, user, err)
			return
		}
		before = &position
	}
	scope, err := d.Auth.Scope(r.Context(), user, namespaces...)
	if err != nil {
		d.refused(w, r, user, err, snapshotsPath, nil)
		return
	}
	list, err := snapshot.List(r.Context(), d.Store, scope, namespaces, before, snapshotRows)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	keep := make([]parameter, len(namespaces))
	for i, n := range namespaces {
		keep[i] = parameter{string(query.ByNamespace), n}
	}
	data := snapshotsData{Named: namespaces, All: snapshotsPath, Later: before != nil, First: withQuery(snapshotsPath, encode(keep...))}
	_, data.Only = scope.Namespaces()
	if list.Next != nil {
		data.Next = withQuery(snapshotsPath, encode(append(keep, parameter{beforeParameter, snapshot.EncodePosition(*list.Next)})...))
	}
	for _, m := range list.Manifests {
		data.Rows = append(data.Rows, newSnapshotRow(m))
	}
	d.render(w, r, http.StatusOK, "snapshots", page{Title: "Snapshots", User: user.Name, Place: inSnapshots, Wide: scope.IsClusterWide(), Data: data})
}

func withQuery(path, encoded string) string {
	if encoded == "" {
		return path
	}
	return path + "?" + encoded
}

// history returns the other snapshots of a snapshot's query that the reader may
// see, the newest first.
func (d *dashboard) history(r *http.Request, scope query.Scope, user auth.User, m store.Manifest) []snapshotRow {
	all, err := d.Store.SnapshotsOf(r.Context(), m.Owner.UID)
	if err != nil {
		if r.Context().Err() == nil {
			d.Log.Error(err, "Could not list a query's snapshots", "id", m.ID, "user", user.Name)
		}
		return nil
	}
	var rows []snapshotRow
	for _, other := range all {
		// The owner's other snapshots may have had another scope.
		if !scope.Covers(other.Cluster, other.Namespace, other.TakenAt) || len(rows) >= snapshotRows {
			continue
		}
		row := newSnapshotRow(other)
		row.Here = other.ID == m.ID
		rows = append(rows, row)
	}
	return rows
}
