package transfer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// now is when the tests take place: an afternoon, so that today has two halves.
var now = time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC)

func clock() time.Time { return now }

const days = 5

var discard = logr.Discard()

// newDatabase makes a database with the schema and returns its URL.
func newDatabase(t *testing.T) string {
	t.Helper()
	url := postgrestest.Shared(t).Database(t)
	if err := postgres.Migrate(t.Context(), url, discard); err != nil {
		t.Fatal(err)
	}
	return url
}

func openPostgres(t *testing.T, opts postgres.Options) *postgres.Store {
	t.Helper()
	if opts.URL == "" {
		opts.URL = newDatabase(t)
	}
	opts.Now = clock
	s, err := postgres.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openEmbedded(t *testing.T, opts embedded.Options) *embedded.Store {
	t.Helper()
	opts.Now = clock
	return embeddedtest.Open(t, opts)
}

// generated are the items of one delivery: n events as a cluster sends them
// from a time on.
func generated(t *testing.T, source string, start time.Time, n int) store.Batch {
	t.Helper()
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Fatal(err)
	}
	decoder := audit.Decoder{Source: source, Cluster: "prod", Classifier: classifier}
	generator := audittest.New(audittest.Options{Seed: uint64(start.Unix()), Start: start})
	batch := store.Batch{Source: source, ReceivedAt: start.Add(time.Minute)}
	if err := decoder.Decode(bytes.NewReader(generator.Batch(n)), func(item audit.Item) error {
		batch.Events = append(batch.Events, *item.Event)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return batch
}

// filled is a store with events of several days and two sources, of which some
// came twice, quarantined items and snapshots. It returns all events.
func filled(t *testing.T, s *embedded.Store, perDay int) []audit.Event {
	t.Helper()
	var all []audit.Event
	for day := range days {
		for part := range 4 { // so that a day has more than one commit
			source := fmt.Sprint("source-", part%2)
			batch := generated(t, source, now.AddDate(0, 0, -day).Add(-time.Duration(part)*2*time.Hour), perDay/4)
			batch.Quarantined = []audit.Quarantined{
				{Reason: "no JSON", Size: 7, Hash: sha256.Sum256([]byte{byte(day), byte(part)})},
				{Reason: "twice", Size: 9, Redacted: []byte(`{"a":1}`)}, {Reason: "twice", Size: 9, Redacted: []byte(`{"a":1}`)},
			}
			for range 2 {
				mustAppend(t, s, batch)
				batch.Quarantined = nil
			}
			all = append(all, batch.Events...)
		}
	}
	for n, namespace := range []string{"", "shop-1", "shop-2"} {
		take(t, s, n, namespace)
	}
	return all
}

func mustAppend(t *testing.T, s store.Writer, batch store.Batch) {
	t.Helper()
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, s snapshot.Store, n int, namespace string) {
	t.Helper()
	scope := query.ClusterWide()
	if namespace != "" {
		scope = query.InNamespaces("prod", namespace)
	}
	if _, err := snapshot.Take(t.Context(), s, snapshot.Request{
		ID: snapshot.LegacyID(fmt.Sprint(n), 1, ""), Owner: store.Owner{Kind: "AuditLogQuery", Name: "q", UID: fmt.Sprint(n)}, Scope: scope,
		Filter: query.Filter{Terms: query.Terms{Stages: audit.Stages}, Range: query.TimeRange{Duration: "10d"}}, Limit: 5000, Now: now,
	}); err != nil {
		t.Fatal(err)
	}
}

// mustCopy copies and checks that everything arrived.
func mustCopy(t *testing.T, from, to store.Holdings, opts Options) *Summary {
	t.Helper()
	summary, err := Copy(t.Context(), from, to, opts)
	if err != nil {
		t.Fatalf("Copy: %v", err)
	}
	if !summary.Whole() {
		t.Fatalf("the copy is not whole:\n%s", written(t, &summary))
	}
	return &summary
}

func written(t *testing.T, s *Summary) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// everything is all that a store holds.
type everything struct {
	Events      map[string]string // all fields, by ID
	Snapshots   map[string]store.Manifest
	Bodies      map[string]string
	Quarantined []audit.Quarantined
	Totals      []store.Totals
}

// read reads a store without the package that is tested.
func read(t *testing.T, s store.Holdings) everything {
	t.Helper()
	ctx := t.Context()
	all := everything{Events: map[string]string{}, Snapshots: map[string]store.Manifest{}, Bodies: map[string]string{}}
	counts, err := s.Days(ctx)
	must(t, err)
	for _, day := range counts {
		must(t, s.Export(ctx, store.Stretch{Day: day.Day}, func(audit.ID) bool { return true }, func(e *audit.Event, damage error) error {
			raw := string(e.Raw)
			e.Raw = nil
			all.Events[e.ID.String()] = fmt.Sprintf("%+v %s", *e, raw)
			return damage
		}))
	}
	manifests, err := s.Manifests(ctx)
	must(t, err)
	for _, m := range manifests {
		all.Snapshots[m.ID] = m
		all.Bodies[m.ID] = body(t, s, m.ID)
	}
	must(t, s.ExportQuarantine(ctx, func(q *audit.Quarantined) error {
		item := *q
		item.Redacted = slices.Clone(q.Redacted)
		all.Quarantined = append(all.Quarantined, item)
		return nil
	}))
	all.Totals, err = s.ExportTotals(ctx)
	must(t, err)
	slices.SortFunc(all.Totals, func(a, b store.Totals) int {
		return cmp.Or(cmp.Compare(a.Store, b.Store), cmp.Compare(a.Source, b.Source))
	})
	return all
}

func body(t *testing.T, s store.Holdings, id string) string {
	t.Helper()
	opened, err := s.SnapshotBody(context.WithoutCancel(t.Context()), id)
	must(t, err)
	defer opened.Close()
	content, err := io.ReadAll(opened)
	must(t, err)
	return string(content)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same compares what two stores hold.
func same(want, got everything) string {
	return gocmp.Diff(want, got, cmpopts.EquateEmpty())
}
