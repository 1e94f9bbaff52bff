package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// maintainEvery is how long what commits add to roll-ups lies about before
	// it is added up. Answers are exact at any time, but take longer.
	maintainEvery = 15 * time.Second
	// daysAhead is how many days there are before they are needed.
	daysAhead = 7
	// mergeLimit is how many counts of deltas one transaction adds up, and
	// mergeTime how long one round does so. What is more waits for the next.
	mergeLimit   = 300_000
	mergeBatches = 1000 // and of how many deltas
	mergeTime    = 10 * time.Second
)

// Maintain does what one replica does for all, until ctx ends: it makes days
// ahead, adds up roll-ups and totals, removes what retention and snapshots have
// left, and keeps the quarantine within its bounds. More than one doing so does
// no harm.
func (s *Store) Maintain(ctx context.Context) error {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		if err := s.maintain(ctx); err != nil && ctx.Err() == nil {
			s.log.Error(err, "Could not maintain the database; tried again in some seconds")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// maintain does all of it once. What fails does not keep the rest from being
// done.
func (s *Store) maintain(ctx context.Context) error {
	var failures []error
	for _, step := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"make days ahead", s.makeDays},
		{"add up roll-ups", s.mergeRollups},
		{"add up totals", s.mergeSources},
		{"order arrivals", s.keepArrivals},
		{"forget old skews", s.dropSkews},
		{"drop forgotten days", s.dropForgotten},
		{"keep the quarantine within its bounds", s.boundQuarantine},
		{"remove what snapshots have left", s.removeLooseBodies},
	} {
		if err := s.call(ctx, step.do); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return errors.Join(failures...)
}

// makeDays makes the days that are missing from today on, each in a transaction
// of its own, so that it waits for others who make one as little as they for it.
func (s *Store) makeDays(ctx context.Context) error {
	if s.JudgeClock() != nil {
		return nil // whose today that is, nobody knows
	}
	today := dayOf(s.now())
	rows, err := s.pool.Query(ctx, `SELECT ahead::date FROM generate_series($1::timestamp, $2::timestamp, '1 day') AS ahead
		WHERE NOT EXISTS (SELECT FROM audit_days WHERE audit_days.day = ahead::date) ORDER BY ahead`,
		today.start(), (today + daysAhead).start())
	if err != nil {
		return err
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return err
	}
	for _, day := range missing {
		if _, err := s.pool.Exec(ctx, createDay, day); err != nil {
			return err
		}
	}
	return nil
}

// exclusively runs fn in a transaction, unless another replica does the like
// now.
func (s *Store) exclusively(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var alone bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(hashtext('audit_maintain'), 0)").Scan(&alone); err != nil || !alone {
			return err
		}
		return fn(tx)
	})
}

