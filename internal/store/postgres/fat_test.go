package postgres

import (
	"errors"
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
	storetest.RunFattened(t, func(t *testing.T, opts storetest.Options) store.Store {
		url := postgrestest.Shared(t).DatabaseNamed(t, opts.Dir)
		if err := Migrate(t.Context(), url, logr.Discard()); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), Options{URL: url, Now: opts.Now, Retention: opts.Retention, Log: testr.New(t)})
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
}
