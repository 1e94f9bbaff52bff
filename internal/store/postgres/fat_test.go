package postgres

import (
	"errors"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// What was written before texts were cut is cut by the server when it is read,
// so that no connection carries more.
func TestFattenedRows(t *testing.T) {
	var sent byteCount
	storetest.RunFattened(t, func(t *testing.T, opts storetest.Options) store.Store {
		database := postgrestest.Shared(t).DatabaseNamed(t, opts.Dir)
		if err := Migrate(t.Context(), database, logr.Discard()); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(database)
		if err != nil {
			t.Fatal("the URL is malformed")
		}
		u.Host = pooler(t, u.Host, false, &sent)
		s, err := Open(t.Context(), Options{URL: u.String(), Now: opts.Now, Retention: opts.Retention, Log: testr.New(t)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, func(t *testing.T, s store.Store) {
		pool := s.(*Store).pool
		_, rows := pool.Exec(t.Context(), "UPDATE audit_rows SET path = path || repeat('p', 900000)")
		_, agents := pool.Exec(t.Context(), "UPDATE audit_agents SET user_agent = repeat('ü', 500000)")
		if err := errors.Join(rows, agents); err != nil {
			t.Fatal(err)
		}
	})
	// 300 rows of 900 KB are read some eight times.
	if most := int64(100 << 20); sent.Load() > most {
		t.Errorf("the server sent %d bytes, want at most %d", sent.Load(), most)
	}
}

// byteCount counts what is written to it.
type byteCount struct{ atomic.Int64 }

func (c *byteCount) Write(p []byte) (int, error) {
	c.Add(int64(len(p)))
	return len(p), nil
}
