package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// event is the nth event, n seconds before now.
func event(n int, namespace string) audit.Event {
	raw := fmt.Appendf(nil, `{"n":%d}`, n)
	at := now.Add(-time.Duration(n) * time.Second)
	return audit.Event{
		ID: audit.ID{byte(n >> 8), byte(n)}, Source: "control-plane-1", Cluster: "dev", AuditID: fmt.Sprint("audit-", n),
		Level: "Metadata", Stage: audit.StageResponseComplete, OccurredAt: at, StageAt: at.Add(3 * time.Microsecond),
		Actor: `o'neil <x>&"\ é`, ActorKind: audit.ActorUser, Method: "PATCH", Verb: "patch",
		ResourceType: "application", Action: "application.patch", APIGroup: "apps", APIVersion: "v1", Resource: "deployments",
		Namespace: namespace, ResourceName: "checkout", Path: "/apis/apps/v1/x\u2028?a=1&b=<2>", StatusCode: 200, Client: audit.ClientCLI,
		UserAgent: "kubectl/v1.37.2", IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1")},
		RawSHA256: sha256.Sum256(raw), Raw: raw,
	}
}

func newStore(t *testing.T, events ...audit.Event) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{Retention: 30 * 24 * time.Hour, Now: func() time.Time { return now }})
	if _, err := s.Append(t.Context(), store.Batch{Source: "control-plane-1", ReceivedAt: now, Events: events}); err != nil {
		t.Fatal(err)
	}
	return s
}

func request(id string) Request {
	return Request{
		ID: LegacyID(id, 1, ""), Owner: store.Owner{Kind: "ClusterAuditLogQuery", Name: id, UID: id},
		Run: &store.Run{Generation: 1, Request: "again", Number: 2}, Scope: query.ClusterWide(), Limit: 100, Now: now, Retention: 30 * 24 * time.Hour,
	}
}

