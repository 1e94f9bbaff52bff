package embedded

import (
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// BenchmarkRead asks what a page asks, of half a million events.
func BenchmarkRead(b *testing.B) {
	s := mustOpen(b, Options{Dir: b.TempDir()})
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	m := newMaker(1)
	var some audit.ID
	for i := range 125 {
		batch := m.batch(4000)
		if i == 60 {
			some = batch.Events[17].ID
		}
		if _, err := s.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	now := time.Now()
	window := query.Window{From: now.Add(-7 * 24 * time.Hour), To: now}
	view := func(req store.ViewRequest) func() error {
		req.Window = window
		return func() error {
			_, err := s.View(b.Context(), query.ClusterWide(), req)
			return err
		}
	}
	types := query.Terms{ResourceTypes: []string{"application", "environment_group"}}
	for _, read := range []struct {
		name string
		run  func() error
	}{
		{"newest50", view(store.ViewRequest{Filter: query.Filter{Terms: types}, Limit: 50})},
		{"rareActor", view(store.ViewRequest{Filter: query.Filter{Terms: query.Terms{Actors: []string{"nobody"}}}, Limit: 50})},
		{"search", view(store.ViewRequest{Filter: query.Filter{Search: "service-7-abc"}, Limit: 50})},
		{"histogram", view(store.ViewRequest{Count: true, HistogramWidth: time.Minute})},
		{"facetActor", func() error {
			_, err := s.Facet(b.Context(), query.ClusterWide(), store.FacetRequest{Window: window, Dimension: query.ByActor, Limit: 50})
			return err
		}},
		{"event", func() error {
			_, err := s.Event(b.Context(), query.ClusterWide(), some)
			return err
		}},
		{"capture10000", func() error {
			_, err := s.Capture(b.Context(), query.ClusterWide(), store.CaptureRequest{Window: window, Limit: 10_000}, func(*audit.Event) error { return nil })
			return err
		}},
	} {
		b.Run(read.name, func(b *testing.B) {
			for b.Loop() {
				if err := read.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
