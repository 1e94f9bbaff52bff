package transfer

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// sql runs statements as the superuser.
func sql(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, statement := range statements {
		_, err := conn.Exec(t.Context(), statement)
		must(t, err)
	}
}

// TestDamagedSegment copies from a store with a wrong byte in a frame of raws.
func TestDamagedSegment(t *testing.T) {
	dir := t.TempDir()
	from, to := openEmbedded(t, embedded.Options{Dir: dir}), openPostgres(t, postgres.Options{})
	lost, kept := generated(t, "s", now.Add(-2*time.Hour), 50), generated(t, "s", now.Add(-time.Hour), 70)
	mustAppend(t, from, lost)
	mustAppend(t, from, kept)
	segment := filepath.Join(dir, "raw", "2026-03-14.seg")
	content, err := os.ReadFile(segment)
	must(t, err)
	content[100] ^= 1
	must(t, os.WriteFile(segment, content, 0o600))

	for _, tt := range []struct {
		opts  Options
		want  Counts
		whole bool
		says  string
	}{
		{Options{}, Counts{Events: 120, Copied: 70, Damaged: 50}, false, "was not copied: its raw form can't be read: raw segment is damaged"},
		{Options{}, Counts{Events: 120, Present: 70, Damaged: 50}, false, "50 events were not copied"},
		{Options{DropDamagedRaw: true}, Counts{Events: 120, Present: 70, Copied: 50, WithoutRaw: 50}, true, "was copied without its raw form"},
		{Options{}, Counts{Events: 120, Present: 120}, true, "2026-03-14  120"},
	} {
		summary, err := Copy(t.Context(), from, to, tt.opts)
		must(t, err)
		if d := gocmp.Diff(tt.want, summary.Total()); d != "" || summary.Whole() != tt.whole || !strings.Contains(written(t, &summary), tt.says) {
			t.Errorf("%+v: whole %t, want %t and %q; copied (-want +got):\n%s\n%s", tt.opts, summary.Whole(), tt.whole, tt.says, d, written(t, &summary))
		}
		if tt.want.Damaged+tt.want.WithoutRaw > 0 && (len(summary.Problems) != maxProblems || !strings.Contains(summary.Problems[0], "event ")) {
			t.Errorf("the problems are %q", summary.Problems)
		}
	}
	for _, e := range lost.Events {
		must(t, to.Export(t.Context(), store.Stretch{Day: e.Day()}, func(id audit.ID) bool { return id == e.ID }, func(e *audit.Event, damage error) error {
			if len(e.Raw) > 0 || e.RawSHA256 == [32]byte{} {
				t.Errorf("event %s has %d bytes of raw, SHA-256 %x", e.ID, len(e.Raw), e.RawSHA256)
			}
			return damage
		}))
	}
}

// TestDamagedDatabase copies from a database in which one event's raw is
// another's, a blob is damaged, and one is lost.
func TestDamagedDatabase(t *testing.T) {
	for name, tt := range map[string]struct {
		damage string
		want   int64 // events
	}{
		"another's raw":  {"UPDATE audit_rows SET raw_start = 0, raw_size = 10 WHERE id = (SELECT max(id::text)::uuid FROM audit_rows)", 1},
		"a wrong byte":   {"UPDATE audit_raw SET blob = set_byte(blob, 200, 255 - get_byte(blob, 200))", 60},
		"a lost blob":    {"DELETE FROM audit_raw", 60},
		"a cut off blob": {"UPDATE audit_raw SET blob = substr(blob, 1, 300)", 60},
	} {
		t.Run(name, func(t *testing.T) {
			url := newDatabase(t)
			from, to := openPostgres(t, postgres.Options{URL: url}), openEmbedded(t, embedded.Options{})
			mustAppend(t, from, generated(t, "s", now.Add(-time.Hour), 60))
			sql(t, url, tt.damage)
			summary, err := Copy(t.Context(), from, to, Options{})
			must(t, err)
			if d := gocmp.Diff(Counts{Events: 60, Copied: 60 - tt.want, Damaged: tt.want}, summary.Total()); d != "" || summary.Whole() {
				t.Errorf("copied (-want +got):\n%s\n%s", d, written(t, &summary))
			}
		})
	}
}

