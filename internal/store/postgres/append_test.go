package postgres

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/intake"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// stored is a row of the view, as text.
type stored map[string]string

// rowsOf returns all rows of the view by ID.
func rowsOf(t *testing.T, s *Store) map[string]stored {
	t.Helper()
	var objects []map[string]any
	if err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SET LOCAL timezone = 'UTC'"); err != nil {
			return err
		}
		rows, err := tx.Query(t.Context(), "SELECT to_jsonb(e) FROM audit_events AS e")
		if err == nil {
			objects, err = pgx.CollectRows(rows, pgx.RowTo[map[string]any])
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	all := map[string]stored{}
	for _, object := range objects {
		texts := stored{}
		for name, value := range object {
			texts[name] = fmt.Sprint(value)
		}
		all[texts["id"]] = texts
	}
	return all
}

func TestAppendKeepsEveryField(t *testing.T) {
	s := openAt(t, newDatabase(t))
	e := audit.Event{
		ID: audit.ID{1, 2, 3}, Source: "apiserver-1", Cluster: "prod", AuditID: "0f0e0d0c-0b0a-4908-8706-050403020100",
		Level: "Metadata", Stage: audit.StagePanic, OccurredAt: testNow.Add(-time.Hour), StageAt: testNow,
		Actor: "al\x00ice\xff", ActorKind: audit.ActorUser, ActedVia: "admin", Groups: []string{`a,"b\`, "\xff"}, ActedViaGroups: []string{"system:masters"}, CredentialID: "X509SHA256=1",
		Method: "POST", Verb: "create", ResourceType: "application", Action: "application.scale",
		APIGroup: "apps", APIVersion: "v1", Resource: "deployments", Subresource: "scale", Namespace: "shop", ResourceName: "größe\x00",
		Path: "/apis/apps/v1\xfe", StatusCode: 201, DryRun: audit.DryRunTrue, Client: audit.ClientCLI, UserAgent: "kubectl/1",
		IPs:       []netip.Addr{netip.MustParseAddr("::ffff:10.1.2.3"), netip.MustParseAddr("fe80::1%eth0"), {}, netip.MustParseAddr("2001:db8::1")},
		RawSHA256: [32]byte{0xab}, Raw: []byte(`{"kind":"Event"}`),
	}
	bare := audit.Event{ID: audit.ID{4}, AuditID: "chosen by \x00 the client", OccurredAt: testNow, Stage: audit.StagePanic}
	mustAppend(t, s, store.Appended{Stored: 2}, e, bare)
	want := map[string]stored{
		e.ID.String(): {
			"occurred_at": "2026-03-14T14:09:26.535897+00:00", "stage_at": "2026-03-14T15:09:26.535897+00:00", "ingested_at": "2026-03-14T15:09:26.535897+00:00",
			"source": "apiserver-1", "cluster": "prod", "stage": "Panic", "level": "Metadata", "actor": "al\uFFFDice\uFFFD", "actor_kind": "user",
			"acted_via": "admin", "groups": `[a,"b\ �]`, "acted_via_groups": "[system:masters]", "credential_id": "X509SHA256=1", "user_agent": "kubectl/1", "client": "cli", "method": "POST", "verb": "create",
			"resource_type": "application", "action": "application.scale", "api_group": "apps", "api_version": "v1", "resource": "deployments",
			"subresource": "scale", "namespace": "shop", "resource_name": "größe\uFFFD", "path": "/apis/apps/v1\uFFFD", "status_code": "201", "dry_run": "true",
			"truncated": "false", "is_foreign": "false",
			"ip": "2001:db8::1", "more_ips": "[10.1.2.3 fe80::1]", "audit_id": "0f0e0d0c-0b0a-4908-8706-050403020100",
			"id": e.ID.String(), "raw_sha256": "ab" + fmt.Sprintf("%062d", 0),
		},
		bare.ID.String(): {
			"occurred_at": "2026-03-14T15:09:26.535897+00:00", "stage_at": "0001-01-01T00:00:00+00:00", "ingested_at": "2026-03-14T15:09:26.535897+00:00",
			"source": "", "cluster": "", "stage": "Panic", "level": "", "actor": "", "actor_kind": "",
			"acted_via": "", "groups": "<nil>", "acted_via_groups": "<nil>", "credential_id": "", "user_agent": "", "client": "", "method": "", "verb": "",
			"resource_type": "", "action": "", "api_group": "", "api_version": "", "resource": "",
			"subresource": "", "namespace": "", "resource_name": "", "path": "", "status_code": "0", "dry_run": "false",
			"truncated": "false", "is_foreign": "false",
			"ip": "<nil>", "more_ips": "<nil>", "audit_id": "chosen by \uFFFD the client",
			"id": bare.ID.String(), "raw_sha256": fmt.Sprintf("%064d", 0),
		},
	}
	if d := cmp.Diff(want, rowsOf(t, s)); d != "" {
		t.Errorf("stored (-want +got):\n%s", d)
	}
}

func TestAppendStoresOnce(t *testing.T) {
	url := newDatabase(t)
	s, other := openAt(t, url), openAt(t, url)
	today, yesterday, old := plain(1, testNow), plain(2, testNow.Add(-30*time.Hour)), plain(3, testNow.Add(-9*24*time.Hour))
	mustAppend(t, s, store.Appended{Stored: 2, Duplicate: 2}, today, yesterday, today, yesterday)
	mustAppend(t, other, store.Appended{Stored: 1, Duplicate: 2}, yesterday, old, today)
	mustAppend(t, s, store.Appended{Duplicate: 3}, today, yesterday, old)
	mustAppend(t, s, store.Appended{})
	if got := len(rowsOf(t, s)); got != 3 {
		t.Errorf("%d events are stored, want 3", got)
	}
	checkRollups(t, s)
	// A blob of duplicates only is not kept.
	if got := ask[int](t, s, "SELECT count(*) FROM audit_raw"); got != 3 {
		t.Errorf("%d blobs are kept, want 3", got)
	}
	want := []store.SourceStats{{Source: "s", Received: 10, Stored: 3, Duplicate: 7, LastReceivedAt: testNow, LastEventAt: today.StageAt}}
	if got, err := s.Sources(t.Context()); err != nil || !cmp.Equal(want, got) {
		t.Errorf("Sources = %v, %v; want %v", got, err, want)
	}
}

// TestAppendKeepsRaw finds every raw where the rows say that it is, in batches
// of many blobs too.
func TestAppendKeepsRaw(t *testing.T) {
	s := openAt(t, newDatabase(t))
	events := generated(t, 1, testNow.Add(-26*time.Hour), 600)
	for i := range events {
		if i%200 == 0 {
			events[i].Raw = bytes.Repeat([]byte{byte('a' + i/1000)}, blobTarget+1)
		}
	}
	events = append(events, plain(1, testNow))
	events[len(events)-1].Raw = nil
	// The first one is sent often, in blobs of which one is kept for it.
	mustAppend(t, s, store.Appended{Stored: len(events), Duplicate: 5}, append(slices.Clone(events), slices.Repeat(events[:1], 5)...)...)
	for _, e := range events {
		var batch int64
		var start, size int
		if err := s.pool.QueryRow(t.Context(), "SELECT raw_batch, raw_start, raw_size FROM audit_rows WHERE id = $1", [16]byte(e.ID)).
			Scan(&batch, &start, &size); err != nil {
			t.Fatal(err)
		}
		var got []byte
		if size > 0 {
			blob, err := unpacker.DecodeAll(ask[[]byte](t, s, "SELECT blob FROM audit_raw WHERE batch = $1 AND day = $2", batch, e.Day()), nil)
			if err != nil {
				t.Fatal(err)
			}
			got = blob[start : start+size]
			if len(blob) > blobTarget && len(blob) > size {
				t.Fatalf("a blob of several events has %d bytes, want at most %d", len(blob), blobTarget)
			}
		}
		if !bytes.Equal(got, e.Raw) {
			t.Fatalf("the raw of %s is %.80q, want %.80q", e.ID, got, e.Raw)
		}
	}
}

func TestAppendQuarantines(t *testing.T) {
	s := mustOpen(t, Options{URL: newDatabase(t), Now: func() time.Time { return testNow }, QuarantineBytes: 4000, Retention: 24 * time.Hour})
	early, late := plain(1, testNow.Add(-24*time.Hour-time.Microsecond)), plain(2, testNow.Add(time.Hour+time.Microsecond))
	given := audit.Quarantined{Source: "other", ReceivedAt: testNow.Add(-time.Minute), Reason: "no\x00JSON", Size: 1 << 40, Hash: [32]byte{1}, Redacted: []byte("{}")}
	large := audit.Quarantined{Reason: "too large", Size: 1001, Redacted: make([]byte, 1001)}
	got, err := s.Append(t.Context(), store.Batch{
		Source: "s", ReceivedAt: testNow, Events: []audit.Event{early, late}, Quarantined: []audit.Quarantined{given, large},
	})
	if err != nil || got != (store.Appended{Quarantined: 4}) {
		t.Fatalf("Append = %+v, %v; want 4 quarantined", got, err)
	}
	want := []audit.Quarantined{
		{Source: "s", Cluster: late.Cluster, ReceivedAt: testNow, Reason: intake.Outside(&late, testNow, 24*time.Hour), Size: int64(len(late.Raw)), Hash: late.RawSHA256, Redacted: late.Raw},
		{Source: "s", Cluster: early.Cluster, ReceivedAt: testNow, Reason: intake.Outside(&early, testNow, 24*time.Hour), Size: int64(len(early.Raw)), Hash: early.RawSHA256, Redacted: early.Raw},
		{Source: "s", ReceivedAt: testNow, Reason: "too large", Size: 1001},
	}
	if items, err := storetest.Quarantined(t.Context(), s, "s"); err != nil || !cmp.Equal(want, items) {
		t.Errorf("Quarantine, %v (-want +got):\n%s", err, cmp.Diff(want, items))
	}
	given.Reason = "no\uFFFDJSON"
	if items, err := storetest.Quarantined(t.Context(), s, "other"); err != nil || !cmp.Equal([]audit.Quarantined{given}, items) {
		t.Errorf("Quarantine of another source = %+v, %v; want %+v", items, err, given)
	}
}
