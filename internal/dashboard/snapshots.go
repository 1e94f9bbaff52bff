package dashboard

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
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
	return snapshotRow{Manifest: m, Link: query.SnapshotURL("", m.ID, m.Namespace), Live: listLink(m.Filter)}
}

// snapshots lists the snapshots that the reader may see.
func (d *dashboard) snapshots(w http.ResponseWriter, r *http.Request, user auth.User) {
	values, err := readValues(r)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	namespaces := namedNamespaces(r)
	delete(values, string(query.ByNamespace))
	given, err := take(values, beforeParameter)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	for name := range values {
		d.failed(w, r, user, &query.FieldError{Field: name, Problem: "is no parameter of this page; use " + beforeParameter + " and " + string(query.ByNamespace)})
		return
	}
	var before *store.SnapshotPosition
	if given != "" {
		position, err := parseBefore(given)
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
	manifests, err := d.Store.ListSnapshots(r.Context(), scope, store.ListSnapshotsRequest{Before: before, Limit: snapshotRows + 1})
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	keep := make([]parameter, len(namespaces))
	for i, n := range namespaces {
		keep[i] = parameter{string(query.ByNamespace), n}
	}
	data := snapshotsData{Later: before != nil, First: withQuery(snapshotsPath, encode(keep...))}
	_, data.Only = scope.Namespaces()
	if len(manifests) > snapshotRows {
		manifests = manifests[:snapshotRows]
		last := manifests[snapshotRows-1]
		data.Next = withQuery(snapshotsPath, encode(append(keep, parameter{beforeParameter, formatBefore(store.SnapshotPosition{TakenAt: last.TakenAt, ID: last.ID})})...))
	}
	for _, m := range manifests {
		data.Rows = append(data.Rows, newSnapshotRow(m))
	}
	d.render(w, r, http.StatusOK, "snapshots", page{Title: "Snapshots", User: user.Name, Place: inSnapshots, Data: data})
}

func withQuery(path, encoded string) string {
	if encoded == "" {
		return path
	}
	return path + "?" + encoded
}

var snapshotID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// formatBefore writes a position as parseBefore reads it.
func formatBefore(p store.SnapshotPosition) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %s", p.TakenAt.UTC().Format(time.RFC3339Nano), p.ID))
}

// parseBefore reads where a page of snapshots starts. Its error is a
// *query.FieldError.
func parseBefore(s string) (store.SnapshotPosition, error) {
	wrong := &query.FieldError{Field: beforeParameter, Problem: "is no position that this page gives; begin at the first page"}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return store.SnapshotPosition{}, wrong
	}
	at, id, _ := strings.Cut(string(decoded), " ")
	taken, err := time.Parse(time.RFC3339Nano, at)
	p := store.SnapshotPosition{TakenAt: taken.UTC(), ID: id}
	// Only what formatBefore writes: one position has one address.
	if err != nil || !snapshotID.MatchString(id) || formatBefore(p) != s {
		return store.SnapshotPosition{}, wrong
	}
	return p, nil
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
		if !scope.Covers(other.Cluster, other.Namespace) || len(rows) >= snapshotRows {
			continue
		}
		row := newSnapshotRow(other)
		row.Here = other.ID == m.ID
		rows = append(rows, row)
	}
	return rows
}
