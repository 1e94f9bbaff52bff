package embedded

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// maker makes batches of events as a cluster sends them.
type maker struct {
	generator *audittest.Generator
	decoder   audit.Decoder
}

// newMaker makes events of the last hours and, at whatever hour, of one day:
// watches among them began an hour before the others.
func newMaker(seed uint64) *maker {
	start := time.Now().UTC().Add(-2 * time.Hour)
	if start.Add(-70*time.Minute).Day() != start.Add(time.Hour).Day() {
		start = start.Add(-3 * time.Hour)
	}
	return newMakerAt(seed, start)
}

func newMakerAt(seed uint64, start time.Time) *maker {
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		panic(err)
	}
	return &maker{
		generator: audittest.New(audittest.Options{Seed: seed, Start: start}),
		decoder:   audit.Decoder{Source: "bench", Cluster: "prod", Classifier: classifier},
	}
}

func (m *maker) batch(n int) store.Batch {
	batch := store.Batch{Source: "bench", ReceivedAt: time.Now()}
	if err := m.decoder.Decode(bytes.NewReader(m.generator.Batch(n)), func(item audit.Item) error {
		batch.Events = append(batch.Events, *item.Event)
		return nil
	}); err != nil {
		panic(err)
	}
	return batch
}

func BenchmarkAppend(b *testing.B) {
	storetest.BenchmarkAppend(b, func(b *testing.B) store.Writer {
		s := mustOpen(b, Options{Dir: b.TempDir(), Now: func() time.Time { return storetest.BenchmarkNow }})
		b.Cleanup(func() {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
		return s
	})
}

// BenchmarkReference does the same with the least that can be done.
func BenchmarkReference(b *testing.B) {
	storetest.BenchmarkAppend(b, func(b *testing.B) store.Writer {
		r, err := storetest.NewReference(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := r.Close(); err != nil {
				b.Error(err)
			}
		})
		return r
	})
}

var (
	benchmarkEvents = flag.Int("events", 200_000, "how many events BenchmarkQueries asks of")
	benchmarkData   = flag.String("data", "", "folder to keep the events of BenchmarkQueries in for the next run")
)

// BenchmarkQueries fills a store, if that of an earlier run is not there, and
// says what it takes of the disk.
func BenchmarkQueries(b *testing.B) {
	dir := filepath.Join(*benchmarkData, fmt.Sprint(*benchmarkEvents))
	if *benchmarkData == "" {
		dir = b.TempDir()
	}
	opts := Options{Dir: dir, Now: func() time.Time { return storetest.BenchmarkNow }}
	filled := filepath.Join(dir, "filled")
	if _, err := os.Stat(filled); err != nil {
		s := mustOpen(b, opts)
		began := time.Now()
		err := storetest.Fill(b.Context(), s, *benchmarkEvents, storetest.BenchmarkNow, func(stored int64) {
			if stored%1_000_000 < 4000 {
				b.Logf("%d of %d events, %.0f/s", stored, *benchmarkEvents, float64(stored)/time.Since(began).Seconds())
			}
		})
		if err := errors.Join(err, s.Close()); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filled, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%.0f bytes an event", float64(treeSize(b, dir))/float64(*benchmarkEvents))
	s := mustOpen(b, opts)
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	storetest.BenchmarkQueries(b, s)
}

func treeSize(t testing.TB, dir string) int64 {
	t.Helper()
	var size int64
	if err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return size
}
