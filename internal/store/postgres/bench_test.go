package postgres

import (
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

func BenchmarkAppend(b *testing.B) {
	// What an administrator sets: memory, and room for the log between checkpoints.
	server := postgrestest.Start(b, postgrestest.Options{Durable: true, Settings: map[string]string{
		"shared_buffers": "512MB", "max_wal_size": "4GB",
	}})
	storetest.BenchmarkAppend(b, func(b *testing.B) store.Writer {
		url := server.Database(b)
		if err := Migrate(b.Context(), url, logr.Discard()); err != nil {
			b.Fatal(err)
		}
		return mustOpen(b, Options{URL: url, Now: func() time.Time { return storetest.BenchmarkNow }})
	})
}
