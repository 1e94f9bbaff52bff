package admission_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

var (
	starveEvents = flag.Int("events", 1_000_000, "how many events BenchmarkStarvation asks of")
	starveFor    = flag.Duration("for", time.Minute, "how long BenchmarkStarvation asks")
	searches     = flag.Int("searches", 400, "how many searches one caller has at once")
	starveOpen   = flag.Bool("no-gate", false, "have BenchmarkStarvation ask without a gate")
)

// What goes on beside the searches.
const (
	ingestion = 5000
	delivery  = 500 // events
)

// starved is how long what went on beside the searches took.
type starved struct {
	deliveries, pages []time.Duration
	answered          int64 // searches
	refused           int64
}

func (s *starved) String() string {
	return fmt.Sprintf("deliveries p50 %s p99 %s longest %s; pages p50 %s p99 %s longest %s; searches %d answered, %d refused",
		at(s.deliveries, 50), at(s.deliveries, 99), at(s.deliveries, 100), at(s.pages, 50), at(s.pages, 99), at(s.pages, 100), s.answered, s.refused)
}

// at returns a percentile.
func at(d []time.Duration, percent int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)*percent/100, len(d)-1)].Round(time.Millisecond)
}

// starve has one caller search at once and without end, and measures for a time
// what becomes of deliveries at a steady rate and of another's first page.
// Whatever of these fails, readiness among it, fails the test.
func starve(t testing.TB, s store.Store, reads store.Reader, lasts time.Duration) *starved {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var out starved
	var answered, refused atomic.Int64
	var all sync.WaitGroup
	window := query.Window{From: storetest.BenchmarkNow.AddDate(0, 0, -8), To: storetest.BenchmarkNow.Add(time.Hour)}
	mallory, jane := admission.With(ctx, admission.User("mallory")), admission.With(ctx, admission.User("jane"))
	for i := range *searches {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, err := reads.View(mallory, query.ClusterWide(), store.ViewRequest{
					Filter: query.Filter{Search: fmt.Sprintf("nothing-%d-%d", i, n)}, Window: window, Limit: 50, Count: true,
				})
				switch {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, store.ErrBusy):
					refused.Add(1)
					<-time.After(50 * time.Millisecond) // no client is quicker
				case ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("search: %v", err)
				}
			}
		})
	}
	all.Go(func() { out.deliveries = deliver(ctx, t, s) })
	all.Go(func() {
		out.pages = each(ctx, 500*time.Millisecond, func() {
			if _, err := reads.View(jane, query.ClusterWide(), store.ViewRequest{Window: window, Limit: 50, Count: true, HistogramWidth: 3 * time.Hour}); err != nil && ctx.Err() == nil {
				t.Errorf("page: %v", err)
			}
		})
	})
	all.Go(func() {
		each(ctx, time.Second, func() {
			if err := s.Ready(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("not ready: %v", err)
			}
		})
	})
	all.Wait()
	out.answered, out.refused = answered.Load(), refused.Load()
	return &out
}

// each does something at a rate, one after the other, and says how long each took.
func each(ctx context.Context, every time.Duration, do func()) (took []time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return took
		case <-tick.C:
		}
		began := time.Now()
		if do(); ctx.Err() == nil {
			took = append(took, time.Since(began))
		}
	}
}

