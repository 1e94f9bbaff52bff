package postgrestest

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Standby starts a server that follows this one under a name, which a replication
// slot bears too and synchronous_standby_names may. It ends with the test.
func (s *Server) Standby(t testing.TB, name string) *Server {
	t.Helper()
	s.mustOwn(t)
	h, err := newHome(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	from := fmt.Sprintf("host=%s port=%d user=%s application_name=%s", s.home.dir, s.port, User, name)
	err = h.run(t.Context(), "pg_basebackup", "--dbname="+from, "--pgdata="+h.data(), "--write-recovery-conf",
		"--create-slot", "--slot="+name, "--wal-method=stream", "--checkpoint=fast", "--no-sync")
	if err != nil {
		t.Fatal(errors.Join(err, h.remove()))
	}
	standby, err := h.start(t.Context(), Options{})
	if err != nil {
		t.Fatal(errors.Join(err, h.remove()))
	}
	t.Cleanup(func() { standby.end(t) })
	return standby
}

// Promote makes a standby a primary.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.mustOwn(t)
	if !Query[bool](t, s, "SELECT pg_promote(wait_seconds => 60)") {
		t.Fatal("the standby does not become a primary")
	}
}

// CatchUp waits until a standby has replayed what its primary has written so
// far.
func (s *Server) CatchUp(t testing.TB, primary *Server) {
	t.Helper()
	written := Query[string](t, primary, "SELECT pg_current_wal_lsn()::text")
	err := await(t.Context(), time.Minute, func() error {
		replayed, err := query[bool](t.Context(), s.url, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written)
		if err == nil && !replayed {
			err = fmt.Errorf("the standby has not replayed %s", written)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
