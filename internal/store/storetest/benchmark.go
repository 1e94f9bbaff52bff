package storetest

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// BenchmarkNow is when the benchmarks take place. They ask of the week before
// it, whose events are the same each time, so that a filled store can be used
// again with a clock that stands there.
var BenchmarkNow = benchmarkStart.Add(fillSpan)

var benchmarkStart = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const (
	fillSpan     = 7 * 24 * time.Hour
	fillClusters = 3
)

// Fill appends n events of three clusters, spread over the week that ends at a
// time, and calls progress with how many are stored by now.
func Fill(ctx context.Context, s store.Writer, n int, end time.Time, progress func(stored int64)) error {
	fleet := audittest.NewFleet(fillClusters, audittest.Options{Seed: 1, Start: end.Add(-fillSpan), Rate: float64(n) / fillSpan.Seconds()})
	var stored atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for i, cluster := range fleet {
		group.Go(func() error {
			feed := newFeed(cluster)
			for left := (n + i) / len(fleet); left > 0; {
				batch, err := feed.batch(min(left, 4000))
				if err != nil {
					return err
				}
				if _, err := s.Append(ctx, batch); err != nil {
					return err
				}
				left -= len(batch.Events)
				progress(stored.Add(int64(len(batch.Events))))
			}
			return nil
		})
	}
	return group.Wait()
}

// feed decodes what a cluster sends.
type feed struct {
	cluster audittest.Cluster
	decoder audit.Decoder
}

func newFeed(c audittest.Cluster) *feed {
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		panic(err) // they are constants
	}
	return &feed{c, audit.Decoder{Source: c.Source, Cluster: c.Name, Classifier: classifier}}
}

func (f *feed) batch(n int) (store.Batch, error) {
	batch := store.Batch{Source: f.cluster.Source, ReceivedAt: f.cluster.Now(), Events: make([]audit.Event, 0, n)}
	err := f.decoder.Decode(bytes.NewReader(f.cluster.Batch(n)), func(item audit.Item) error {
		if item.Event == nil {
			return fmt.Errorf("not an event: %s", item.Quarantined.Reason)
		}
		batch.Events = append(batch.Events, *item.Event)
		return nil
	})
	return batch, err
}

// BenchmarkAppend measures how fast batches become durable: those of one
// connection that waits for each, of many at once, and large ones. It reports
// events/s and, as what the machine's other work changes least, the processor
// time of an event.
func BenchmarkAppend(b *testing.B, open func(b *testing.B) store.Writer) {
	for _, c := range []struct{ writers, events int }{{1, 400}, {8, 400}, {32, 400}, {2, 8000}} {
		b.Run(fmt.Sprintf("writers=%d/events=%d", c.writers, c.events), func(b *testing.B) {
			s := open(b)
			feeds := make([]*feed, c.writers)
			for i, cluster := range audittest.NewFleet(c.writers, audittest.Options{Seed: 1, Start: benchmarkStart, Rate: 5000}) {
				feeds[i] = newFeed(cluster)
			}
			batches := make([]store.Batch, b.N)
			for i := range batches {
				var err error
				if batches[i], err = feeds[i%c.writers].batch(c.events); err != nil {
					b.Fatal(err)
				}
			}
			var next atomic.Int64
			var group errgroup.Group
			longest := make([]time.Duration, c.writers)
			b.ResetTimer()
			cpu := cpuTime()
			for w := range c.writers {
				group.Go(func() error {
					for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
						began := time.Now()
						got, err := s.Append(b.Context(), batches[i])
						if err != nil || got.Stored != c.events {
							return fmt.Errorf("append: %+v, %w", got, err)
						}
						longest[w] = max(longest[w], time.Since(began))
					}
					return nil
				})
			}
			if err := group.Wait(); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			events := float64(b.N * c.events)
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/events, "cpu-ns/event")
			b.ReportMetric(float64(slices.Max(longest).Milliseconds()), "longest-ms")
		})
	}
}

