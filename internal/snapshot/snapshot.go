// Package snapshot takes snapshots: answers that never change. The body is
// newline-delimited JSON, one Record for each event in ascending order of
// (occurredAt, id), and its SHA-256 is the digest, so that sha256sum proves a
// download. The manifest's digest covers what else the snapshot says.
package snapshot

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Store is what taking and reading a snapshot needs.
type Store interface {
	Capture(ctx context.Context, scope query.Scope, req store.CaptureRequest, row func(*audit.Event) error) (store.Capture, error)
	store.Snapshots
}

// Request says what to take.
type Request struct {
	ID     string // see NewID
	Run    *store.Run
	Owner  store.Owner
	Scope  query.Scope
	Filter query.Filter
	Limit  int       // newest rows to keep
	Now    time.Time // the end of a window that is relative to the run
	// Retention is how long events are kept.
	Retention time.Duration
}

// Values of Manifest.Complete.
const (
	CompleteFalse   = "False"
	CompleteUnknown = "Unknown"
)

// Values of Manifest.CompleteReason.
const (
	NotMeasured     = "NotMeasured"
	BeyondRetention = "BeyondRetention"
	WindowNotOver   = "WindowNotOver"
	Quarantined     = "Quarantined" // what may be events of the window became none
)

// NoStatusClass counts the events without a status code.
const NoStatusClass = "none"

// NewID returns an ID that no snapshot has or had: what was cited by its ID must
// never become something else. What a run has taken is found by the manifest's
// Run.
func NewID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// LegacyID is the ID of a snapshot that a query of a generation asked for before
// manifests had a Run.
func LegacyID(uid string, generation int64, requestedAt string) string {
	sum := sha256.New()
	for _, part := range []string{uid, strconv.FormatInt(generation, 10), requestedAt} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Take takes a snapshot and returns its manifest; one of the same ID that was
// taken before is returned as it is. Errors are those of query.TimeRange.Resolve
// and of the store.
func Take(ctx context.Context, s Store, r Request) (store.Manifest, error) {
	traces := trace.SpanFromContext(ctx).TracerProvider().Tracer("github.com/porter-dev/audit-operator/internal/snapshot")
	ctx, span := traces.Start(ctx, "snapshot.take")
	defer span.End()
	m, err := take(ctx, s, r)
	if err != nil {
		span.SetStatus(codes.Error, "")
		return m, err
	}
	span.SetAttributes(attribute.Int64("audit.matched", m.Matched), attribute.Int64("audit.stored", m.Stored))
	return m, nil
}

func take(ctx context.Context, s Store, r Request) (store.Manifest, error) {
	window, err := r.Filter.Range.Resolve(r.Now)
	if err != nil {
		return store.Manifest{}, err
	}
	var manifest store.Manifest
	space, err := spaceOf(r.Scope)
	if err != nil {
		return store.Manifest{}, err
	}
	err = s.SaveSnapshot(ctx, r.ID, space, func(body io.Writer) (store.Manifest, error) {
		manifest, err = capture(ctx, s, r, window, body)
		return manifest, err
	})
	if errors.Is(err, store.ErrExists) {
		return s.Snapshot(ctx, r.Scope, r.ID)
	}
	if err != nil {
		return store.Manifest{}, fmt.Errorf("take snapshot %s: %w", r.ID, err)
	}
	return manifest, nil
}

// spaceOf is where a snapshot of a scope is kept.
func spaceOf(scope query.Scope) (store.SnapshotSpace, error) {
	cluster, namespaces := scope.Namespaces()
	if len(namespaces) > 1 {
		return store.SnapshotSpace{}, errors.New("a snapshot is of one namespace or of the whole cluster")
	}
	return store.SnapshotSpace{Cluster: cluster, Namespace: strings.Join(namespaces, "")}, nil
}

func capture(ctx context.Context, s Store, r Request, window query.Window, body io.Writer) (store.Manifest, error) {
	digest := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(body, digest), 64<<10)
	rows := newLines(out)
	captured, err := s.Capture(ctx, r.Scope, store.CaptureRequest{Filter: r.Filter, Window: window, Limit: r.Limit, Begin: rows.begin}, rows.add)
	if err != nil {
		return store.Manifest{}, err
	}
	if err := out.Flush(); err != nil {
		return store.Manifest{}, err
	}
	space, err := spaceOf(r.Scope)
	if err != nil {
		return store.Manifest{}, err
	}
	m := store.Manifest{
		ID: r.ID, Owner: r.Owner, Cluster: space.Cluster, Namespace: space.Namespace, Filter: r.Filter.Encode(), Run: r.Run,
		TakenAt: r.Now.UTC().Truncate(time.Microsecond), AsOf: captured.AsOf, From: window.From, To: window.To,
		RecordVersion: RecordVersion,
		Matched:       captured.Matched, Stored: rows.stored, Truncated: rows.stored < captured.Matched || rows.shortened > 0, Shortened: rows.shortened,
		CountsByType: captured.CountsByType, CountsByStatusClass: captured.CountsByStatusClass,
		Digest: "sha256:" + hex.EncodeToString(digest.Sum(nil)),
	}
	m.Complete, m.CompleteReason = Completeness(window, r.Now, r.Retention, captured.Quarantined)
	withStatus := int64(0)
	for _, n := range m.CountsByStatusClass {
		withStatus += n
	}
	if rest := m.Matched - withStatus; rest > 0 {
		m.CountsByStatusClass[NoStatusClass] = rest
	}
	m.ManifestDigest, err = manifestDigest(m)
	return m, err
}

