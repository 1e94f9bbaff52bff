package storetest

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

func (b *bench) quarantined(t *testing.T) []audit.Quarantined {
	t.Helper()
	var items []audit.Quarantined
	if err := b.holdings(t).ExportQuarantine(t.Context(), func(q *audit.Quarantined) error {
		item := *q
		item.Redacted = append([]byte(nil), q.Redacted...)
		items = append(items, item)
		return nil
	}); err != nil {
		t.Fatalf("ExportQuarantine: %v", err)
	}
	return items
}

func testExportQuarantine(t *testing.T, b *bench) {
	now := b.clock.Now().Truncate(time.Microsecond)
	items := []audit.Quarantined{
		{Source: "s", ReceivedAt: now, Reason: "twice", Size: 3, Hash: [32]byte{1}, Redacted: []byte(`{"a":"\u0000"}`)},
		{Source: "s", ReceivedAt: now, Reason: "twice", Size: 3, Hash: [32]byte{1}, Redacted: []byte(`{"a":"\u0000"}`)},
		{Source: "other", ReceivedAt: now.Add(-time.Hour), Reason: "no JSON", Size: 1 << 40, Hash: [32]byte{31: 2}},
	}
	if _, err := b.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: now, Quarantined: items}); err != nil {
		t.Fatalf("Append: %v", err)
	}
	if d := cmp.Diff(items, b.quarantined(t)); d != "" {
		t.Errorf("ExportQuarantine (-want +got):\n%s", d)
	}
	to := b.another(t)
	if err := to.holdings(t).ImportQuarantine(t.Context(), items); err != nil {
		t.Fatalf("ImportQuarantine: %v", err)
	}
	to.reopen(t)
	if d := cmp.Diff(items, to.quarantined(t)); d != "" {
		t.Errorf("ImportQuarantine (-want +got):\n%s", d)
	}
	if sources, err := to.Sources(t.Context()); err != nil || len(sources) != 0 {
		t.Errorf("Sources after an import = %v, %v; it is counted elsewhere", sources, err)
	}
}

// testTotals copies totals more than once, there and back, while both stores
// go on counting.
func testTotals(t *testing.T, b *bench) {
	first, second, third := b, b.another(t), b.another(t)
	deliver := func(to *bench, n int, at time.Duration) {
		now := to.clock.Now()
		e := plain(n, now)
		if _, err := to.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: now.Add(at), Events: []audit.Event{e, e}, Quarantined: []audit.Quarantined{{Reason: "none"}}}); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	take := func(to, from *bench) {
		t.Helper()
		totals, err := from.holdings(t).ExportTotals(t.Context())
		if err != nil {
			t.Fatalf("ExportTotals: %v", err)
		}
		if err := to.holdings(t).ImportTotals(t.Context(), totals); err != nil {
			t.Fatalf("ImportTotals: %v", err)
		}
	}
	received := func(b *bench, want int64, last time.Time) {
		t.Helper()
		sources, err := b.Sources(t.Context())
		if err != nil || len(sources) != 1 {
			t.Fatalf("Sources = %v, %v; want one", sources, err)
		}
		got := sources[0]
		n := want / 3
		if d := cmp.Diff(store.SourceStats{
			Source: "s", Received: want, Stored: n, Duplicate: n, Quarantined: n, LastReceivedAt: last, LastEventAt: got.LastEventAt,
		}, got); d != "" {
			t.Errorf("Sources (-want +got):\n%s", d)
		}
	}
	now := first.clock.Now().Truncate(time.Microsecond)
	later := second.clock.Now().Truncate(time.Microsecond)
	deliver(first, 1, 0)
	for range 2 {
		take(second, first)
		received(second, 3, now)
	}
	deliver(first, 2, time.Second)
	deliver(second, 3, 0)
	take(second, first)
	received(second, 9, later)
	take(first, second)
	received(first, 9, later)
	take(third, first)
	take(third, second)
	second.reopen(t)
	deliver(second, 4, time.Minute)
	take(third, second)
	take(third, first) // which knows less of the second
	for _, all := range []*bench{second, third} {
		all.reopen(t)
		received(all, 12, later.Add(time.Minute))
	}
}

func testExportSnapshots(t *testing.T, b *bench) {
	want := map[string]store.Manifest{}
	for n := range 3 {
		m := manifest(n+1, b.clock.Now())
		if n == 0 {
			m.Namespace, m.Cluster = "", ""
		}
		b.save(t, m, m.ID)
		want[m.ID] = m
	}
	manifests, err := b.holdings(t).Manifests(t.Context())
	if err != nil {
		t.Fatalf("Manifests: %v", err)
	}
	got := map[string]store.Manifest{}
	for _, m := range manifests {
		got[m.ID] = m
	}
	if d := cmp.Diff(want, got); d != "" || len(manifests) != len(got) {
		t.Errorf("Manifests (-want +got):\n%s", d)
	}
	for id := range want {
		body, err := b.holdings(t).SnapshotBody(t.Context(), id)
		if err != nil {
			t.Fatalf("SnapshotBody: %v", err)
		}
		if content, err := io.ReadAll(body); err != nil || string(content) != id {
			t.Errorf("the body of %s is %q, %v", id, content, err)
		}
		body.Close()
	}
	for _, id := range []string{snapshotID(9), "../x", ""} {
		if _, err := b.holdings(t).SnapshotBody(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("SnapshotBody of %q = %v, want ErrNotFound", id, err)
		}
	}
}