func body(t *testing.T, s store.Store, scope query.Scope, id string) []byte {
	t.Helper()
	r, err := s.OpenSnapshot(t.Context(), scope, id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTake(t *testing.T) {
	withoutStatus := event(3, "shop")
	withoutStatus.StatusCode, withoutStatus.Stage = 0, audit.StagePanic
	s := newStore(t, event(1, "shop"), event(2, "billing"), withoutStatus, event(300, "shop"))
	r := request("a")
	r.Limit = 2
	m, err := Take(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	got := body(t, s, r.Scope, m.ID)
	sum := sha256.Sum256(got)
	want := store.Manifest{
		ID: r.ID, Owner: r.Owner, Run: r.Run, RecordVersion: 2, TakenAt: now, AsOf: m.AsOf, From: now.Add(-7 * 24 * time.Hour), To: now,
		Matched: 4, Stored: 2, Truncated: true,
		CountsByType:        map[string]int64{"application": 4},
		CountsByStatusClass: map[string]int64{"2xx": 3, "none": 1},
		Complete:            CompleteUnknown, CompleteReason: NotMeasured,
		Digest: "sha256:" + hex.EncodeToString(sum[:]), ManifestDigest: m.ManifestDigest,
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	kept, err := s.Snapshot(t.Context(), r.Scope, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := manifestDigest(kept); err != nil || again != m.ManifestDigest {
		t.Errorf("the kept manifest's digest is %s (%v), not %s", again, err, m.ManifestDigest)
	}
	// The newest two, the older one first.
	if lines := strings.Count(string(got), "\n"); lines != 2 || bytes.Index(got, []byte("audit-2")) > bytes.Index(got, []byte("audit-1")) {
		t.Errorf("got %s", got)
	}
	newest, err := Newest(t.Context(), s, r.Scope, m.ID, 1)
	if err != nil || len(newest) != 1 || newest[0].AuditID != "audit-1" {
		t.Errorf("newest: %v, %v", newest, err)
	}
}

// The format is a promise: whoever archived a digest must be able to compute it
// from another snapshot of the same events.
func TestBodyIsTheFormatThatWasPromised(t *testing.T) {
	e := event(1, "shop")
	e.IngestedAt, e.ActedVia, e.CredentialID, e.Subresource = now, "admin", "JTI=1", "scale"
	e.Groups, e.ActedViaGroups = []string{"dev", "system:authenticated"}, []string{"system:masters"}
	r := NewRecord(&e)
	if fields := reflect.ValueOf(r); slices.ContainsFunc(reflect.VisibleFields(fields.Type()), func(f reflect.StructField) bool {
		return fields.FieldByIndex(f.Index).IsZero() && !slices.Contains([]string{"DryRun", "Truncated", "Foreign"}, f.Name) && len(f.Index) == 1
	}) {
		t.Errorf("the test leaves a field out: %+v", r)
	}
	line, err := r.AppendLine(nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/record.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(line)); diff != "" {
		t.Error(diff)
	}
	// The marks, which came later, stand only where they are set.
	e.Truncated, e.Foreign = true, true
	marked := NewRecord(&e)
	withMarks, err := marked.AppendLine(nil)
	if err != nil {
		t.Fatal(err)
	}
	with := strings.NewReplacer(`"dryRun":"false",`, `"dryRun":"false","foreign":true,`, `"subresource":"scale",`, `"subresource":"scale","truncated":true,`).Replace(string(want))
	if diff := cmp.Diff(with, string(withMarks)); diff != "" || with == string(want) {
		t.Error(diff)
	}
	canonical := jsontext.Value(bytes.Clone(withMarks))
	if err := canonical.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(canonical)+"\n", string(withMarks)); diff != "" {
		t.Errorf("the line is not canonical: %s", diff)
	}
	for _, version := range []string{string(line), strings.Replace(string(line), `"dryRun":"false"`, `"dryRun":false`, 1)} {
		if parsed, err := ParseRecord([]byte(version)); err != nil || cmp.Diff(r, parsed) != "" {
			t.Errorf("%s reads as %+v, %v", version, parsed, err)
		}
	}
	parsed, err := ParseRecord(line)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, parsed); diff != "" {
		t.Error(diff)
	}
}

func TestTakeTwiceIsOne(t *testing.T) {
	s := newStore(t, event(1, "shop"))
	r := request("a")
	first, err := Take(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), store.Batch{Source: "control-plane-1", ReceivedAt: now, Events: []audit.Event{event(2, "shop")}}); err != nil {
		t.Fatal(err)
	}
	r.Now = now.Add(time.Minute)
	second, err := Take(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("a snapshot changed: %s", diff)
	}
}

func TestTakeStaysInItsScope(t *testing.T) {
	s := newStore(t, event(1, "shop"), event(2, "billing"))
	r := request("a")
	r.Scope = query.InNamespaces("dev", "billing")
	m, err := Take(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	got := body(t, s, r.Scope, m.ID)
	if m.Matched != 1 || m.Namespace != "billing" || m.Cluster != "dev" || bytes.Contains(got, []byte("shop")) {
		t.Errorf("manifest %+v, body %s", m, got)
	}
	if _, err := s.Snapshot(t.Context(), query.InNamespaces("dev", "shop"), m.ID); err == nil {
		t.Error("another namespace sees the snapshot")
	}
}

func TestCompleteness(t *testing.T) {
	s := newStore(t)
	for _, test := range []struct{ name, duration, complete, reason string }{
		{"within the retention", "30d", CompleteUnknown, NotMeasured},
		{"beyond it", "31d", CompleteFalse, BeyondRetention},
		{"with items in quarantine", "1h", CompleteFalse, Quarantined},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.reason == Quarantined {
				item := audit.Quarantined{Cluster: "dev", Reason: "no JSON", ReceivedAt: now.Add(-time.Minute)}
				if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: now, Quarantined: []audit.Quarantined{item}}); err != nil {
					t.Fatal(err)
				}
			}
			r := request(test.name)
			r.Filter.Range.Duration = test.duration
			m, err := Take(t.Context(), s, r)
			if err != nil {
				t.Fatal(err)
			}
			if m.Complete != test.complete || m.CompleteReason != test.reason {
				t.Errorf("got %s, %s", m.Complete, m.CompleteReason)
			}
			if m.Matched != 0 || m.Truncated || m.Digest != "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
				t.Errorf("an empty answer is %+v", m)
			}
		})
	}
}