// mergeRollups adds the deltas to the roll-ups, day by day.
func (s *Store) mergeRollups(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, "SELECT DISTINCT day FROM audit_rollup_deltas JOIN audit_days USING (day) ORDER BY day")
	if err != nil {
		return err
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return err
	}
	began := time.Now()
	for _, day := range days {
		for merged := true; merged && time.Since(began) < mergeTime; {
			merged = false
			if err := s.exclusively(ctx, func(tx pgx.Tx) (err error) {
				merged, err = mergeDay(ctx, tx, day, mergeLimit)
				return err
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// mergeDay moves deltas of a day into the roll-ups, one at least, and reports
// whether there were any. Nobody else takes them meanwhile, and they never
// change.
func mergeDay(ctx context.Context, tx pgx.Tx, day time.Time, limit int) (merged bool, err error) {
	rows, err := tx.Query(ctx, `
		SELECT batch FROM (
			SELECT batch, sum(size) OVER (ORDER BY batch ROWS UNBOUNDED PRECEDING) - size AS before FROM (
				SELECT batch, cardinality(counts) AS size FROM audit_rollup_deltas WHERE day = $1 ORDER BY batch LIMIT $3) AS first
		) AS summed WHERE before < $2`, day, limit, mergeBatches)
	if err != nil {
		return false, err
	}
	batches, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(batches) == 0 {
		return false, err
	}
	batch := &pgx.Batch{}
	for _, statement := range mergeDeltas {
		batch.Queue(statement, day, batches)
	}
	return true, tx.SendBatch(ctx, batch).Close()
}

// mergeDeltas adds deltas of the day $1 to each roll-up, and removes them.
var mergeDeltas = []string{
	mergeInto("audit_rollup_kinds", "kind"),
	mergeInto("audit_rollup_places", "place", "kind"),
	mergeInto("audit_rollup_actors", "actor", "kind"),
	"DELETE FROM audit_rollup_deltas WHERE day = $1 AND batch = ANY($2)",
}

// mergeInto adds deltas to a roll-up that counts by keys.
func mergeInto(table string, keys ...string) string {
	list := strings.Join(keys, ", ")
	ids, arrays := strings.Join(keys, "_id, ")+"_id", strings.Join(keys, "s, ")+"s"
	return "INSERT INTO " + table + " AS r (day, " + ids + ", count, " + eachHour("h%d") + `)
		SELECT $1, ` + list + ", sum(count), " + eachHour("coalesce(sum(count) FILTER (WHERE hour = %d), 0)") + `
		FROM audit_rollup_deltas, unnest(hours, counts, ` + arrays + ") AS d (hour, count, " + list + `)
		WHERE day = $1 AND batch = ANY($2) GROUP BY ` + list + " ORDER BY " + list + `
		ON CONFLICT (day, ` + ids + ") DO UPDATE SET count = r.count + excluded.count, " + eachHour("h%[1]d = r.h%[1]d + excluded.h%[1]d")
}

// eachHour repeats a term for each hour of a day.
func eachHour(term string) string {
	terms := make([]string, 24)
	for hour := range terms {
		terms[hour] = fmt.Sprintf(term, hour)
	}
	return strings.Join(terms, ", ")
}

// mergeSources adds what commits appended to the totals of the sources.
func (s *Store) mergeSources(ctx context.Context) error {
	return s.exclusively(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH taken AS (DELETE FROM audit_source_deltas RETURNING *)
			INSERT INTO audit_source_totals AS t
			SELECT source, sum(received), sum(stored), sum(duplicate), sum(quarantined), sum(own), max(last_received_at), max(last_event_at)
			FROM taken GROUP BY source ORDER BY source
			ON CONFLICT (source) DO UPDATE SET
				received = t.received + excluded.received, stored = t.stored + excluded.stored,
				duplicate = t.duplicate + excluded.duplicate, quarantined = t.quarantined + excluded.quarantined, own = t.own + excluded.own,
				last_received_at = greatest(t.last_received_at, excluded.last_received_at),
				last_event_at = greatest(t.last_event_at, excluded.last_event_at)`)
		return err
	})
}

// quarantineSize is what an item counts against Options.QuarantineBytes.
const quarantineSize = "coalesce(octet_length(redacted), 0) + octet_length(reason) + 100"

// boundQuarantine removes the oldest items over the limit, and a quarter more,
// so that a flood doesn't make it do so each time.
func (s *Store) boundQuarantine(ctx context.Context) error {
	var kept int64
	if err := s.pool.QueryRow(ctx, "SELECT coalesce(sum("+quarantineSize+"), 0)::bigint FROM audit_quarantine").Scan(&kept); err != nil {
		return err
	}
	if kept <= s.opts.QuarantineBytes {
		return nil
	}
	_, err := s.pool.Exec(ctx, `DELETE FROM audit_quarantine WHERE seq <= (SELECT max(seq) FROM (
		SELECT seq, sum(`+quarantineSize+`) OVER (ORDER BY seq DESC) AS kept FROM audit_quarantine) AS items WHERE kept > $1)`,
		s.opts.QuarantineBytes/4*3)
	return err
}
