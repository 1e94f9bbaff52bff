package snapshot

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Bounds of what List holds, as the filter of a manifest may have a megabyte.
const (
	listedAtOnce = 100     // manifests that are asked of the store at once
	mostListed   = 8 << 20 // bytes of the filters on a page; its first manifest is there in any case
)

// mostScanned bounds the manifests that List looks at for those of the
// namespaces that are asked for.
const mostScanned = 5 * store.MaxPage

// Page is a part of a list of snapshots, the newest first.
type Page struct {
	Manifests []store.Manifest
	// Next is where the next page starts; nil on the last one. A page may hold
	// fewer manifests than the limit, or none, before the last one.
	Next *store.SnapshotPosition
}

// List returns up to limit snapshots that the scope covers, after a position,
// or the newest where it is nil. Those of namespaces alone, where any are
// named, as a filter has them; query.NoNamespace names those of the whole
// cluster.
func List(ctx context.Context, s store.Snapshots, scope query.Scope, namespaces []string, before *store.SnapshotPosition, limit int) (Page, error) {
	var page Page
	namespaces = query.Canonical(string(query.ByNamespace), namespaces)
	most := min(limit+1, listedAtOnce) // one more tells whether there is a next page
	if len(namespaces) > 0 {
		most = listedAtOnce
	}
	bytes := 0
	for scanned := 0; ; {
		found, err := s.ListSnapshots(ctx, scope, store.ListSnapshotsRequest{Before: before, Limit: most})
		if err != nil {
			return Page{}, fmt.Errorf("list snapshots: %w", err)
		}
		for i := range found {
			if !ofNamespaces(&found[i], namespaces) {
				continue
			}
			bytes += len(found[i].Filter)
			if n := len(page.Manifests); n == limit || n > 0 && bytes > mostListed {
				last := page.Manifests[n-1].Position()
				page.Next = &last
				return page, nil
			}
			page.Manifests = append(page.Manifests, found[i])
		}
		if len(found) < most {
			return page, nil
		}
		last := found[len(found)-1].Position()
		before = &last
		if scanned += len(found); scanned >= mostScanned {
			page.Next = before
			return page, nil
		}
	}
}

// ofNamespaces reports whether a snapshot is of one of the namespaces, in their
// canonical form, if any are named.
func ofNamespaces(m *store.Manifest, namespaces []string) bool {
	of := query.NoNamespace
	if m.Namespace != "" {
		of = query.Literal(string(query.ByNamespace), m.Namespace)
	}
	return len(namespaces) == 0 || slices.Contains(namespaces, of)
}

const (
	positionVersion = 1
	positionLength  = 1 + 8 + 16
)

var positionEncoding = base64.RawURLEncoding.Strict()

// EncodePosition writes a position for a URL. It holds no right: what may be
// seen is checked anew. It panics for an ID that no snapshot has.
func EncodePosition(p store.SnapshotPosition) string {
	b := binary.BigEndian.AppendUint64([]byte{positionVersion}, uint64(p.TakenAt.UnixMicro()))
	id, err := hex.DecodeString(p.ID)
	if err != nil || len(id) != 16 {
		panic("snapshot: an ID must be 32 hexadecimal digits")
	}
	return positionEncoding.EncodeToString(append(b, id...))
}

// DecodePosition reads what EncodePosition wrote. Its error is a
// *query.FieldError of the named parameter.
func DecodePosition(parameter, s string) (store.SnapshotPosition, error) {
	// The decoder passes over line breaks, which no position has.
	none := &query.FieldError{Field: parameter, Problem: "is none that this list gave; begin with the first page"}
	b, err := positionEncoding.DecodeString(s)
	if err != nil || len(s) != positionEncoding.EncodedLen(positionLength) || len(b) != positionLength || b[0] != positionVersion {
		return store.SnapshotPosition{}, none
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC()
	if !query.Writable(at) {
		return store.SnapshotPosition{}, none
	}
	return store.SnapshotPosition{TakenAt: at, ID: hex.EncodeToString(b[9:])}, nil
}
