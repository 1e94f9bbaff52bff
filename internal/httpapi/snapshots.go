package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// mostScanned bounds the manifests that one answer looks at for those of the
// namespaces that are asked for.
const mostScanned = 5 * store.MaxPage

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
		position, ok := decodePosition(cursor)
		if !ok {
			p.wrong("cursor", "", "is none that this list gave; begin with the first page")
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
	answer := snapshotsAnswer{Items: []store.Manifest{}}
	for scanned := 0; ; {
		most := limit + 1 // one more tells whether there is a next page
		if len(namespaces) > 0 {
			most = store.MaxPage
		}
		page, err := a.Store.ListSnapshots(r.Context(), scope, store.ListSnapshotsRequest{Before: before, Limit: min(most, store.MaxPage)})
		if err != nil {
			return err
		}
		for i := range page {
			if !ofNamespaces(&page[i], namespaces) {
				continue
			}
			if len(answer.Items) == limit {
				answer.Next = encodePosition(answer.Items[limit-1].Position())
				return send(w, answer)
			}
			answer.Items = append(answer.Items, page[i])
		}
		if len(page) < min(most, store.MaxPage) {
			return send(w, answer)
		}
		last := page[len(page)-1].Position()
		before = &last
		if scanned += len(page); scanned >= mostScanned {
			answer.Next = encodePosition(last)
			return send(w, answer)
		}
	}
}

// ofNamespaces reports whether a snapshot is of one of the namespaces, if any
// are named. Those of the whole cluster have query.NoNamespace.
func ofNamespaces(m *store.Manifest, namespaces []string) bool {
	of := m.Namespace
	if of == "" {
		of = query.NoNamespace
	}
	return len(namespaces) == 0 || slices.Contains(namespaces, of)
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

const (
	positionVersion = 1
	positionLength  = 1 + 8 + 16
)

var positionEncoding = base64.RawURLEncoding.Strict()

// encodePosition writes a position for a URL. It holds no right: what may be
// seen is checked anew.
func encodePosition(p store.SnapshotPosition) string {
	b := binary.BigEndian.AppendUint64([]byte{positionVersion}, uint64(p.TakenAt.UnixMicro()))
	id, err := hex.DecodeString(p.ID)
	if err != nil || len(id) != 16 {
		panic("httpapi: a snapshot's ID must be 32 hexadecimal digits")
	}
	return positionEncoding.EncodeToString(append(b, id...))
}

// decodePosition reads what encodePosition wrote, and nothing else.
func decodePosition(s string) (p store.SnapshotPosition, ok bool) {
	// The decoder passes over line breaks, which no position has.
	b, err := positionEncoding.DecodeString(s)
	if err != nil || len(s) != positionEncoding.EncodedLen(positionLength) || len(b) != positionLength || b[0] != positionVersion {
		return p, false
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC()
	return store.SnapshotPosition{TakenAt: at, ID: hex.EncodeToString(b[9:])}, true
}