// cpuTime is what the process has used of its processors.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkQueries asks a filled store what the page, a query and an export
// ask for. It reports the median and the 95th percentile of each.
func BenchmarkQueries(b *testing.B, s store.Store) {
	window := query.Window{From: benchmarkStart, To: BenchmarkNow}
	types := query.Filter{Terms: query.Terms{ResourceTypes: []string{"application", "environment_group"}}}
	view := func(req store.ViewRequest) func(context.Context) error {
		req.Window = window
		return func(ctx context.Context) error {
			_, err := s.View(ctx, query.ClusterWide(), req)
			return err
		}
	}
	first, err := s.View(b.Context(), query.ClusterWide(), store.ViewRequest{Filter: types, Window: window, Limit: 50})
	if err != nil || first.Next == nil {
		b.Fatalf("the first page: %v, next %v; is the store filled?", err, first.Next)
	}
	middle, err := s.View(b.Context(), query.ClusterWide(), store.ViewRequest{
		Window: query.Window{From: window.From, To: window.From.Add(100 * time.Hour)}, Limit: 1,
	})
	if err != nil || len(middle.Events) == 0 {
		b.Fatalf("an event of the middle: %v", err)
	}
	busy, idle := benchmarkTail(b, s, window)
	tail := func(after string, want int) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := s.Tail(ctx, query.ClusterWide(), store.TailRequest{Since: window.From, After: after, Limit: 100})
			if err == nil && len(got.Events) != want {
				return fmt.Errorf("tail has %d events, want %d", len(got.Events), want)
			}
			return err
		}
	}
	terms := func(t query.Terms) query.Filter { return query.Filter{Terms: t} }
	for _, q := range []struct {
		name string
		ask  func(ctx context.Context) error
	}{
		{"newest50", view(store.ViewRequest{Filter: types, Limit: 50})},
		{"nextPage", view(store.ViewRequest{Filter: types, Limit: 50, After: first.Next})},
		{"rareActor", view(store.ViewRequest{Filter: terms(query.Terms{Actors: []string{"system:serviceaccount:team-39:controller-399"}}), Limit: 50})},
		{"noMatch", view(store.ViewRequest{Filter: terms(query.Terms{Actors: []string{"nobody"}}), Limit: 50})},
		{"noMatchIP", view(store.ViewRequest{Filter: terms(query.Terms{IPs: []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}}), Limit: 50})},
		{"noMatchResource", view(store.ViewRequest{Filter: terms(query.Terms{Resources: []string{"widgets.example.com"}}), Limit: 50})},
		{"shells", view(store.ViewRequest{Filter: terms(query.Terms{Resources: query.ShellResources()}), Limit: 50, Count: true})},
		{"noMatchAgent", view(store.ViewRequest{Filter: terms(query.Terms{UserAgents: []string{"nobody/"}}), Limit: 50})},
		{"noMatchAuditID", view(store.ViewRequest{Filter: terms(query.Terms{AuditIDs: []string{"0f0e0d0c-0b0a-4908-8706-050403020100"}}), Limit: 50})},
		{"failedDeletes", view(store.ViewRequest{Filter: terms(query.Terms{Methods: []string{"DELETE"}, StatusCodes: []string{"4xx", "5xx"}}), Limit: 50})},
		{"substring", view(store.ViewRequest{Filter: query.Filter{Search: "deployment-77-"}, Limit: 50})},
		{"substringCount", view(store.ViewRequest{Filter: query.Filter{Search: "deployment-77-"}, Count: true})},
		{"histogram", view(store.ViewRequest{Count: true, HistogramWidth: time.Hour})},
		{"histogramOfTypes", view(store.ViewRequest{Filter: types, Count: true, HistogramWidth: time.Hour})},
		{"page", view(store.ViewRequest{Filter: query.Filter{Exclude: query.Terms{Methods: []string{"GET"}}}, Limit: 50, Count: true, HistogramWidth: time.Hour})},
		{"facetActor", askFacet(s, window, query.ByActor)},
		{"facetResourceType", askFacet(s, window, query.ByResourceType)},
		{"facetIP", askFacet(s, window, query.ByIP)},
		{"facetResource", askFacet(s, window, query.ByResource)},
		{"facetUserAgent", askFacet(s, window, query.ByUserAgent)},
		{"facetContains", func(ctx context.Context) error {
			_, err := s.Facet(ctx, query.ClusterWide(), store.FacetRequest{Window: window, Dimension: query.ByActor, Contains: "TEAM-3", Limit: 50})
			return err
		}},
		{"tailIdle", tail(idle.Next, 0)},
		{"tailBusy", tail(busy, 100)},
		{"eventByID", func(ctx context.Context) error {
			e, err := s.Event(ctx, query.ClusterWide(), middle.Events[0].ID)
			if err == nil && len(e.Raw) == 0 {
				return fmt.Errorf("event %s has no raw", e.ID)
			}
			return err
		}},
		{"sameRequest", func(ctx context.Context) error {
			_, err := s.SameRequest(ctx, query.ClusterWide(), &middle.Events[0])
			return err
		}},
		{"capture10000", func(ctx context.Context) error {
			n := 0
			_, err := s.Capture(ctx, query.ClusterWide(), store.CaptureRequest{Filter: types, Window: window, Limit: 10_000}, func(*audit.Event) error { n++; return nil })
			if err == nil && n != 10_000 {
				return fmt.Errorf("captured %d rows", n)
			}
			return err
		}},
	} {
		b.Run(q.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := q.ask(b.Context()); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			b.ReportMetric(milliseconds(took[len(took)/2]), "p50-ms")
			b.ReportMetric(milliseconds(took[len(took)*95/100]), "p95-ms")
		})
	}
}

// benchmarkTail returns the positions before and after a batch that it appends,
// of other events each time.
func benchmarkTail(b *testing.B, s store.Store, window query.Window) (before string, after store.Tail) {
	b.Helper()
	at := func() store.Tail {
		got, err := s.Tail(b.Context(), query.ClusterWide(), store.TailRequest{Since: window.From})
		if err != nil {
			b.Fatal(err)
		}
		return got
	}
	before = at().Next
	fleet := audittest.NewFleet(1, audittest.Options{Seed: uint64(time.Now().UnixNano()), Start: BenchmarkNow.Add(-time.Minute), Rate: 4000})
	batch, err := newFeed(fleet[0]).batch(4000)
	if err == nil {
		_, err = s.Append(b.Context(), batch)
	}
	if err != nil {
		b.Fatal(err)
	}
	return before, at()
}

func askFacet(s store.Store, window query.Window, dimension query.Dimension) func(context.Context) error {
	return func(ctx context.Context) error {
		got, err := s.Facet(ctx, query.ClusterWide(), store.FacetRequest{Window: window, Dimension: dimension, Limit: 50})
		if err == nil && len(got.Values) == 0 {
			return fmt.Errorf("facet %s has no values", dimension)
		}
		return err
	}
}
