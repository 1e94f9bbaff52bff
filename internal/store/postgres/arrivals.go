package postgres

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Arrivals are what commits have added, in the order in which a live tail shows
// them; see migrations/00006_arrivals.sql.

const (
	// arrivalsKept is how long a tail may rest and still go on.
	arrivalsKept = 24 * time.Hour
	// arrivalsForgotten are so many at once.
	arrivalsForgotten = 10_000

	insertArrival = "INSERT INTO audit_arrivals_new (day, count, numbers, blocks) VALUES ($1, $2, $3, $4)"

	// Each statement sees what was committed when it began: the second all that
	// was ordered before the first had its turn.
	oneAtATime    = "SELECT pg_advisory_xact_lock(hashtext('audit_arrivals'), 0)"
	orderArrivals = `WITH taken AS (DELETE FROM audit_arrivals_new RETURNING *)
		INSERT INTO audit_arrivals (seq, at, day, count, numbers, blocks)
		SELECT (SELECT coalesce(max(seq), 0) FROM audit_arrivals) + row_number() OVER (ORDER BY at, numbers, day), at, day, count, numbers, blocks FROM taken`

	// The last one stays, and with it the number of the next.
	forgetArrivals = `DELETE FROM audit_arrivals WHERE seq IN (SELECT seq FROM audit_arrivals ORDER BY seq LIMIT $2)
		AND at < $1 AND seq < (SELECT max(seq) FROM audit_arrivals)`

	newestArrival = `SELECT EXISTS (SELECT FROM audit_arrivals_new), coalesce(seq, 0), coalesce(numbers[1], 0)
		FROM (VALUES (1)) AS one LEFT JOIN (SELECT seq, numbers FROM audit_arrivals ORDER BY seq DESC LIMIT 1) AS newest ON TRUE`
)

// ranges are numbers as the first and the last of each range, ascending.
type ranges []int64

// rangesOf makes ranges of numbers, in which gaps of a size are closed.
func rangesOf(numbers []int64, gap int64) ranges {
	slices.Sort(numbers)
	var all ranges
	for _, n := range numbers {
		if last := len(all) - 1; last > 0 && n <= all[last]+1+gap {
			all[last] = n
			continue
		}
		all = append(all, n, n)
	}
	return all
}

func (r ranges) hold(n int64) bool {
	for i := 0; i+1 < len(r); i += 2 {
		if r[i] <= n && n <= r[i+1] {
			return true
		}
	}
	return false
}

// join puts ranges together that overlap or are no further apart than a gap.
func join(all []ranges, gap int64) ranges {
	type span struct{ first, last int64 }
	var spans []span
	for _, r := range all {
		for i := 0; i+1 < len(r); i += 2 {
			spans = append(spans, span{r[i], r[i+1]})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	var joined ranges
	for _, s := range spans {
		if last := len(joined) - 1; last > 0 && s.first <= joined[last]+1+gap {
			joined[last] = max(joined[last], s.last)
			continue
		}
		joined = append(joined, s.first, s.last)
	}
	return joined
}

// blockGap is how many blocks between two that are wanted are read with them.
const blockGap = 4

// blockOf reads the block of a ctid, as the server sends it.
func blockOf(ctid []byte) (int64, error) {
	if len(ctid) != 6 {
		return 0, fmt.Errorf("the server sends a row's place in %d bytes, not in 6", len(ctid))
	}
	return int64(binary.BigEndian.Uint32(ctid)), nil
}

// queueArrivals adds what a plan has stored.
func (p *plan) queueArrivals(batch *pgx.Batch) {
	for _, day := range p.days {
		var numbers, blocks []int64
		for _, r := range p.rows {
			if r.stored && r.day == day {
				numbers, blocks = append(numbers, r.number), append(blocks, r.block)
			}
		}
		if len(numbers) > 0 {
			batch.Queue(insertArrival, day.start(), len(numbers), []int64(rangesOf(numbers, 0)), []int64(rangesOf(blocks, blockGap)))
		}
	}
}

// order gives an order to arrivals that have none. What it has ordered no crash
// and no failover orders in another way.
func (s *Store) order(ctx context.Context) error {
	return s.durably(ctx, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
		batch.Queue(oneAtATime)
		batch.Queue(orderArrivals)
		return tx.SendBatch(ctx, batch).Close()
	})
}

// keepArrivals orders them while nobody tails, and removes the oldest.
func (s *Store) keepArrivals(ctx context.Context) error {
	if _, err := s.newestArrival(ctx); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, forgetArrivals, s.now().Add(-arrivalsKept), arrivalsForgotten)
	return err
}

// newestArrival returns a position after all that was committed before the call.
// It gives an order once: what has none afterwards was committed meanwhile, and
// waits for the next call, so that those who commit all the time keep none from
// its answer.
func (s *Store) newestArrival(ctx context.Context) (p tailPosition, err error) {
	var unordered bool
	read := func() error { return s.pool.QueryRow(ctx, newestArrival).Scan(&unordered, &p.seq, &p.anchor) }
	if err := read(); err != nil || !unordered {
		return p, err
	}
	if err := s.order(ctx); err != nil {
		return p, err
	}
	return p, read()
}
