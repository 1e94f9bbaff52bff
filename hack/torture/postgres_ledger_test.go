package torture

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
)

// database is a store in PostgreSQL. It is read by plain SQL, also while
// managers use it.
type database struct {
	url    string // for managers
	direct string // for the ledger, which no fault between strikes
}

func (d database) flag() string { return "--store=" + d.url }

func (d database) open(ctx context.Context) (contents, error) {
	conn, err := pgx.Connect(ctx, d.direct)
	if err != nil {
		return nil, err
	}
	unpacker, err := zstd.NewReader(nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	var key []byte
	if err := conn.QueryRow(ctx, "SELECT key FROM audit_key").Scan(&key); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return &tables{conn: conn, key: audit.Key(key), unpacker: unpacker}, nil
}

// mustMigrate makes the schema.
func (d database) mustMigrate(t *testing.T) {
	t.Helper()
	if err := postgres.Migrate(t.Context(), d.direct, logr.Discard()); err != nil {
		t.Fatal(err)
	}
}

// tables are what a database holds.
type tables struct {
	conn     *pgx.Conn
	key      audit.Key
	unpacker *zstd.Decoder
}

// Key implements contents.
func (s *tables) Key() audit.Key { return s.key }

func (s *tables) Close() error {
	s.unpacker.Close()
	return s.conn.Close(context.Background())
}

// Verify implements contents. It also adds up what roll-ups and the totals of
// sources say, each of which must say as much as there are rows.
func (s *tables) Verify(ctx context.Context, event func(audit.ID) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, s.conn, options, func(tx pgx.Tx) error {
		raws, err := s.raws(ctx, tx)
		if err != nil {
			return err
		}
		if err := verifyRows(ctx, tx, raws, event); err != nil {
			return err
		}
		return verifyCounts(ctx, tx)
	})
}

// blobKey names a blob.
type blobKey struct {
	batch int64
	day   time.Time
}

// raws returns the unpacked blobs.
func (s *tables) raws(ctx context.Context, tx pgx.Tx) (map[blobKey][]byte, error) {
	rows, err := tx.Query(ctx, "SELECT batch, day, blob FROM audit_raw")
	if err != nil {
		return nil, err
	}
	raws := map[blobKey][]byte{}
	var k blobKey
	var packed []byte
	_, err = pgx.ForEachRow(rows, []any{&k.batch, &k.day, &packed}, func() (err error) {
		if raws[k], err = s.unpacker.DecodeAll(packed, nil); err != nil {
			return fmt.Errorf("blob %d of %s: %w", k.batch, k.day.Format(time.DateOnly), err)
		}
		return nil
	})
	return raws, err
}

func verifyRows(ctx context.Context, tx pgx.Tx, raws map[blobKey][]byte, event func(audit.ID) error) error {
	rows, err := tx.Query(ctx, `SELECT id, raw_sha256, raw_batch, (occurred_at AT TIME ZONE 'UTC')::date, raw_start, raw_size FROM audit_rows`)
	if err != nil {
		return err
	}
	var id [16]byte
	var sum []byte
	var k blobKey
	var start, size int
	_, err = pgx.ForEachRow(rows, []any{&id, &sum, &k.batch, &k.day, &start, &size}, func() error {
		raw := raws[k]
		if start+size > len(raw) {
			return fmt.Errorf("event %s: its raw lies beyond blob %d, which has %d bytes", audit.ID(id), k.batch, len(raw))
		}
		if got := sha256.Sum256(raw[start : start+size]); string(got[:]) != string(sum) {
			return fmt.Errorf("event %s: the raw in blob %d is another's", audit.ID(id), k.batch)
		}
		return event(audit.ID(id))
	})
	return err
}

// hours adds up the hours of a roll-up's row.
var hours = func() string {
	columns := make([]string, 24)
	for h := range columns {
		columns[h] = fmt.Sprintf("h%d", h)
	}
	return strings.Join(columns, " + ")
}()

// verifyCounts compares the days that are listed, what each roll-up counts in
// them, and what sources are said to have stored, with the rows.
func verifyCounts(ctx context.Context, tx pgx.Tx) error {
	deltas := " UNION ALL SELECT day, c FROM audit_rollup_deltas, unnest(counts) AS c"
	counts := map[string]string{"days": "SELECT day, NULL::integer FROM audit_days"}
	for _, of := range []string{"kinds", "places", "actors"} {
		counts[of] = "SELECT day, count FROM audit_rollup_" + of + deltas
		counts[of+" and hours"] = "SELECT day, " + hours + " FROM audit_rollup_" + of + deltas
	}
	for name, counted := range counts {
		counted = "SELECT day, sum(c)::bigint AS n FROM (" + counted + ") AS counted (day, c) GROUP BY day"
		var wrong []string
		err := tx.QueryRow(ctx, `WITH stored AS (
				SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n FROM audit_rows GROUP BY 1),
			counted AS (`+counted+`)
			SELECT coalesce(array_agg(format('%s: %s events, %s counted', coalesce(stored.day, counted.day), coalesce(stored.n, 0), coalesce(counted.n, 0))), '{}')
			FROM stored FULL JOIN counted ON stored.day = counted.day
			WHERE CASE WHEN $1 THEN stored.n IS NOT NULL AND counted.day IS NULL ELSE coalesce(stored.n, 0) <> coalesce(counted.n, 0) END`,
			name == "days").Scan(&wrong)
		if err != nil {
			return fmt.Errorf("count by %s: %w", name, err)
		}
		if len(wrong) > 0 {
			return fmt.Errorf("counted by %s: %s", name, strings.Join(wrong, "; "))
		}
	}
	var rows, stored, unsettled int64
	err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM audit_rows), coalesce(sum(stored), 0)::bigint,
		coalesce(sum(received - stored - duplicate - quarantined), 0)::bigint FROM audit_sources`).Scan(&rows, &stored, &unsettled)
	if err == nil && (rows != stored || unsettled != 0) {
		err = fmt.Errorf("sources have stored %d events of %d, and %d items are unaccounted for", stored, rows, unsettled)
	}
	return err
}

// Sources implements contents.
func (s *tables) Sources(ctx context.Context) ([]store.SourceStats, error) {
	rows, err := s.conn.Query(ctx, "SELECT source, received, stored, duplicate, quarantined, own FROM audit_sources ORDER BY source")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (of store.SourceStats, err error) {
		err = row.Scan(&of.Source, &of.Received, &of.Stored, &of.Duplicate, &of.Quarantined, &of.Own)
		return of, err
	})
}
