package torture

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// What the torture looks for is found where it is.
func TestPostgresOracle(t *testing.T) {
	for name, c := range map[string]struct {
		harm string // done to a database that is well
		want func(v verdict) bool
	}{
		"nothing":           {"", verdict.good},
		"a lost event":      {"DELETE FROM audit_rows WHERE id = (SELECT min(id::text)::uuid FROM audit_rows)", func(v verdict) bool { return v.lost == 1 && v.problem != nil }},
		"a lost blob":       {"DELETE FROM audit_raw", unreadable},
		"a damaged blob":    {"UPDATE audit_raw SET blob = substr(blob, 1, length(blob) - 1)", unreadable},
		"another's raw":     {"UPDATE audit_rows SET raw_start = 0 WHERE raw_start > 0", unreadable},
		"a lost delta":      {"DELETE FROM audit_rollup_deltas", unreadable},
		"a delta twice":     {"INSERT INTO audit_rollup_deltas SELECT day, -batch, hours, kinds, places, actors, counts FROM audit_rollup_deltas", unreadable},
		"a forgotten day":   {"DELETE FROM audit_days", unreadable},
		"a source's events": {"UPDATE audit_source_deltas SET stored = stored + 1, received = received + 1", unreadable},
		"a source's items":  {"UPDATE audit_source_deltas SET received = received + 1", unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			url := postgrestest.Shared(t).Database(t)
			d := database{url: url, direct: url}
			d.mustMigrate(t)
			l := newLedger(t, d)
			d.fill(t, l)
			if c.harm != "" {
				d.exec(t, c.harm)
			}
			if v := l.compare(t); !c.want(v) {
				t.Errorf("the verdict is %v (%d lost)", v, v.lost)
			}
		})
	}
}

func unreadable(v verdict) bool { return v.problem != nil }

// fill has a store take a delivery.
func (d database) fill(t *testing.T, l *ledger) {
	t.Helper()
	const source = "honest"
	body := audittest.New(audittest.Options{Seed: 200, Start: time.Now().Add(-time.Minute)}).Batch(20)
	taken := store.Batch{Source: source, ReceivedAt: time.Now()}
	decoder := l.decoder(source)
	if err := decoder.Decode(bytes.NewReader(body), func(item audit.Item) error {
		taken.Events = append(taken.Events, *item.Event)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(t.Context(), postgres.Options{URL: d.url})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Append(t.Context(), taken)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	l.note(t, source, []*batch{{body: body, acked: true}})
}

func (d database) exec(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), sql)
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}
