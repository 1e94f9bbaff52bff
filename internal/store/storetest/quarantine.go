package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// quarantinePages reads all pages of a limit, and checks that none is longer.
func (b *bench) quarantinePages(t *testing.T, source string, limit int) []store.QuarantineItem {
	t.Helper()
	var all []store.QuarantineItem
	req := store.QuarantineRequest{Source: source, Limit: limit}
	for range 1000 {
		page, err := b.Quarantine(t.Context(), req)
		if err != nil {
			t.Fatalf("Quarantine: %v", err)
		}
		if len(page.Items) > limit || page.AsOf.IsZero() {
			t.Fatalf("a page of %d has %d items, as of %s", limit, len(page.Items), page.AsOf)
		}
		all = append(all, page.Items...)
		if page.Next == nil {
			return all
		}
		if len(page.Items) != limit {
			t.Fatalf("a page of %d that is not the last has %d items", limit, len(page.Items))
		}
		req.Before = page.Next
	}
	t.Fatal("the pages never end")
	return nil
}

func testQuarantine(t *testing.T, b *bench) {
	now := b.clock.Now()
	var kept []audit.Quarantined
	for i := range 23 {
		// Several of the same moment.
		q := audit.Quarantined{
			Source: "s", Cluster: "own", ReceivedAt: now.Add(-time.Duration(i/4) * time.Minute), Reason: fmt.Sprintf("reason %d", i),
			Size: int64(i), Hash: [32]byte{31: byte(i)}, Redacted: fmt.Appendf(nil, `{"a":%d}`, i),
		}
		if i%5 == 0 {
			q.Source, q.Cluster = "other", "elsewhere"
		}
		kept = append(kept, q)
	}
	kept = append(kept,
		audit.Quarantined{Source: "s", ReceivedAt: now, Reason: "not JSON: \x00\xff", Size: 1 << 40, Hash: [32]byte{2}},
		// As long as is shown whole, and longer.
		audit.Quarantined{Source: "s", ReceivedAt: now, Reason: strings.Repeat("é", store.MaxQuarantineReason), Redacted: bytes.Repeat([]byte{'a'}, store.MaxQuarantineContent)},
		audit.Quarantined{Source: "s", ReceivedAt: now, Reason: strings.Repeat("é", store.MaxQuarantineReason+1), Redacted: bytes.Repeat([]byte{0xff}, store.MaxQuarantineContent+1)},
	)
	got, err := b.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: now, Quarantined: kept})
	if err != nil || got != (store.Appended{Quarantined: len(kept)}) {
		t.Fatalf("Append = %+v, %v", got, err)
	}
	var want []store.QuarantineItem
	for _, q := range slices.Backward(kept) { // the later of the same moment comes first
		item := store.QuarantineItem{Quarantined: q, ContentBytes: int64(len(q.Redacted))}
		item.Reason = string([]rune(store.Text(q.Reason))[:min(len([]rune(store.Text(q.Reason))), store.MaxQuarantineReason)])
		item.Redacted = q.Redacted[:min(len(q.Redacted), store.MaxQuarantineContent)]
		want = append(want, item)
	}
	slices.SortStableFunc(want, func(x, y store.QuarantineItem) int {
		return cmp.Compare(y.ReceivedAt.UnixMicro(), x.ReceivedAt.UnixMicro())
	})
	for range 2 {
		for _, source := range []string{"", "s", "other", "nobody"} {
			of := slices.DeleteFunc(slices.Clone(want), func(q store.QuarantineItem) bool { return source != "" && q.Source != source })
			for _, limit := range []int{1, 3, 4, len(of) + 1, store.MaxQuarantinePage} {
				if d := gocmp.Diff(of, b.quarantinePages(t, source, limit), cmpopts.EquateEmpty()); d != "" {
					t.Errorf("pages of %d of source %q (-want +got):\n%s", limit, source, d)
				}
			}
		}
		b.reopen(t)
	}
}

