package postgres

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// openOn opens a store in a database of a server that the test may kill.
func openOn(t *testing.T, server *postgrestest.Server) *Store {
	t.Helper()
	url := server.Database(t)
	if err := Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	return openAt(t, url)
}

// readyAnew is Ready without the answer that is kept for a moment.
func readyAnew(ctx context.Context, s *Store) error {
	s.readiness.mu.Lock()
	s.readiness.answered = time.Time{}
	s.readiness.mu.Unlock()
	return s.Ready(ctx)
}

// expectReady waits until Ready says what it should; no want is no error.
func expectReady(t *testing.T, s *Store, want string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		began := time.Now()
		err := readyAnew(t.Context(), s)
		if took := time.Since(began); took > readyLimit+time.Second {
			t.Fatalf("Ready took %s", took)
		}
		switch {
		case want == "" && err == nil:
			return
		case want != "" && err != nil && strings.Contains(err.Error(), want):
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Ready = %v, which is no ErrUnavailable", err)
			}
			return
		case time.Now().After(end):
			t.Fatalf("Ready = %v, want %q", err, want)
		}
	}
}

// TestReady has a real server stop, hang and refuse writes, and mend.
func TestReady(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	s := openOn(t, server)
	exec := func(sql string) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name         string
		break_, mend func()
		want         string
	}{
		{"stopped", func() { server.Stop(t, "fast") }, func() { server.Restart(t) }, "does not listen at 127.0.0.1:"},
		{"killed", func() { server.Kill(t) }, func() { server.Restart(t) }, "does not listen at 127.0.0.1:"},
		{
			"no standby", func() { server.Configure(t, map[string]string{"synchronous_standby_names": "absent"}) },
			func() { server.Configure(t, map[string]string{"synchronous_standby_names": ""}) }, "does not commit within 2s",
		},
		{
			"read only", func() { server.Configure(t, map[string]string{"default_transaction_read_only": "on"}) },
			func() { server.Configure(t, map[string]string{"default_transaction_read_only": "off"}) }, "takes no writes",
		},
		{
			"an older schema", func() { exec("UPDATE " + versionTable + " SET version_id = -version_id") },
			func() { exec("UPDATE " + versionTable + " SET version_id = -version_id") }, "run manager migrate",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectReady(t, s, "")
			func() {
				defer tt.mend() // or the next waits for ever
				tt.break_()
				expectReady(t, s, tt.want)
			}()
			expectReady(t, s, "")
		})
	}
	// Replicas go on while the next version's schema is there already.
	exec("INSERT INTO " + versionTable + " (version_id, is_applied) VALUES (999, true)")
	expectReady(t, s, "")
}

// After a commit has failed, Ready finds out whether another would.
func TestReadyAfterAFailedCommit(t *testing.T) {
	s := openAt(t, newDatabase(t))
	exec := func(sql string) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	expectReady(t, s, "")
	for _, tt := range []struct{ name, broken, mended string }{
		{"a table", "ALTER TABLE audit_raw RENAME TO away", "ALTER TABLE away RENAME TO audit_raw"},
		{"days", "ALTER FUNCTION audit_create_day RENAME TO away", "ALTER FUNCTION away RENAME TO audit_create_day"},
	} {
		exec(tt.broken)
		expectReady(t, s, "") // it takes a commit to find out
		event := plain(len(tt.name), testNow.AddDate(0, 0, -len(tt.name)))
		if _, err := s.Append(t.Context(), batchOf(event)); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: Append = %v, want ErrUnavailable", tt.name, err)
		}
		if err := s.Ready(t.Context()); err == nil {
			t.Errorf("%s: right after a failed commit, Ready says yes", tt.name)
		}
		exec(tt.mended)
		expectReady(t, s, "")
		mustAppend(t, s, store.Appended{Stored: 1}, event)
	}
	if n := ask[int](t, s, "SELECT count(*) FROM audit_raw WHERE batch = 0"); n != 0 {
		t.Errorf("a rehearsal left %d blobs", n)
	}
}

// An answer holds for a moment, so that asking often costs nothing.
func TestReadyKeepsItsAnswer(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	s := openOn(t, server)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.readiness.mu.Lock()
	s.readiness.answered = time.Now().Add(time.Hour) // however slow this machine is
	s.readiness.mu.Unlock()
	server.Kill(t)
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("a kept answer was asked for again: %v", err)
	}
	s.readiness.mu.Lock()
	s.readiness.answered = time.Now().Add(-readyKept)
	s.readiness.mu.Unlock()
	if err := s.Ready(t.Context()); err == nil {
		t.Error("an old answer was kept")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := readyAnew(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("after its caller has gone: %v", err)
	}
}

// Readers may take all connections of the pool; commits and probes go on.
func TestReadersLeaveConnections(t *testing.T) {
	s := openAt(t, newDatabase(t))
	for range s.pool.Config().MaxConns {
		conn, err := s.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	expectReady(t, s, "")
	mustAppend(t, s, store.Appended{Stored: 1}, plain(1, testNow))
}

// A commit whose wait for the standby somebody cancels is durable on one
// machine only, and is not acknowledged.
func TestCommitWaitsForItsStandby(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	s := openOn(t, server)
	mustAppend(t, s, store.Appended{Stored: 1}, plain(1, testNow))
	id := strings.Repeat("0f", 16)
	for _, tt := range []struct {
		name string
		do   func() error
	}{
		{"append", func() error { _, err := s.Append(t.Context(), batchOf(plain(2, testNow))); return err }},
		{"snapshot", func() error {
			return s.SaveSnapshot(t.Context(), id, store.SnapshotSpace{}, func(io.Writer) (store.Manifest, error) { return store.Manifest{ID: id}, nil })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.Configure(t, map[string]string{"synchronous_standby_names": "absent"})
			err := whileWaitsAreCancelled(t, server, tt.do)
			server.Configure(t, map[string]string{"synchronous_standby_names": ""})
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s = %v, want ErrUnavailable", tt.name, err)
			}
		})
	}
	mustAppend(t, s, store.Appended{Duplicate: 1}, plain(2, testNow))
}

// whileWaitsAreCancelled calls do and ends each wait for a standby.
func whileWaitsAreCancelled(t *testing.T, server *postgrestest.Server, do func() error) error {
	t.Helper()
	const cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'audit-operator'"
	done := make(chan error, 1)
	go func() { done <- do() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	cancelled := 0
	for {
		select {
		case err := <-done:
			if cancelled == 0 {
				t.Error("no commit waited for the standby")
			}
			return err
		case <-tick.C: // a new connection has waits of its own before
			cancelled += postgrestest.Query[int](t, server, cancel)
		}
	}
}

// The rights of the operator's role are enough to find out, and to measure.
func TestReadyAsTheOperator(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	owner := openOn(t, server)
	server.Exec(t, "CREATE ROLE app LOGIN PASSWORD '"+strings.ReplaceAll(appPassword, "'", "''")+"'")
	if err := Grant(t.Context(), owner.opts.URL, Roles{Operator: "app"}); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, appURL(t, server, owner.target.database))
	s.readiness.committed(errors.New("a commit failed")) // so that another one is rehearsed
	expectReady(t, s, "")
	if _, err := readSizes(t.Context(), s); err != nil {
		t.Error(err)
	}
}
