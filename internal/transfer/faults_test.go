package transfer

import (
	"context"
	"errors"
	"os"
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

// damages are what can happen to the raws of 60 events that were committed
// together, with the number of those that it happens to.
var damages = map[string]struct {
	sql  string
	want int64
}{
	"another's raw":  {"UPDATE audit_rows SET raw_start = 0, raw_size = 10 WHERE id = (SELECT max(id::text)::uuid FROM audit_rows)", 1},
	"a wrong byte":   {"UPDATE audit_raw SET blob = set_byte(blob, 200, 255 - get_byte(blob, 200))", 60},
	"a lost blob":    {"DELETE FROM audit_raw", 60},
	"a cut off blob": {"UPDATE audit_raw SET blob = substr(blob, 1, 300)", 60},
}

// TestDamagedDatabase copies from a database whose raws are damaged, and compares
// with one.
func TestDamagedDatabase(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			url := newDatabase(t)
			database, other := openPostgres(t, postgres.Options{URL: url}), openEmbedded(t, embedded.Options{})
			batch := generated(t, "s", now.Add(-time.Hour), 60)
			must(t, database.ImportKey(t.Context(), other.Key()))
			mustAppend(t, database, batch)
			mustAppend(t, other, batch)
			mustCopy(t, other, database, Options{})
			sql(t, url, damage.sql)
			compared, err := Copy(t.Context(), other, database, Options{VerifyOnly: true})
			must(t, err)
			if d := gocmp.Diff(Counts{Events: 60, Present: 60, TargetDamaged: damage.want}, compared.Total()); d != "" || compared.Whole() {
				t.Errorf("compared (-want +got):\n%s\n%s", d, written(t, &compared))
			}
			copied, err := Copy(t.Context(), database, openEmbedded(t, embedded.Options{}), Options{})
			must(t, err)
			if d := gocmp.Diff(Counts{Events: 60, Copied: 60 - damage.want, Damaged: damage.want}, copied.Total()); d != "" || copied.Whole() {
				t.Errorf("copied (-want +got):\n%s\n%s", d, written(t, &copied))
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
	bodies, err := filepath.Glob(filepath.Join(dir, "snapshots", "*.ndjson*"))
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
	source := &interrupted{Holdings: from, before: func() { must(t, to.Close()) }}
	if _, err := Copy(t.Context(), source, to, Options{}); !errors.Is(err, store.ErrClosed) || !strings.Contains(err.Error(), "2026-03-14") {
		t.Errorf("a copy to a closed store = %v", err)
	}
}