// No request makes a page of more than MaxQuarantinePage.
func testQuarantinePageIsBounded(t *testing.T, b *bench) {
	now := b.clock.Now()
	items := make([]audit.Quarantined, store.MaxQuarantinePage+1)
	for i := range items {
		items[i] = audit.Quarantined{Reason: "none", Size: int64(i)}
	}
	if _, err := b.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: now, Quarantined: items}); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]int{-1: 0, 0: 0, store.MaxQuarantinePage: store.MaxQuarantinePage, store.MaxQuarantinePage + 1: store.MaxQuarantinePage, 1 << 30: store.MaxQuarantinePage} {
		page, err := b.Quarantine(t.Context(), store.QuarantineRequest{Limit: limit})
		if err != nil || len(page.Items) != want || (page.Next == nil) != (want == 0) {
			t.Errorf("a page of %d has %d items and a next page %v, %v; want %d", limit, len(page.Items), page.Next, err, want)
		}
	}
}

// Every answer about a window counts what may be events of it: items of the
// scope's cluster, or of an unknown one, that were received about then.
func testQuarantineOfWindow(t *testing.T, b *bench) {
	now := b.clock.Now()
	window := query.Window{From: now.Add(-2 * time.Hour), To: now.Add(-time.Hour)}
	received := store.QuarantineWindow(window)
	var items []audit.Quarantined
	for _, at := range []time.Time{
		received.From.Add(-time.Microsecond), received.From, window.From, window.To, received.To.Add(-time.Microsecond), received.To,
	} {
		for _, cluster := range []string{"own", "elsewhere", ""} {
			items = append(items, audit.Quarantined{Cluster: cluster, ReceivedAt: at, Reason: "none"})
		}
	}
	if _, err := b.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: now, Quarantined: items}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		scope query.Scope
		want  int64
	}{
		{"everything", query.ClusterWide(), 12},
		{"a namespace", query.InNamespaces("own", "shop"), 8},
		{"a namespace of another cluster", query.InNamespaces("nowhere", "shop"), 4},
		{"nothing", query.Scope{}, 0},
	} {
		view, err := b.View(t.Context(), tt.scope, store.ViewRequest{Window: window, Limit: 1})
		if err != nil || view.Quarantined != tt.want {
			t.Errorf("%s: a page counts %d, %v; want %d", tt.name, view.Quarantined, err, tt.want)
		}
		facet, err := b.Facet(t.Context(), tt.scope, store.FacetRequest{Window: window, Dimension: query.ByActor, Limit: 1})
		if err != nil || facet.Quarantined != tt.want {
			t.Errorf("%s: a facet counts %d, %v; want %d", tt.name, facet.Quarantined, err, tt.want)
		}
		capture, err := b.Capture(t.Context(), tt.scope, store.CaptureRequest{Window: window, Limit: 1}, func(*audit.Event) error { return nil })
		if err != nil || capture.Quarantined != tt.want {
			t.Errorf("%s: a capture counts %d, %v; want %d", tt.name, capture.Quarantined, err, tt.want)
		}
	}
	// What is outside of the retention keeps its cluster.
	e := plain(1, now.Add(2*time.Hour))
	e.Cluster = "own"
	b.append(t, store.Appended{Quarantined: 1}, e)
	lately := query.Window{From: now.Add(-time.Minute), To: now.Add(time.Minute)}
	for cluster, want := range map[string]int64{"own": 1, "elsewhere": 0} {
		view, err := b.View(t.Context(), query.InNamespaces(cluster, "shop"), store.ViewRequest{Window: lately, Limit: 1})
		if err != nil || view.Quarantined != want {
			t.Errorf("an event outside of the retention counts %d in %s, %v; want %d", view.Quarantined, cluster, err, want)
		}
	}
}

// Quarantined returns all items of a source in quarantine, the newest first,
// each with the beginning of its content.
func Quarantined(ctx context.Context, r store.Reader, source string) ([]audit.Quarantined, error) {
	var items []audit.Quarantined
	req := store.QuarantineRequest{Source: source, Limit: store.MaxQuarantinePage}
	for {
		page, err := r.Quarantine(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			items = append(items, item.Quarantined)
		}
		if page.Next == nil {
			return items, nil
		}
		req.Before = page.Next
	}
}
