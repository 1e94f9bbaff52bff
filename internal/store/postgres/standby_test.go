package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// replicated is a store that writes to one server and reads from another.
type replicated struct {
	*Store
	written int
}

// openReplicated opens a store of a new database, which a standby made later
// has too.
func openReplicated(t *testing.T, primary *postgrestest.Server, standby func() *postgrestest.Server) *replicated {
	t.Helper()
	primary.Exec(t, "CREATE DATABASE audit TEMPLATE template0 ENCODING 'UTF8'")
	writeURL := primary.DatabaseURL(t, "audit")
	if err := Migrate(t.Context(), writeURL, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	return &replicated{Store: mustOpen(t, Options{
		URL: writeURL, ReadURL: standby().DatabaseURL(t, "audit"), Now: func() time.Time { return testNow }, Log: testr.New(t),
	})}
}

// check appends an event and reads at once: it must be found, and from the
// server that is expected.
func (r *replicated) check(t *testing.T, when string, fromStandby bool) {
	t.Helper()
	r.written++
	mustAppend(t, r.Store, store.Appended{Stored: 1}, plain(r.written, testNow))
	view, err := r.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: aroundNow, Limit: store.MaxPage, Count: true})
	if err != nil || len(view.Events) != r.written || view.Matched != int64(r.written) {
		t.Fatalf("%s: View found %d events and counted %d, %v; want %d", when, len(view.Events), view.Matched, err, r.written)
	}
	if got := r.readsFromStandby(t); got != fromStandby {
		t.Errorf("%s: reads from the standby = %t, want %t", when, got, fromStandby)
	}
}

var aroundNow = query.Window{From: testNow.Add(-time.Hour), To: testNow.Add(time.Hour)}

func (r *replicated) readsFromStandby(t *testing.T) (standby bool) {
	t.Helper()
	if err := r.read(t.Context(), "store.test", func(ctx context.Context, tx *readTx) error {
		return tx.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby)
	}); err != nil {
		t.Fatal(err)
	}
	return standby
}

// wake has the standby asked again at once.
func (r *replicated) wake() {
	r.standby.mu.Lock()
	defer r.standby.mu.Unlock()
	r.standby.rested = time.Time{}
}

// TestStandbyReads reads from a standby as long as it is of use, and from the
// writer in whatever way it isn't.
func TestStandbyReads(t *testing.T) {
	primary := postgrestest.Start(t, postgrestest.Options{})
	var standby *postgrestest.Server
	r := openReplicated(t, primary, func() *postgrestest.Server {
		standby = primary.Standby(t, "reader")
		return standby
	})
	r.check(t, "while it keeps up", true)

	standby.Exec(t, "SELECT pg_wal_replay_pause()")
	r.check(t, "while it is behind", false)
	standby.Exec(t, "SELECT pg_wal_replay_resume()")
	if r.readsFromStandby(t) {
		t.Error("it is asked again at once after it was behind")
	}
	r.wake()
	standby.CatchUp(t, primary)
	r.check(t, "after it has caught up", true)

	// Capture, whose rows can't be taken back, never asks it.
	rows := 0
	if _, err := r.Capture(t.Context(), query.ClusterWide(), store.CaptureRequest{Window: aroundNow, Limit: 10}, func(*audit.Event) error {
		standby.Stop(t, "immediate")
		rows++
		return nil
	}); err != nil || rows != r.written {
		t.Errorf("Capture = %v with %d rows, want %d", err, rows, r.written)
	}
	r.check(t, "while it is stopped", false)
	standby.Restart(t)
	standby.CatchUp(t, primary)
	r.wake()
	r.check(t, "after it was started again", true)

	servers := 0
	err := r.read(t.Context(), "store.test", func(ctx context.Context, tx *readTx) error {
		if servers++; servers == 1 {
			standby.Kill(t)
		}
		return tx.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(new(bool))
	})
	if err != nil || servers != 2 {
		t.Errorf("a read during which the standby is killed = %v, from %d servers; want 2", err, servers)
	}
	standby.Restart(t)
	standby.CatchUp(t, primary)
	standby.Promote(t)
	r.wake()
	r.check(t, "after it was promoted", false)
}

// TestStandbyOfAnother has a URL name servers that are ahead of the writer, but
// know nothing of what it writes.
func TestStandbyOfAnother(t *testing.T) {
	for name, test := range map[string]struct {
		standby func(t *testing.T, primary *postgrestest.Server) (writer, reader *postgrestest.Server)
		reason  string
	}{
		"the writer itself": {func(_ *testing.T, primary *postgrestest.Server) (_, _ *postgrestest.Server) {
			return primary, primary
		}, "no standby"},
		"another system": {func(t *testing.T, primary *postgrestest.Server) (_, _ *postgrestest.Server) {
			other := postgrestest.Start(t, postgrestest.Options{})
			writeLog(t, other)
			reader := other.Standby(t, "reader")
			return primary, reader
		}, "another system"},
		// After a failover, the standby that was left behind has more of the old
		// writer's log than the new one.
		"the writer of before": {func(t *testing.T, primary *postgrestest.Server) (_, _ *postgrestest.Server) {
			next, reader := primary.Standby(t, "next"), primary.Standby(t, "reader")
			next.CatchUp(t, primary)
			next.Promote(t)
			writeLog(t, primary)
			reader.CatchUp(t, primary)
			return next, reader
		}, "timeline"},
	} {
		t.Run(name, func(t *testing.T) {
			writer, reader := test.standby(t, postgrestest.Start(t, postgrestest.Options{}))
			r := openReplicated(t, writer, func() *postgrestest.Server { return reader })
			r.check(t, "at first", false)
			var want position
			if err := r.pool.QueryRow(t.Context(), writerPosition).Scan(&want.lsn, &want.system, &want.timeline); err != nil {
				t.Fatal(err)
			}
			// Any database of the server will do: the store's is not there.
			b, err := newStandby(t.Context(), reader.URL(), testr.New(t))
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			if _, err := b.caughtUp(t.Context(), want); err == nil || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("it is not read because of %v; want %q", err, test.reason)
			}
		})
	}
}

// writeLog has a server write more of its log than a small database takes.
func writeLog(t *testing.T, s *postgrestest.Server) {
	t.Helper()
	s.Exec(t, "SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1 << 20))) FROM generate_series(1, 64)")
}

func TestStandbyURL(t *testing.T) {
	_, err := Open(t.Context(), Options{URL: newDatabase(t), ReadURL: "mysql://reader:secret@standby/audit", Log: testr.New(t)})
	if err == nil || !strings.Contains(err.Error(), "standby") || strings.Contains(err.Error(), "secret") {
		t.Errorf("Open with a malformed ReadURL = %v", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("the URL was tried")
	}
}
