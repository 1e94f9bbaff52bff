package admission

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Store is a store whose reads pass a gate, each in the name of its context's
// caller. What answers at length, such as an export, holds a place for one
// statement after the other, never while a client takes what was read.
type Store struct {
	store.Store
	gate *Gate
}

// NewStore returns s behind a gate.
func NewStore(s store.Store, gate *Gate) *Store { return &Store{s, gate} }

// admitted runs a read when its turn has come.
func admitted[T any](ctx context.Context, g *Gate, read func() (T, error)) (T, error) {
	leave, err := g.Enter(ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer leave()
	return read()
}

// View implements store.Reader.
func (s *Store) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	return admitted(ctx, s.gate, func() (store.View, error) { return s.Store.View(ctx, scope, req) })
}

// Facet implements store.Reader.
func (s *Store) Facet(ctx context.Context, scope query.Scope, req store.FacetRequest) (store.Facet, error) {
	return admitted(ctx, s.gate, func() (store.Facet, error) { return s.Store.Facet(ctx, scope, req) })
}

// Event implements store.Reader.
func (s *Store) Event(ctx context.Context, scope query.Scope, id audit.ID) (audit.Event, error) {
	return admitted(ctx, s.gate, func() (audit.Event, error) { return s.Store.Event(ctx, scope, id) })
}

// SameRequest implements store.Reader.
func (s *Store) SameRequest(ctx context.Context, scope query.Scope, e *audit.Event) (store.SameRequest, error) {
	return admitted(ctx, s.gate, func() (store.SameRequest, error) { return s.Store.SameRequest(ctx, scope, e) })
}

// Capture implements store.Reader.
func (s *Store) Capture(ctx context.Context, scope query.Scope, req store.CaptureRequest, row func(*audit.Event) error) (store.Capture, error) {
	return admitted(ctx, s.gate, func() (store.Capture, error) { return s.Store.Capture(ctx, scope, req, row) })
}

// Tail implements store.Reader.
func (s *Store) Tail(ctx context.Context, scope query.Scope, req store.TailRequest) (store.Tail, error) {
	return admitted(ctx, s.gate, func() (store.Tail, error) { return s.Store.Tail(ctx, scope, req) })
}

// Skews implements store.Reader.
func (s *Store) Skews(ctx context.Context) (map[string]time.Duration, error) {
	return admitted(ctx, s.gate, func() (map[string]time.Duration, error) { return s.Store.Skews(ctx) })
}

// Quarantine implements store.Reader.
func (s *Store) Quarantine(ctx context.Context, req store.QuarantineRequest) (store.QuarantinePage, error) {
	return admitted(ctx, s.gate, func() (store.QuarantinePage, error) { return s.Store.Quarantine(ctx, req) })
}

// Snapshot implements store.Snapshots.
func (s *Store) Snapshot(ctx context.Context, scope query.Scope, id string) (store.Manifest, error) {
	return s.manifest(ctx, func() (store.Manifest, error) { return s.Store.Snapshot(ctx, scope, id) })
}

// ListSnapshots implements store.Snapshots.
func (s *Store) ListSnapshots(ctx context.Context, scope query.Scope, req store.ListSnapshotsRequest) ([]store.Manifest, error) {
	return admitted(ctx, s.gate, func() ([]store.Manifest, error) { return s.Store.ListSnapshots(ctx, scope, req) })
}

// SnapshotsOf implements store.Snapshots.
func (s *Store) SnapshotsOf(ctx context.Context, uid string) ([]store.Manifest, error) {
	if callerOf(ctx).kind == Queries {
		// The controllers look for what is there with each reconciliation, a few at
		// a time; a deletion must not wait behind what others ask.
		return s.Store.SnapshotsOf(ctx, uid)
	}
	return admitted(ctx, s.gate, func() ([]store.Manifest, error) { return s.Store.SnapshotsOf(ctx, uid) })
}

func (s *Store) manifest(ctx context.Context, read func() (store.Manifest, error)) (store.Manifest, error) {
	if callerOf(ctx).kind == Queries {
		return read()
	}
	return admitted(ctx, s.gate, read)
}

// bodyBytes is how much of a snapshot is read with one turn.
const bodyBytes = 1 << 20

// OpenSnapshot implements store.Snapshots. Each part of the body is read in a
// turn of its own.
func (s *Store) OpenSnapshot(ctx context.Context, scope query.Scope, id string) (io.ReadCloser, error) {
	body, err := admitted(ctx, s.gate, func() (io.ReadCloser, error) { return s.Store.OpenSnapshot(ctx, scope, id) })
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{bufio.NewReaderSize(turns{ctx, s.gate, body}, bodyBytes), body}, nil
}

// turns reads as much as it is asked for in one turn.
type turns struct {
	ctx  context.Context
	gate *Gate
	body io.Reader
}

// Read implements io.Reader.
func (t turns) Read(p []byte) (int, error) {
	return Retry(t.ctx, func() (int, error) { return admitted(t.ctx, t.gate, func() (int, error) { return t.fill(p) }) })
}

func (t turns) fill(p []byte) (int, error) {
	n, err := io.ReadFull(t.body, p)
	if err == io.ErrUnexpectedEOF { //nolint:errorlint // io.ReadFull returns it as it is
		err = nil // the next call finds the end
	}
	return n, err
}

// Bounds of Retry.
const (
	retryEvery = time.Second
	// RetryMost is for how long an answer that has begun waits for its next part.
	RetryMost = time.Minute
)

// Retry makes a read of an answer whose first part was sent: there it is better
// to wait than to break off, so one that there are too many others for is made
// again, until RetryMost has passed or ctx ends.
func Retry[T any](ctx context.Context, read func() (T, error)) (T, error) {
	end := time.Now().Add(RetryMost)
	for {
		v, err := read()
		if !errors.Is(err, store.ErrBusy) || time.Now().After(end) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}
