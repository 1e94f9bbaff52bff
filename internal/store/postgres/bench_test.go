package postgres

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// benchmarkSettings are what an administrator sets: memory, and room for the
// log between checkpoints.
var benchmarkSettings = map[string]string{"shared_buffers": "512MB", "max_wal_size": "4GB"}

func BenchmarkAppend(b *testing.B) {
	server := postgrestest.Start(b, postgrestest.Options{Durable: true, Settings: benchmarkSettings})
	storetest.BenchmarkAppend(b, func(b *testing.B) store.Writer {
		return openForBenchmark(b, server.Database(b))
	})
}

var (
	benchmarkEvents = flag.Int("events", 200_000, "how many events BenchmarkQueries asks of")
	benchmarkData   = flag.String("data", "", "folder to keep the events of BenchmarkQueries in for the next run")
)

// BenchmarkQueries fills a store, if that of an earlier run is not there, and
// says what it takes of the disk.
func BenchmarkQueries(b *testing.B) {
	server := postgrestest.Start(b, postgrestest.Options{Data: *benchmarkData, Settings: benchmarkSettings})
	name := fmt.Sprintf("events_%d", *benchmarkEvents)
	if !postgrestest.Query[bool](b, server, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name) {
		server.Exec(b, "DROP DATABASE IF EXISTS filling")
		server.Exec(b, "CREATE DATABASE filling TEMPLATE template0 ENCODING 'UTF8'")
		fill(b, server.DatabaseURL(b, "filling"))
		server.Exec(b, "ALTER DATABASE filling RENAME TO "+name)
	}
	s := openForBenchmark(b, server.DatabaseURL(b, name))
	b.Logf("%.0f bytes an event", float64(ask[int64](b, s, "SELECT pg_database_size(current_database())"))/float64(*benchmarkEvents))
	storetest.BenchmarkQueries(b, s)
}

// fill fills a database, as the leader and autovacuum would leave it.
func fill(b *testing.B, url string) {
	b.Helper()
	if err := Migrate(b.Context(), url, logr.Discard()); err != nil {
		b.Fatal(err)
	}
	s, err := Open(b.Context(), optionsForBenchmark(url))
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	leading, stop := context.WithCancel(b.Context())
	var leader errgroup.Group
	leader.Go(func() error { return s.Maintain(leading) })
	err = storetest.Fill(b.Context(), s, *benchmarkEvents, storetest.BenchmarkNow, func(stored int64) {
		if stored%1_000_000 < 4000 {
			b.Logf("%d of %d events, %.0f/s", stored, *benchmarkEvents, float64(stored)/time.Since(began).Seconds())
		}
	})
	stop()
	err = errors.Join(err, leader.Wait(), s.maintain(b.Context()))
	_, failed := s.pool.Exec(b.Context(), "VACUUM ANALYZE")
	if err := errors.Join(err, failed, s.Close()); err != nil {
		b.Fatal(err)
	}
}

func openForBenchmark(b *testing.B, url string) *Store {
	b.Helper()
	if err := Migrate(b.Context(), url, logr.Discard()); err != nil {
		b.Fatal(err)
	}
	return mustOpen(b, optionsForBenchmark(url))
}

func optionsForBenchmark(url string) Options {
	return Options{URL: url, Now: func() time.Time { return storetest.BenchmarkNow }}
}
