package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
)

// rollup is one of the tables that count events by hour and kind.
type rollup struct {
	table string
	key   string // what it counts by, besides
}

var (
	ofAll   = &rollup{"audit_rollup_kinds", "kind_id"}
	byPlace = &rollup{"audit_rollup_places", "place_id"}
	byActor = &rollup{"audit_rollup_actors", "actor_id"}
)

// share is what a roll-up adds to a count, or takes away.
type share struct {
	*rollup
	sign int64
	test string // of its key; empty for all of it
}

// shares returns the smallest parts of roll-ups that together know what the
// condition and the key ask for; none if only the rows know.
func (c *choice) shares(key string) []share {
	places := !c.places.all || key == byPlace.key
	actors := !c.actors.all || key == byActor.key
	switch {
	case len(c.rows) > 0, c.search != nil, places && actors, !c.agents.all, key == ofAgents.key: // nothing counts by agent
		return nil
	case places:
		return byPlace.shares(c.places, key)
	case actors:
		return byActor.shares(c.actors, key)
	}
	return []share{{ofAll, 1, ""}}
}

// shares counts what members match; where they are nearly all, as all without
// the others.
func (r *rollup) shares(m members, key string) []share {
	switch {
	case m.all:
		return []share{{r, 1, ""}}
	case m.others != "" && key != r.key:
		return []share{{ofAll, 1, ""}, {r, -1, m.others}}
	}
	return []share{{r, 1, m.test}}
}

// hours are the columns of a roll-up's row from one hour of the day to another.
func hours(from, to int) []string {
	columns := make([]string, 0, 24)
	for hour := from; hour < to; hour++ {
		columns = append(columns, fmt.Sprint("r.h", hour))
	}
	return columns
}

// counter is a question for how many events of a window match.
type counter struct {
	*choice
	tx     *readTx
	window query.Window
	shares []share // none: the rows answer it all
	// whole are the hours that roll-ups count; edges are what rows add to that
	// and take away, so that it is exactly the window.
	whole query.Window
	edges []edge
}

// edge is a part of an hour between the window and the whole hours.
type edge struct {
	query.Window
	sign int64
}

// newCounter splits a window into the hours that roll-ups know and its edges,
// of which it takes the shorter ones.
func (tx *readTx) newCounter(c *choice, w query.Window, shares []share) *counter {
	n := &counter{choice: c, tx: tx, window: tx.clamp(w)}
	if shares == nil || isEmpty(n.window) {
		return n
	}
	n.whole = query.Window{From: n.window.From.Round(time.Hour), To: n.window.To.Truncate(time.Hour)}
	after := n.window.To.Add(time.Hour - 1).Truncate(time.Hour)
	// What is still to come costs nothing.
	if earliest(after, latest(n.window.To, tx.asOf)).Sub(n.window.To) < n.window.To.Sub(n.whole.To) {
		n.whole.To = after
	}
	if isEmpty(n.whole) {
		return n
	}
	n.shares = shares
	for _, e := range []edge{
		{query.Window{From: n.window.From, To: n.whole.From}, 1},
		{query.Window{From: n.whole.From, To: n.window.From}, -1},
		{query.Window{From: n.whole.To, To: n.window.To}, 1},
		{query.Window{From: n.window.To, To: n.whole.To}, -1},
	} {
		if !isEmpty(e.Window) {
			n.edges = append(n.edges, e)
		}
	}
	return n
}

// of is the condition on a share's roll-up, or on deltas (r).
func (n *counter) of(part share) string {
	terms := append([]string{"r.day = ANY(" + n.bind(n.tx.daysIn(n.whole)) + "::date[])"}, n.kinds.on("r.kind_id")...)
	if part.test != "" {
		terms = append(terms, "r."+part.key+part.test)
	}
	return allOf(terms)
}

// deltas are the counts that are not merged yet, one after the other.
func (r *rollup) deltas() string {
	columns := "day, unnest(hours) AS hour, unnest(counts) AS count, unnest(kinds) AS kind_id"
	if r != ofAll {
		columns += ", unnest(" + strings.TrimSuffix(r.key, "_id") + "s) AS " + r.key
	}
	return "(SELECT " + columns + " FROM audit_rollup_deltas) AS r"
}

// tally is the number of events by the beginning of an hour, or of something else.
type tally map[time.Time]int64

func (t tally) newestFirst() []time.Time {
	return slices.SortedFunc(maps.Keys(t), func(a, b time.Time) int { return b.Compare(a) })
}

func (t tally) sum() (total int64) {
	for _, n := range t {
		total += n
	}
	return total
}

// tally counts by hour.
func (n *counter) tally(ctx context.Context) (tally, error) {
	counted := tally{}
	batch := &pgx.Batch{}
	for _, part := range n.shares {
		n.queueMerged(batch, part, counted)
		n.queueDeltas(batch, part, counted)
	}
	for _, e := range n.edges {
		n.queueEdge(batch, e, counted)
	}
	if err := n.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	maps.DeleteFunc(counted, func(_ time.Time, n int64) bool { return n == 0 })
	return counted, nil
}

