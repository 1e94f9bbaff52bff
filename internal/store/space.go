package store

import (
	"errors"
	"fmt"
	"time"
)

// Errors of SaveSnapshot that say that there is no room. Both leave nothing.
var (
	// ErrQuota means that the snapshot would pass a quota; a *QuotaError says
	// which.
	ErrQuota = errors.New("the quota of snapshots is used up")
	// ErrReserved means that what is left of the volume is for events alone.
	ErrReserved = errors.New("the space that is left is reserved for events")
)

// SnapshotSpace says in whose space a snapshot is kept. Cluster and Namespace
// are those of its manifest.
type SnapshotSpace struct {
	Cluster, Namespace string
	// Unmetered is for a copy of what another store held: it counts, but is
	// never refused.
	Unmetered bool
}

// SpaceOf returns the space of a manifest's snapshot.
func SpaceOf(m *Manifest) SnapshotSpace {
	return SnapshotSpace{Cluster: m.Cluster, Namespace: m.Namespace}
}

// Check returns an error for a manifest of another space.
func (s SnapshotSpace) Check(m *Manifest) error {
	if m.Cluster != s.Cluster || m.Namespace != s.Namespace {
		return fmt.Errorf("its manifest is of the namespace %q of the cluster %q", m.Namespace, m.Cluster)
	}
	return nil
}

// SnapshotQuota bounds the bytes that snapshots take as they are stored, with
// their manifests. 0 is no bound.
type SnapshotQuota struct {
	PerNamespace int64 // of each namespace of a cluster
	// Whole is of all snapshots together. A tenth of it is for cluster-wide
	// ones alone.
	Whole int64
}

// SnapshotUsage is what is taken now, in bytes.
type SnapshotUsage struct {
	Namespace  int64 // by snapshots of the same namespace; of none for a cluster-wide one
	Namespaced int64 // by those of all namespaces
	Whole      int64
}

// SnapshotOverhead is what a snapshot counts beside the bytes of its body and
// manifest, so that many small ones don't pass for nothing.
const SnapshotOverhead = 4 << 10

// clusterWidePart of the whole quota is for cluster-wide snapshots alone.
const clusterWidePart = 10

// Check returns a *QuotaError where usage, in which the snapshot is counted
// already, passes the quota.
func (q SnapshotQuota) Check(space SnapshotSpace, usage SnapshotUsage) error {
	if space.Unmetered {
		return nil
	}
	namespaced := space.Namespace != ""
	switch {
	case namespaced && q.PerNamespace > 0 && usage.Namespace > q.PerNamespace:
		return &QuotaError{Namespace: space.Namespace, Quota: q.PerNamespace}
	case namespaced && q.Whole > 0 && usage.Namespaced > q.Whole-q.Whole/clusterWidePart:
		return &QuotaError{Quota: q.Whole - q.Whole/clusterWidePart}
	case q.Whole > 0 && usage.Whole > q.Whole:
		return &QuotaError{Quota: q.Whole}
	}
	return nil
}

// QuotaError says which quota a snapshot would pass. It tells nobody what
// others use.
type QuotaError struct {
	Namespace string // whose quota it is; empty for that of all together
	Quota     int64  // bytes
}

// Error implements error.
func (e *QuotaError) Error() string {
	if e.Namespace == "" {
		return fmt.Sprintf("%v: all snapshots together may take %d bytes", ErrQuota, e.Quota)
	}
	return fmt.Sprintf("%v: the snapshots of the namespace %s may take %d bytes", ErrQuota, e.Namespace, e.Quota)
}

// Unwrap makes it an ErrQuota.
func (e *QuotaError) Unwrap() error { return ErrQuota }

// MarkKind says what a mark is about.
type MarkKind string

// The kinds of marks.
const (
	// MarkDeleted is of a snapshot that somebody deleted by its ID.
	MarkDeleted MarkKind = "deleted"
	// MarkOrphan is of an owner's UID that no query has, since it was first
	// seen so.
	MarkOrphan MarkKind = "orphan"
	// MarkExpiring is of an orphan whose snapshots will be removed, since that
	// was first certain.
	MarkExpiring MarkKind = "expiring"
)

// SnapshotMark is what the operator remembers about a snapshot or its owner
// beside the manifest, which never changes.
type SnapshotMark struct {
	Kind MarkKind
	ID   string // of a snapshot, or an owner's UID
	At   time.Time
}