func TestManifestDigestCoversEverything(t *testing.T) {
	base := store.Manifest{ID: "a", Filter: "actor=x", TakenAt: now, AsOf: now, From: now, To: now, Matched: 1, Complete: "Unknown", Digest: "sha256:00", CountsByType: map[string]int64{"a": 1}}
	digests := map[string]string{}
	for name, change := range map[string]func(*store.Manifest){
		"nothing":      func(*store.Manifest) {},
		"filter":       func(m *store.Manifest) { m.Filter = "actor=y" },
		"namespace":    func(m *store.Manifest) { m.Namespace = "shop" },
		"from":         func(m *store.Manifest) { m.From = now.Add(-time.Microsecond) },
		"to":           func(m *store.Manifest) { m.To = now.Add(time.Microsecond) },
		"asOf":         func(m *store.Manifest) { m.AsOf = now.Add(time.Microsecond) },
		"matched":      func(m *store.Manifest) { m.Matched = 2 },
		"truncated":    func(m *store.Manifest) { m.Truncated = true },
		"counts":       func(m *store.Manifest) { m.CountsByType = map[string]int64{"a": 2} },
		"completeness": func(m *store.Manifest) { m.Complete = "False" },
		"run":          func(m *store.Manifest) { m.Run = &store.Run{Generation: 1} },
		"its number":   func(m *store.Manifest) { m.Run = &store.Run{Generation: 1, Number: 1} },
		"digest":       func(m *store.Manifest) { m.Digest = "sha256:01" },
	} {
		m := base
		change(&m)
		d, err := manifestDigest(m)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := digests[d]; ok {
			t.Errorf("%s and %s have the same digest", name, other)
		}
		digests[d] = name
	}
}

func TestIDTellsItsPartsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{LegacyID("a", 1, ""), LegacyID("a", 11, ""), LegacyID("a1", 1, ""), LegacyID("a", 1, "1"), LegacyID("a", 1, "x"), NewID(), NewID()} {
		if seen[id] || len(id) != 32 {
			t.Errorf("ID %s is not one of its own", id)
		}
		seen[id] = true
	}
}

// A window that is not over is not complete, whatever else is true of it.
func TestCompletenessOfAWindowThatIsNotOver(t *testing.T) {
	for _, test := range []struct {
		from, to         time.Duration // from now
		complete, reason string
	}{
		{-time.Hour, 0, CompleteUnknown, NotMeasured},
		{-time.Hour, time.Microsecond, CompleteFalse, WindowNotOver},
		{time.Hour, 2 * time.Hour, CompleteFalse, WindowNotOver},
		{-31 * 24 * time.Hour, time.Hour, CompleteFalse, WindowNotOver},
	} {
		complete, reason := Completeness(query.Window{From: now.Add(test.from), To: now.Add(test.to)}, now, 30*24*time.Hour, 0)
		if complete != test.complete || reason != test.reason {
			t.Errorf("from %v to %v: %s, %s", test.from, test.to, complete, reason)
		}
	}
}

// Manifests of before runs had keys keep the digest that they were given.
func TestManifestDigestOfBefore(t *testing.T) {
	m := store.Manifest{ID: "a", Filter: "actor=x", TakenAt: now, AsOf: now, From: now, To: now, Complete: "Unknown", Digest: "sha256:00"}
	const want = "sha256:c0ade47fecc0e1cb124efd9d7f93ee145ec63749ec0cb5c7b031d376eda2c35a"
	if got, err := manifestDigest(m); err != nil || got != want {
		t.Errorf("digest %s (%v), want %s", got, err, want)
	}
}
