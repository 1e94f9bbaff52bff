package controllers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// fault is what happens to questions about one namespace.
type fault struct {
	err   error
	block chan struct{} // waits until it is closed
}

// faultyStore is a real store whose answers fail where a test says so.
type faultyStore struct {
	store.Store
	mu sync.Mutex
	of map[string]fault
	// lost are owners whose snapshots can't be listed.
	lost map[string]error
}

func (s *faultyStore) lose(uid string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost == nil {
		s.lost = map[string]error{}
	}
	s.lost[uid] = err
}

func (s *faultyStore) SnapshotsOf(ctx context.Context, uid string) ([]store.Manifest, error) {
	s.mu.Lock()
	err := s.lost[uid]
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.Store.SnapshotsOf(ctx, uid)
}

func (s *faultyStore) set(namespace string, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[namespace] = f
}

func (s *faultyStore) get(namespace string) fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[namespace]
}

func (s *faultyStore) Capture(ctx context.Context, scope query.Scope, req store.CaptureRequest, row func(*audit.Event) error) (store.Capture, error) {
	_, namespaces := scope.Namespaces()
	f := s.get(strings.Join(namespaces, ""))
	if f.block != nil {
		select {
		case <-f.block:
		case <-ctx.Done():
		}
	}
	if f.err != nil {
		return store.Capture{}, f.err
	}
	return s.Store.Capture(ctx, scope, req, row)
}

// newEvent returns one that happened just now, so that the namespaces of a test
// existed, with an ID of its own.
func newEvent(cluster, namespace, resourceType string) audit.Event {
	at := time.Now().UTC().Truncate(time.Microsecond)
	e := audit.Event{
		Source: "test", Cluster: cluster, Stage: audit.StageResponseComplete, Level: "Metadata", OccurredAt: at, StageAt: at,
		Actor: "alice@example.com", ActorKind: audit.ActorUser, Method: "POST", Verb: "create", ResourceType: resourceType,
		Action: resourceType + ".create", Namespace: namespace, ResourceName: "checkout", Path: "/x", StatusCode: 201,
		Client: audit.ClientCLI, IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1")}, Raw: []byte("{}"),
	}
	e.RawSHA256 = sha256.Sum256(e.Raw)
	_, _ = rand.Read(e.ID[:])
	return e
}

func put(t *testing.T, events ...audit.Event) {
	t.Helper()
	appended, err := faults.Append(t.Context(), store.Batch{Source: "test", ReceivedAt: time.Now(), Events: events})
	if err != nil || appended.Stored != len(events) {
		t.Fatalf("stored %+v of %d: %v", appended, len(events), err)
	}
}

// snapshotsOf returns the IDs of the snapshots that the store has of a query.
func snapshotsOf(t *testing.T, uid string) []string {
	t.Helper()
	manifests, err := faults.SnapshotsOf(t.Context(), uid)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 0, len(manifests))
	for _, m := range manifests {
		ids = append(ids, m.ID)
	}
	return ids
}
