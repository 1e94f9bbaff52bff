package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// newDatabase makes a database with the schema and returns its URL.
func newDatabase(t testing.TB) string {
	t.Helper()
	url := postgrestest.Shared(t).Database(t)
	if err := Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	return url
}

// mustOpen opens a store that is closed with the test.
func mustOpen(t testing.TB, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// testNow is when the tests take place: an afternoon, so that today has two
// halves.
var testNow = time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC)

// openAt opens a store whose clock stands at testNow.
func openAt(t *testing.T, url string) *Store {
	t.Helper()
	return mustOpen(t, Options{URL: url, Now: func() time.Time { return testNow }, Log: testr.New(t)})
}

// plain is a simple event with an ID and a raw of its own.
func plain(n int, at time.Time) audit.Event {
	e := audit.Event{
		Source: "s", Cluster: "prod", Stage: audit.StageResponseComplete, OccurredAt: at.UTC().Truncate(time.Microsecond),
		Actor: "alice", Method: "GET", ResourceType: "application", Action: "application.get", Namespace: "shop",
		StatusCode: 200, Client: audit.ClientCLI, IPs: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
		Raw: fmt.Appendf(nil, `{"kind":"Event","n":%d}`, n),
	}
	e.StageAt = e.OccurredAt.Add(time.Second)
	e.RawSHA256 = sha256.Sum256(e.Raw)
	copy(e.ID[:], e.RawSHA256[:])
	return e
}

func batchOf(events ...audit.Event) store.Batch {
	return store.Batch{Source: "s", ReceivedAt: testNow, Events: events}
}

// generated are n events as a cluster sends them, from a time on.
func generated(t testing.TB, seed uint64, start time.Time, n int) []audit.Event {
	t.Helper()
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Fatal(err)
	}
	decoder := audit.Decoder{Source: "s", Cluster: "prod", Classifier: classifier}
	generator := audittest.New(audittest.Options{Seed: seed, Start: start})
	var events []audit.Event
	if err := decoder.Decode(bytes.NewReader(generator.Batch(n)), func(item audit.Item) error {
		events = append(events, *item.Event)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return events
}

func mustAppend(t testing.TB, s *Store, want store.Appended, events ...audit.Event) {
	t.Helper()
	got, err := s.Append(t.Context(), batchOf(events...))
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	if got != want {
		t.Fatalf("Append = %+v, want %+v", got, want)
	}
}

// asker is a test, or a check of generated values in one.
type asker interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// ask returns the one value of a statement's answer.
func ask[T any](t asker, s *Store, sql string, args ...any) T {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func mustExec(t testing.TB, s *Store, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// closeStore ends a store that a test opened by itself.
func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
