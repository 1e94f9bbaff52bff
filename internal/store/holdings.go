package store

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
)

// ErrDamaged means that a store no longer holds what was written.
var ErrDamaged = errors.New("is damaged")

// ErrOtherKey means that a store holds events already whose hashes are under
// another key than that of the store which is to be copied to it.
var ErrOtherKey = errors.New("the target holds events and has another key: copy into a store that holds none, or into one that was copied from the same store")

// Holdings is all that a store holds, as a copy to another store sees it. It
// knows no scope: only commands of those who could read the store's files use
// it. No answer takes more memory for a larger store, apart from lists of days,
// manifests and sources.
type Holdings interface {
	// Days returns the days that hold events, oldest first.
	Days(ctx context.Context) ([]DayCount, error)
	// OldestDay is the oldest day that the retention leaves here now. What is
	// imported of days before would be dropped.
	OldestDay() time.Time
	// Entries returns the first events of a stretch, at most limit, in
	// ascending order of position.
	Entries(ctx context.Context, stretch Stretch, limit int) ([]Entry, error)
	// Export calls event for each wanted event of a stretch, with its Raw, in
	// an order that suits the store; it holds all of them but their Raw. damage
	// says that the Raw is lost, and why. Event may use the store, and keep
	// what it is given. What retention drops meanwhile may be left out.
	Export(ctx context.Context, stretch Stretch, wanted func(audit.ID) bool, event func(e *audit.Event, damage error) error) error
	// Import stores events as Export gave them, IngestedAt included, and
	// returns how many it did not have, once they are durable. They count in no
	// source's totals. Errors are those of Append.
	Import(ctx context.Context, events []audit.Event) (stored int, err error)

	// Key is that of Store.
	Key() audit.Key
	// ImportKey gives a store that holds no events the key of the store that it
	// is to be a copy of. Elsewhere another key than its own is ErrOtherKey.
	ImportKey(ctx context.Context, key audit.Key) error

	// Manifests returns every snapshot's, in no order.
	Manifests(ctx context.Context) ([]Manifest, error)
	// SnapshotBody returns the body of any snapshot, or ErrNotFound. Reading it
	// may fail with ErrDamaged.
	SnapshotBody(ctx context.Context, id string) (io.ReadCloser, error)
	// SaveSnapshot is that of Snapshots.
	SaveSnapshot(ctx context.Context, id string, space SnapshotSpace, write func(body io.Writer) (Manifest, error)) error

	// ExportQuarantine calls item for everything in quarantine, in the order of
	// arrival. Item must not use the store.
	ExportQuarantine(ctx context.Context, item func(*audit.Quarantined) error) error
	// ImportQuarantine adds items, whatever is there already. They count in no
	// source's totals.
	ImportQuarantine(ctx context.Context, items []audit.Quarantined) error

	// ExportTotals returns what every store that this one knows of has counted.
	ExportTotals(ctx context.Context) ([]Totals, error)
	// ImportTotals takes over what other stores have counted. Doing so again
	// changes nothing; what has grown since replaces what was.
	ImportTotals(ctx context.Context, totals []Totals) error
}

// DayCount is a day with the number of its events.
type DayCount struct {
	Day    time.Time
	Events int64
}

// Stretch is a part of a day: its events after one position, up to another and
// with it. nil stands for the day's beginning and end.
type Stretch struct {
	Day   time.Time
	After *query.Position
	UpTo  *query.Position
}

// Entry is what is compared of an event.
type Entry struct {
	query.Position
	RawSHA256 [32]byte
}

// Totals are what one store has counted of a source. What Sources returns is
// the sum over all stores that a store knows of, so that totals which are
// copied more than once, or there and back, are counted once.
type Totals struct {
	Store string // its identity, which it has from its beginning
	SourceStats
}

// Grown returns the larger of each of two totals: totals never fall.
func (t SourceStats) Grown(other SourceStats) SourceStats {
	t.Received = max(t.Received, other.Received)
	t.Stored = max(t.Stored, other.Stored)
	t.Duplicate = max(t.Duplicate, other.Duplicate)
	t.Quarantined = max(t.Quarantined, other.Quarantined)
	t.Own = max(t.Own, other.Own)
	t.LastReceivedAt = later(t.LastReceivedAt, other.LastReceivedAt)
	t.LastEventAt = later(t.LastEventAt, other.LastEventAt)
	return t
}

// Plus returns the sum of two totals of a source.
func (t SourceStats) Plus(other SourceStats) SourceStats {
	t.Received += other.Received
	t.Stored += other.Stored
	t.Duplicate += other.Duplicate
	t.Quarantined += other.Quarantined
	t.Own += other.Own
	t.LastReceivedAt = later(t.LastReceivedAt, other.LastReceivedAt)
	t.LastEventAt = later(t.LastEventAt, other.LastEventAt)
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
