package storetest

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// testSameRequest asks about an event shortly after midnight, so that what
// belongs to it lies in several days.
func testSameRequest(t *testing.T, b *bench) {
	at := audit.Day(b.clock.Now()).Add(10 * time.Minute)
	for i, auditID := range []string{
		"0f0e0d0c-0b0a-4908-8706-050403020100", "0F0E0D0C-0B0A-4908-8706-050403020100",
		"chosen by the client", `'; DROP TABLE days; --"$1"`, "nul\x00 and no \xff UTF-8",
	} {
		t.Run(auditID, func(t *testing.T) {
			event := func(n int, after time.Duration, change func(e *audit.Event)) audit.Event {
				e := plain(n, at.Add(after))
				e.AuditID = auditID
				change(&e)
				return number(e, 100*i+n)
			}
			same := func(*audit.Event) {}
			asked := event(0, 0, same)
			received := event(1, 0, func(e *audit.Event) { e.Stage = audit.StageRequestReceived })
			otherComponent := event(2, time.Millisecond, func(e *audit.Event) { e.Source = "aggregated" })
			dayBefore := event(3, -20*time.Minute, same)
			otherNamespace := event(4, time.Second, func(e *audit.Event) { e.Namespace = "billing" })
			noNamespace := event(5, 2*time.Second, func(e *audit.Event) { e.Namespace = "" })
			otherCluster := event(6, 3*time.Second, func(e *audit.Event) { e.Cluster = "staging" })
			first := event(7, -store.SameRequestSpan, same)
			stored := []audit.Event{
				asked, received, otherComponent, dayBefore, otherNamespace, noNamespace, otherCluster, first,
				event(8, -store.SameRequestSpan-time.Microsecond, same), event(9, store.SameRequestSpan, same),
				event(10, -24*time.Hour, same),
				event(11, 0, func(e *audit.Event) { e.AuditID += " " }), event(12, 0, func(e *audit.Event) { e.AuditID = "" }),
			}
			b.append(t, store.Appended{Stored: len(stored)}, stored...)
			for name, test := range map[string]struct {
				scope query.Scope
				want  []audit.Event
			}{
				"cluster-wide":      {query.ClusterWide(), []audit.Event{received, otherComponent, otherNamespace, noNamespace, otherCluster, dayBefore, first}},
				"its namespace":     {query.InNamespaces("prod", "shop"), []audit.Event{received, otherComponent, dayBefore, first}},
				"another namespace": {query.InNamespaces("prod", "billing"), []audit.Event{otherNamespace}},
				"another cluster":   {query.InNamespaces("staging", "shop"), []audit.Event{otherCluster}},
				"no namespace":      {query.InNamespaces("prod", ""), nil},
				"no scope":          {query.Scope{}, nil},
			} {
				got, err := b.SameRequest(t.Context(), test.scope, &asked)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				want := slices.Clone(test.want)
				for i := range want {
					want[i].AuditID = store.Text(auditID)
				}
				if d := diff(want, got.Events); d != "" || got.More {
					t.Errorf("%s: more = %t, events (-want +got):\n%s", name, got.More, d)
				}
			}
		})
	}
}

// testSameRequestGenerated compares with the oracle, whose events share few
// audit IDs, the empty one among them.
func testSameRequestGenerated(t *testing.T, b *bench) {
	now := b.clock.Now()
	events := corpus(now, 600)
	b.append(t, store.Appended{Stored: len(events)}, events...)
	rapid.Check(t, func(t *rapid.T) {
		scope, e := drawScope(t), oneOf(t, "event", events)
		got, err := b.SameRequest(t.Context(), scope, &e)
		if err != nil {
			t.Fatalf("SameRequest: %v", err)
		}
		want := events.sameRequest(scope, &e)
		if d := diff(want.Events, got.Events); d != "" || got.More != want.More {
			t.Fatalf("SameRequest: more = %t, want %t, events (-want +got):\n%s", got.More, want.More, d)
		}
	})
}

// testSameRequestBound has many borrow an audit ID: what is nearest stays.
func testSameRequestBound(t *testing.T, b *bench) {
	var events oracle
	for i := range store.MaxSameRequest + 2 {
		e := plain(i, b.clock.Now().Add(-time.Duration(i)*time.Second))
		e.AuditID = "borrowed"
		events = append(events, e)
	}
	enough := store.MaxSameRequest + 1 // with the one that is asked about
	check := func(stored oracle, more bool) {
		t.Helper()
		got, err := b.SameRequest(t.Context(), query.ClusterWide(), &stored[3])
		if err != nil {
			t.Fatalf("SameRequest: %v", err)
		}
		want := stored.sameRequest(query.ClusterWide(), &stored[3])
		if d := diff(want.Events, got.Events); d != "" || got.More != more {
			t.Errorf("of %d: more = %t, events (-want +got):\n%s", len(stored), got.More, d)
		}
	}
	b.append(t, store.Appended{Stored: enough}, events[:enough]...)
	check(events[:enough], false)
	b.append(t, store.Appended{Stored: 1}, events[enough])
	check(events, true)
}