func (n *counter) queueMerged(batch *pgx.Batch, part share, counted tally) {
	batch.Queue("SELECT r.day, ARRAY["+eachHour("sum(r.h%d)")+"] FROM "+part.table+" AS r WHERE "+n.of(part)+" GROUP BY r.day", n.args).
		Query(func(rows pgx.Rows) error {
			var day time.Time
			var sums []int64
			_, err := pgx.ForEachRow(rows, []any{&day, &sums}, func() error {
				for hour, sum := range sums {
					n.add(counted, day, hour, part.sign*sum)
				}
				return nil
			})
			return err
		})
}

func (n *counter) queueDeltas(batch *pgx.Batch, part share, counted tally) {
	batch.Queue("SELECT r.day, r.hour, sum(r.count) FROM "+part.deltas()+" WHERE "+n.of(part)+" GROUP BY r.day, r.hour", n.args).
		Query(func(rows pgx.Rows) error {
			var day time.Time
			var hour int
			var sum int64
			_, err := pgx.ForEachRow(rows, []any{&day, &hour, &sum}, func() error {
				n.add(counted, day, hour, part.sign*sum)
				return nil
			})
			return err
		})
}

// add adds what is counted of an hour, if it is a whole one.
func (n *counter) add(to tally, day time.Time, hour int, sum int64) {
	at := day.Add(time.Duration(hour) * time.Hour)
	if !at.Before(n.whole.From) && at.Before(n.whole.To) {
		to[at] += sum
	}
}

func (n *counter) queueEdge(batch *pgx.Batch, e edge, counted tally) {
	batch.Queue("SELECT count(*) FROM audit_rows r WHERE "+n.tx.during(n.where, e.Window)+" AND "+n.ofRows(), n.args).
		QueryRow(func(row pgx.Row) error {
			var matched int64
			err := row.Scan(&matched)
			counted[e.From.Truncate(time.Hour)] += e.sign * matched
			return err
		})
}

// byKey is a SELECT of counts by a key, as id and n; an id may come several
// times.
func (n *counter) byKey(key string) string {
	if n.shares == nil {
		return n.partByKey(key, 1, "count(*)", "audit_rows r WHERE "+n.tx.during(n.where, n.window)+" AND "+n.ofRows())
	}
	var parts []string
	for _, part := range n.shares {
		parts = append(parts,
			// By itself, a large part runs in parallel.
			"(WITH merged AS MATERIALIZED ("+n.partByKey(key, part.sign, "sum("+n.sumOfDay()+")", part.table+" AS r WHERE "+n.of(part))+") SELECT * FROM merged)",
			n.partByKey(key, part.sign, "sum(count)", part.deltas()+" WHERE "+n.of(part)+" AND "+n.ofWhole()))
	}
	for _, e := range n.edges {
		parts = append(parts, n.partByKey(key, e.sign, "count(*)", "audit_rows r WHERE "+n.tx.during(n.where, e.Window)+" AND "+n.ofRows()))
	}
	return strings.Join(parts, " UNION ALL ")
}

func (n *counter) partByKey(key string, sign int64, sum, from string) string {
	return fmt.Sprintf("SELECT r.%[1]s AS id, %[2]d * %[3]s AS n FROM %[4]s GROUP BY r.%[1]s", key, sign, sum, from)
}

// ofWhole is the condition on deltas that they are of the whole hours.
func (n *counter) ofWhole() string {
	from, to := n.whole.From, n.whole.To
	return fmt.Sprintf("(r.day, r.hour) >= (%s::date, %s::smallint) AND (r.day, r.hour) < (%s::date, %s::smallint)",
		n.bind(audit.Day(from)), n.bind(from.Hour()), n.bind(audit.Day(to)), n.bind(to.Hour()))
}

// sumOfDay is what a row of the roll-up counts of the whole hours: of the first
// and the last day perhaps not all.
func (n *counter) sumOfDay() string {
	sum := func(from, to int) string { return "0::bigint + " + strings.Join(hours(from, to), " + ") }
	first, last := audit.Day(n.whole.From), audit.Day(n.whole.To)
	from, to := n.whole.From.Hour(), n.whole.To.Hour()
	if first.Equal(last) {
		return sum(from, to)
	}
	cases := ""
	if from > 0 {
		cases += " WHEN " + n.bind(first) + "::date THEN " + sum(from, 24)
	}
	if to > 0 {
		cases += " WHEN " + n.bind(last) + "::date THEN " + sum(0, to)
	}
	if cases == "" {
		return "r.count"
	}
	return "CASE r.day" + cases + " ELSE r.count END"
}