// deliver delivers at a steady rate, whatever becomes of what was sent before.
func deliver(ctx context.Context, t testing.TB, s store.Writer) (took []time.Duration) {
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Error(err)
		return nil
	}
	generator := audittest.New(audittest.Options{Seed: 7, Start: storetest.BenchmarkNow.Add(-time.Hour), Rate: ingestion})
	decoder := audit.Decoder{Source: "live", Cluster: "prod", Classifier: classifier}
	var mu sync.Mutex
	var running sync.WaitGroup
	tick := time.NewTicker(time.Second * delivery / ingestion)
	defer tick.Stop()
	for {
		body := generator.Batch(delivery)
		select {
		case <-ctx.Done():
			running.Wait()
			return took
		case <-tick.C:
		}
		running.Go(func() {
			began := time.Now()
			batch := store.Batch{Source: "live", ReceivedAt: storetest.BenchmarkNow}
			err := decoder.Decode(bytes.NewReader(body), func(item audit.Item) error {
				batch.Events = append(batch.Events, *item.Event)
				return nil
			})
			if err == nil {
				_, err = s.Append(context.WithoutCancel(ctx), batch)
			}
			if err != nil {
				t.Errorf("delivery: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
		})
	}
}

func now() time.Time { return storetest.BenchmarkNow }

func openEmbedded(t testing.TB, dir string, events int) store.Store {
	t.Helper()
	s, err := embedded.Open(t.Context(), embedded.Options{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return filled(t, s, events)
}

func openPostgres(t testing.TB, events int) store.Store {
	t.Helper()
	url := postgrestest.Start(t, postgrestest.Options{}).Database(t)
	if err := postgres.Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return filled(t, s, events)
}

func filled(t testing.TB, s store.Store, events int) store.Store {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := storetest.Fill(t.Context(), s, events, storetest.BenchmarkNow, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return s
}

// One caller's 400 searches at once keep neither deliveries nor another's pages
// waiting. The bounds are generous, since a machine may be busy with other tests:
// without the gate a delivery takes 12 s and no page comes.
func TestNobodyIsStarved(t *testing.T) {
	const events = 100_000
	for name, open := range map[string]func() store.Store{
		"embedded":   func() store.Store { return openEmbedded(t, t.TempDir(), events) },
		"PostgreSQL": func() store.Store { return openPostgres(t, events) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open()
			got := starve(t, s, admission.NewStore(s, admission.NewGate(admission.DefaultAtOnce, nil)), 8*time.Second)
			t.Log(got)
			if p99 := at(got.deliveries, 99); p99 > 8*time.Second || len(got.deliveries) < 10 {
				t.Errorf("of %d deliveries the 99th percentile is %s", len(got.deliveries), p99)
			}
			if p99 := at(got.pages, 99); p99 > 6*time.Second || len(got.pages) == 0 {
				t.Errorf("of %d pages of another caller the 99th percentile is %s", len(got.pages), p99)
			}
			if got.answered == 0 || got.refused == 0 {
				t.Errorf("%d searches were answered and %d refused", got.answered, got.refused)
			}
		})
	}
}

// BenchmarkStarvation is TestNobodyIsStarved in large, over the embedded store,
// and says how long DuckDB's log becomes, which readers keep from being cut.
func BenchmarkStarvation(b *testing.B) {
	dir := b.TempDir()
	s := openEmbedded(b, dir, *starveEvents)
	reads := store.Reader(admission.NewStore(s, admission.NewGate(admission.DefaultAtOnce, nil)))
	if *starveOpen {
		reads = s
	}
	for b.Loop() {
		measuring, stop := context.WithCancel(b.Context())
		var longest int64
		var measured sync.WaitGroup
		measured.Go(func() {
			each(measuring, 100*time.Millisecond, func() { longest = max(longest, logSize(b, dir)) })
		})
		got := starve(b, s, reads, *starveFor)
		stop()
		measured.Wait()
		b.Log(got)
		b.ReportMetric(at(got.deliveries, 99).Seconds(), "delivery-p99-s")
		b.ReportMetric(at(got.pages, 99).Seconds(), "page-p99-s")
		b.ReportMetric(float64(longest)/(1<<20), "log-MiB")
	}
}

func logSize(b *testing.B, dir string) (size int64) {
	b.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		b.Fatal(err)
	}
	for _, l := range logs {
		if info, err := os.Stat(l); err == nil { // a checkpoint takes it away
			size += info.Size()
		}
	}
	return size
}
