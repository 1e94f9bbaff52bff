package audittest_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
)

var start = time.Date(2026, 3, 14, 15, 0, 0, 0, time.UTC)

// Every item is an event of its own, and what benchmarks say of size and
// variety holds.
func TestItemsAreEvents(t *testing.T) {
	const n = 20_000
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]audittest.Options{
		"metadata": {Seed: 1, Start: start}, "bodies": {Seed: 1, Start: start, Bodies: true},
	} {
		t.Run(name, func(t *testing.T) {
			body := audittest.New(opts).Batch(n)
			ids, actors := map[audit.ID]bool{}, map[string]int{}
			late := 0
			newest := time.Time{}
			decoder := audit.Decoder{Source: "s", Cluster: "c", Classifier: classifier}
			if err := decoder.Decode(bytes.NewReader(body), func(item audit.Item) error {
				e := item.Event
				if e == nil {
					t.Fatalf("not an event: %s", item.Quarantined.Reason)
				}
				ids[e.ID] = true
				actors[e.Actor]++
				if newest.Sub(e.OccurredAt) > time.Minute {
					late++
				}
				if e.OccurredAt.After(newest) {
					newest = e.OccurredAt
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(ids) != n {
				t.Errorf("%d different events, want %d", len(ids), n)
			}
			if size := len(body) / n; name == "metadata" && (size < 1000 || size > 1400) {
				t.Errorf("%d bytes an event", size)
			}
			if most := actors["system:serviceaccount:team-0:controller-0"]; len(actors) < 300 || most < n/20 {
				t.Errorf("%d actors, the busiest with %d events", len(actors), most)
			}
			if late < n/100 {
				t.Errorf("%d events are late by more than a minute", late)
			}
		})
	}
}

func TestSameOptionsSameEvents(t *testing.T) {
	a, b := audittest.New(audittest.Options{Seed: 7, Start: start}), audittest.New(audittest.Options{Seed: 7, Start: start})
	if !bytes.Equal(a.Batch(1000), b.Batch(1000)) {
		t.Error("two generators of the same options differ")
	}
	if other := audittest.New(audittest.Options{Seed: 8, Start: start}); bytes.Equal(a.Batch(1000), other.Batch(1000)) {
		t.Error("another seed makes the same events")
	}
}

// A renewed body holds other events of the same number.
func TestRenew(t *testing.T) {
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Fatal(err)
	}
	list := audittest.New(audittest.Options{Seed: 1, Start: start}).Batch(100)
	ids := map[audit.ID]bool{}
	decoder := audit.Decoder{Source: "s", Cluster: "c", Classifier: classifier}
	for _, body := range []*audittest.Body{audittest.NewBody(list, 0), audittest.NewBody(list, 1)} {
		for range 3 {
			if err := decoder.Decode(bytes.NewReader(body.Renew()), func(item audit.Item) error {
				ids[item.Event.ID] = true
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(ids) != 600 {
		t.Errorf("%d different events, want 600", len(ids))
	}
}
