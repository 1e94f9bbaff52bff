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
	tail    tailer
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

// check appends an event and reads at once: it must be found, wherever it is
// read.
func (r *replicated) check(t *testing.T, when string) {
	t.Helper()
	if r.tail.after == "" {
		r.tail.next(t, r.Store, 1)
	}
	r.written++
	mustAppend(t, r.Store, store.Appended{Stored: 1}, plain(r.written, testNow))
	view, err := r.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: aroundNow, Limit: store.MaxPage, Count: true})
	if err != nil || len(view.Events) != r.written || view.Matched != int64(r.written) {
		t.Fatalf("%s: View found %d events and counted %d, %v; want %d", when, len(view.Events), view.Matched, err, r.written)
	}
	r.tail.want(t, r.Store, when, plain(r.written, testNow))
}

// awaitStandby appends and reads until reads come from the standby: on a busy
// machine it may be behind at times.
func (r *replicated) awaitStandby(t *testing.T, when string) {
	t.Helper()
	for began := time.Now(); ; {
		r.wake()
		r.check(t, when)
		if r.readsFromStandby(t) {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: reads do not come from the standby", when)
		}
	}
}

// checkWriter is check where reads must come from the writer.
func (r *replicated) checkWriter(t *testing.T, when string) {
	t.Helper()
	r.wake()
	r.check(t, when)
	r.wake()
	if r.readsFromStandby(t) {
		t.Errorf("%s: reads come from the standby", when)
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
	r.awaitStandby(t, "while it keeps up")

	standby.Exec(t, "SELECT pg_wal_replay_pause()")
	r.checkWriter(t, "while it is behind")
	standby.Exec(t, "SELECT pg_wal_replay_resume()")
	standby.CatchUp(t, primary)
	if r.readsFromStandby(t) {
		t.Error("it is asked again at once after it was behind")
	}
	r.awaitStandby(t, "after it has caught up")

	// Capture, whose rows can't be taken back, never asks it.
	rows := 0
	if _, err := r.Capture(t.Context(), query.ClusterWide(), store.CaptureRequest{Window: aroundNow, Limit: store.MaxPage}, func(*audit.Event) error {
		standby.Stop(t, "immediate")
		rows++
		return nil
	}); err != nil || rows != r.written {
		t.Errorf("Capture = %v with %d rows, want %d", err, rows, r.written)
	}
	r.checkWriter(t, "while it is stopped")
	standby.Restart(t)
	r.awaitStandby(t, "after it was started again")

	r.checkKilled(t, standby)
	standby.Restart(t)
	standby.CatchUp(t, primary)
	standby.Promote(t)
	r.checkWriter(t, "after it was promoted")
}

// checkKilled kills the standby while it is read: the writer answers instead.
func (r *replicated) checkKilled(t *testing.T, standby *postgrestest.Server) {
	t.Helper()
	killed := false
	var answered bool
	for !killed {
		r.awaitStandby(t, "before it is killed")
		if err := r.read(t.Context(), "store.test", func(ctx context.Context, tx *readTx) error {
			var fromStandby bool
			if err := tx.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&fromStandby); err != nil {
				return err
			}
			if fromStandby {
				standby.Kill(t)
				killed = true
			}
			return tx.QueryRow(ctx, "SELECT NOT pg_is_in_recovery()").Scan(&answered)
		}); err != nil {
			t.Fatalf("a read during which the standby is killed: %v", err)
		}
	}
	if !answered {
		t.Error("the writer has not answered")
	}
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
			r.checkWriter(t, "at first")
			var want logPosition
			if err := r.pool.QueryRow(t.Context(), writerPosition).Scan(&want.lsn, &want.system, &want.timeline); err != nil {
				t.Fatal(err)
			}
			// Any database of the server will do: the store's is not there.
			b, err := newStandby(t.Context(), reader.URL(), testr.New(t))
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			conn, err := b.caughtUp(t.Context(), want)
			if err == nil {
				conn.Release()
			}
			if err == nil || !strings.Contains(err.Error(), test.reason) {
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