// Completeness says how complete the answer about a window is, and why, to a
// question that was asked at a time: that of the request, by which it resolved
// its window, and not one that a cursor remembers. A retention of 0 is endless.
// Quarantined is how many items may be events of the window, as the answer's
// read counted them.
func Completeness(w query.Window, asked time.Time, retention time.Duration, quarantined int64) (complete, reason string) {
	if w.To.After(asked) {
		return CompleteFalse, WindowNotOver // there will be another answer
	}
	// Windows are of whole microseconds.
	if retention > 0 && w.From.Before(asked.Add(-retention).Truncate(time.Microsecond)) {
		return CompleteFalse, BeyondRetention
	}
	if quarantined > 0 {
		return CompleteFalse, Quarantined
	}
	return CompleteUnknown, NotMeasured
}

// manifestDigest is the SHA-256 of the manifest without it, as canonical JSON
// (RFC 8785).
func manifestDigest(m store.Manifest) (string, error) {
	m.ManifestDigest = ""
	encoded, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("encode the manifest of snapshot %s: %w", m.ID, err)
	}
	value := jsontext.Value(encoded)
	if err := value.Canonicalize(); err != nil {
		return "", fmt.Errorf("encode the manifest of snapshot %s: %w", m.ID, err)
	}
	sum := sha256.Sum256(value)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Newest returns up to n of a snapshot's records, the newest first.
func Newest(ctx context.Context, s store.Snapshots, scope query.Scope, id string, n int) ([]Record, error) {
	if n <= 0 {
		return nil, nil
	}
	body, err := s.OpenSnapshot(ctx, scope, id)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	defer body.Close()
	lines := bufio.NewReaderSize(body, 64<<10)
	var last [][]byte
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read snapshot %s: %w", id, err)
		}
		if len(last) == n {
			copy(last, last[1:])
			last = last[:n-1]
		}
		last = append(last, bytes.TrimSuffix(line, []byte("\n")))
	}
	var records []Record
	for _, line := range slices.Backward(last) {
		r, err := ParseRecord(line)
		if err != nil {
			return nil, fmt.Errorf("read snapshot %s: %w", id, err)
		}
		records = append(records, r)
	}
	return records, nil
}
