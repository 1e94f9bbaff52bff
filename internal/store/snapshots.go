package store

import (
	"cmp"
	"context"
	"io"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
)

// Manifest describes a snapshot. Its digest covers the stored bytes, so it
// can be verified with sha256sum.
type Manifest struct {
	ID    string `json:"id"` // 32 lower-case hexadecimal digits
	Owner Owner  `json:"owner"`
	// Namespace limits who may read the snapshot; empty means cluster-wide.
	Namespace string `json:"namespace,omitempty"`
	// Cluster is the cluster of a namespaced snapshot's scope.
	Cluster string `json:"cluster,omitempty"`
	Filter  string `json:"filter"` // the share URL's query string
	// RecordVersion is that of the body's lines, see package snapshot; 0 is 1.
	RecordVersion int `json:"recordVersion,omitzero"`
	// Run is what asked for the snapshot; nil where it was taken before runs had
	// keys.
	Run *Run `json:"run,omitempty"`

	TakenAt time.Time `json:"takenAt"`
	AsOf    time.Time `json:"asOf"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`

	Matched   int64 `json:"matched"`
	Stored    int64 `json:"stored"`
	Truncated bool  `json:"truncated"` // rows that matched are not there, or texts were cut
	// Shortened is how many rows have texts that were cut to keep the body within
	// its bound.
	Shortened           int64            `json:"shortened,omitzero"`
	CountsByType        map[string]int64 `json:"countsByResourceType,omitempty"`
	CountsByStatusClass map[string]int64 `json:"countsByStatusClass,omitempty"`

	// Complete is "True", "False" or "Unknown", with its reason.
	Complete       string `json:"complete"`
	CompleteReason string `json:"completeReason"`

	Digest         string `json:"digest"`         // sha256:<hex> of the NDJSON bytes
	ManifestDigest string `json:"manifestDigest"` // sha256:<hex>, see package snapshot
}

// Run is the key of one run of a query. An operator that was interrupted finds
// by it what it took.
type Run struct {
	Generation int64  `json:"generation"` // of the spec
	Request    string `json:"request,omitempty"`
	// Number grows with each run of the query: the same request may come again.
	Number int64 `json:"number"`
}

// StoredDay is a UTC day with the size of what is stored of it, in bytes, as
// far as the store knows it without counting.
type StoredDay struct {
	Day   time.Time
	Bytes int64
}

// Owner names the query that a snapshot belongs to.
type Owner struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// ListSnapshotsRequest asks for a page of manifests.
type ListSnapshotsRequest struct {
	Before *SnapshotPosition // those that come after it; nil for the first page
	Limit  int               // at most MaxPage
}

// SnapshotPosition is a snapshot's place in the order of all: by descending
// (TakenAt, ID).
type SnapshotPosition struct {
	TakenAt time.Time
	ID      string
}

// Compare orders positions, the newest first.
func (p SnapshotPosition) Compare(other SnapshotPosition) int {
	return cmp.Or(other.TakenAt.Compare(p.TakenAt), cmp.Compare(other.ID, p.ID))
}

// Position returns the manifest's place in the order of all.
func (m *Manifest) Position() SnapshotPosition { return SnapshotPosition{m.TakenAt, m.ID} }

// Snapshots keeps snapshots. They are immutable: there is no update.
type Snapshots interface {
	// SaveSnapshot stores the body that write produces together with the
	// manifest that it returns, durably and both or neither. The ID and the
	// space are the manifest's; ErrExists means that one of this ID is there
	// already. ErrQuota and ErrReserved mean that there is no room; the body's
	// writer returns them as soon as that is so.
	SaveSnapshot(ctx context.Context, id string, space SnapshotSpace, write func(body io.Writer) (Manifest, error)) error
	// Snapshot returns a manifest, or ErrNotFound also for one that the scope
	// does not cover.
	Snapshot(ctx context.Context, scope query.Scope, id string) (Manifest, error)
	// OpenSnapshot returns the body, byte for byte what the digest covers. It can
	// be read until ctx ends, also when the snapshot is deleted meanwhile.
	OpenSnapshot(ctx context.Context, scope query.Scope, id string) (io.ReadCloser, error)
	// ListSnapshots returns the manifests that the scope covers, newest first.
	ListSnapshots(ctx context.Context, scope query.Scope, req ListSnapshotsRequest) ([]Manifest, error)
	// SnapshotsOf lists the manifests of one owner by its UID, newest first.
	SnapshotsOf(ctx context.Context, uid string) ([]Manifest, error)
	// DeleteSnapshot removes a snapshot; one that isn't there is no error.
	DeleteSnapshot(ctx context.Context, id string) error
	// MarkSnapshot keeps a mark; one that is there already keeps its time. Marks
	// are no part of what is backed up or copied.
	MarkSnapshot(ctx context.Context, mark SnapshotMark) error
	// UnmarkSnapshots removes marks of a kind; those that aren't there are no
	// error.
	UnmarkSnapshots(ctx context.Context, kind MarkKind, ids ...string) error
	// SnapshotMarks returns all marks, in no order.
	SnapshotMarks(ctx context.Context) ([]SnapshotMark, error)
}