// TestDiffering compares stores that hold other forms of one event and of one
// snapshot, and lack others.
func TestDiffering(t *testing.T) {
	url := newDatabase(t)
	from, to := openEmbedded(t, embedded.Options{}), openPostgres(t, postgres.Options{URL: url})
	filled(t, from, 40)

	none, err := Copy(t.Context(), from, to, Options{VerifyOnly: true})
	must(t, err)
	if d := gocmp.Diff(Counts{Events: 200, Missing: 200}, none.Total()); d != "" || none.Whole() ||
		none.Snapshots.Missing != 3 || none.Quarantine.Missing != 60 || none.SourcesMissing != 2 {
		t.Errorf("an empty target (-want +got):\n%s\n%s", d, written(t, &none))
	}
	if held := read(t, to); len(held.Events)+len(held.Bodies)+len(held.Quarantined)+len(held.Totals) > 0 {
		t.Error("a comparison has copied something")
	}
	mustCopy(t, from, to, Options{})
	mustCopy(t, from, to, Options{VerifyOnly: true})

	sql(t, url, "UPDATE audit_rows SET raw_sha256 = sha256('') WHERE id = (SELECT max(id::text)::uuid FROM audit_rows)",
		"UPDATE audit_snapshots SET parts = 0 WHERE parts > 0",
		"DELETE FROM audit_quarantine WHERE seq = 2",
		"UPDATE audit_other_totals SET received = received - 1 WHERE source = 'source-1'")
	got, err := Copy(t.Context(), from, to, Options{VerifyOnly: true})
	must(t, err)
	if d := gocmp.Diff(Counts{Events: 200, Present: 200, Differing: 1}, got.Total()); d != "" || got.Whole() {
		t.Errorf("compared (-want +got):\n%s", d)
	}
	if got.Snapshots.Differing != 1 || got.Quarantine.Missing != 1 || got.SourcesMissing != 1 || len(got.Problems) != 3 {
		t.Errorf("what differs is not found:\n%s", written(t, &got))
	}
}

// TestDamagedSnapshot copies a snapshot that is not what its manifest says.
func TestDamagedSnapshot(t *testing.T) {
	dir := t.TempDir()
	from, to := openEmbedded(t, embedded.Options{Dir: dir}), openPostgres(t, postgres.Options{})
	filled(t, from, 40)
	bodies, err := filepath.Glob(filepath.Join(dir, "snapshots", "*.ndjson"))
	must(t, err)
	must(t, os.WriteFile(bodies[0], []byte("{}\n"), 0o600))
	summary, err := Copy(t.Context(), from, to, Options{})
	must(t, err)
	if d := gocmp.Diff(Snapshots{Snapshots: 3, Copied: 2, Damaged: 1}, summary.Snapshots); d != "" || summary.Whole() {
		t.Errorf("snapshots (-want +got):\n%s", d)
	}
	if got := read(t, to); len(got.Snapshots) != 2 {
		t.Errorf("the target holds %d snapshots, want 2", len(got.Snapshots))
	}
}

// TestServerRestarts copies while the target's server is killed and comes back.
func TestServerRestarts(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{Durable: true})
	url := server.Database(t)
	must(t, postgres.Migrate(t.Context(), url, discard))
	from, to := openEmbedded(t, embedded.Options{}), openPostgres(t, postgres.Options{URL: url})
	filled(t, from, 400)
	killed := false
	mustCopy(t, from, to, Options{Progress: func(done, _ int64) {
		if done >= 800 && !killed {
			killed = true
			server.Kill(t)
			go server.Restart(t)
		}
	}})
	if d := same(read(t, from), read(t, to)); d != "" || !killed {
		t.Errorf("after a restart (-want +got):\n%.4000s", d)
	}
}

// TestUnwilling ends a copy to a store that is closed.
func TestUnwilling(t *testing.T) {
	from, to := openEmbedded(t, embedded.Options{}), openEmbedded(t, embedded.Options{})
	mustAppend(t, from, generated(t, "s", now.Add(-time.Hour), 10))
	must(t, to.Close())
	if _, err := Copy(t.Context(), from, to, Options{}); !errors.Is(err, store.ErrClosed) || !strings.Contains(err.Error(), "2026-03-14") {
		t.Errorf("a copy to a closed store = %v", err)
	}
}

// TestDump restores a dump of a database into another one, by PostgreSQL's own
// programs, and compares.
func TestDump(t *testing.T) {
	source := newDatabase(t)
	from, s := openPostgres(t, postgres.Options{URL: source}), openEmbedded(t, embedded.Options{})
	filled(t, s, 400)
	mustCopy(t, s, from, Options{})
	mustAppend(t, from, generated(t, "own", now, 100))

	dump := filepath.Join(t.TempDir(), "audit.dump")
	run(t, "pg_dump", "--format=custom", "--file="+dump, source)
	restored := postgrestest.Shared(t).Database(t)
	run(t, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--dbname="+restored, dump)
	must(t, postgres.Migrate(t.Context(), restored, discard)) // has nothing to do
	to := openPostgres(t, postgres.Options{URL: restored})
	summary := mustCopy(t, from, to, Options{VerifyOnly: true})
	if got := summary.Total().Present; got != 2100 {
		t.Errorf("%d events were compared, want 2100", got)
	}
	if d := same(read(t, from), read(t, to)); d != "" {
		t.Errorf("restored (-want +got):\n%.4000s", d)
	}
	mustAppend(t, to, generated(t, "own", now.Add(-time.Minute), 100)) // it takes events
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if dir := os.Getenv("POSTGRES_BIN"); dir != "" {
		program = filepath.Join(dir, program)
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}
