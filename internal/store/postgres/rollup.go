package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
)

// rollup is one of the tables that count events by day or hour.
type rollup struct {
	table string
	unit  time.Duration
	keys  []string // what it counts by, besides the time
}

var (
	byHour  = &rollup{"audit_rollup_hours", time.Hour, []string{"kind_id"}}
	byPlace = &rollup{"audit_rollup_places", time.Hour, []string{"kind_id", "place_id"}}
	byActor = &rollup{"audit_rollup_actors", dayLength, []string{"kind_id", "actor_id"}}
)

// rollup returns the smallest table that knows what the condition asks for, and
// the further keys; nil if only the rows know.
func (c *choice) rollup(keys ...string) *rollup {
	places := !c.places.all || slices.Contains(keys, "place_id")
	actors := !c.actors.all || slices.Contains(keys, "actor_id")
	switch {
	case len(c.rows) > 0, c.search != "", places && actors:
		return nil
	case places:
		return byPlace
	case actors:
		return byActor
	}
	return byHour
}

// columns are the counts of a day.
func (r *rollup) columns() []string {
	if r.unit == dayLength {
		return []string{"h.count"}
	}
	hours := make([]string, 24)
	for i := range hours {
		hours[i] = fmt.Sprint("h.h", i)
	}
	return hours
}

// counter is a question for how many events of a window match.
type counter struct {
	*choice
	tx     *readTx
	window query.Window
	rollup *rollup // nil: the rows answer it all
	// whole are the units that the roll-up counts; edges are what rows add to
	// that and take away, so that it is exactly the window.
	whole query.Window
	edges []edge
}

// edge is a part of a unit between the window and the whole units.
type edge struct {
	query.Window
	sign int64
}

// newCounter splits a window into the part that a roll-up knows and its edges.
// Of the two ways to a whole unit, it takes the one with less time.
func (tx *readTx) newCounter(c *choice, w query.Window, roll *rollup) *counter {
	n := &counter{choice: c, tx: tx, window: tx.clamp(w), rollup: roll}
	if roll == nil || isEmpty(n.window) {
		n.rollup = nil
		return n
	}
	w = n.window
	before, after := w.From.Truncate(roll.unit), w.From.Add(roll.unit-1).Truncate(roll.unit)
	if w.From.Sub(before) < after.Sub(w.From) {
		n.add(before, w.From, -1)
		n.whole.From = before
	} else {
		n.add(w.From, after, 1)
		n.whole.From = after
	}
	before, after = w.To.Truncate(roll.unit), w.To.Add(roll.unit-1).Truncate(roll.unit)
	// Hardly anything has happened in what is still to come.
	if earliest(after, latest(tx.asOf, w.To)).Sub(w.To) < w.To.Sub(before) {
		n.add(w.To, after, -1)
		n.whole.To = after
	} else {
		n.add(before, w.To, 1)
		n.whole.To = before
	}
	if isEmpty(n.whole) {
		n.rollup, n.edges = nil, nil
	}
	return n
}

func (n *counter) add(from, to time.Time, sign int64) {
	if from.Before(to) {
		n.edges = append(n.edges, edge{query.Window{From: from, To: to}, sign})
	}
}

// ofRollup is the condition on an alias of a roll-up or of deltas.
func (n *counter) ofRollup(alias string) string {
	terms := append([]string{alias + ".day = ANY(" + n.bind(n.tx.daysIn(n.whole)) + "::date[])"}, n.kinds.on(alias+".kind_id")...)
	switch n.rollup {
	case byPlace:
		terms = append(terms, n.places.on(alias+".place_id")...)
	case byActor:
		terms = append(terms, n.actors.on(alias+".actor_id")...)
	}
	return allOf(terms)
}

// deltas are the counts that are not merged yet, one after the other.
func (n *counter) deltas() string {
	columns := []string{"day", "unnest(hours) AS hour", "unnest(counts) AS count"}
	for _, key := range n.rollup.keys {
		columns = append(columns, "unnest("+strings.TrimSuffix(key, "_id")+"s) AS "+key)
	}
	return "(SELECT " + strings.Join(columns, ", ") + " FROM audit_rollup_deltas) AS d"
}

// tally is the number of events by the beginning of an hour or day.
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

// tally counts by the units of the roll-up.
func (n *counter) tally(ctx context.Context) (tally, error) {
	counted := tally{}
	batch := &pgx.Batch{}
	n.queueMerged(batch, counted)
	n.queueDeltas(batch, counted)
	for _, e := range n.edges {
		n.queueEdge(batch, e, counted)
	}
	if err := n.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	maps.DeleteFunc(counted, func(_ time.Time, n int64) bool { return n == 0 })
	return counted, nil
}

func (n *counter) queueMerged(batch *pgx.Batch, counted tally) {
	columns := n.rollup.columns()
	for i := range columns {
		columns[i] = "sum(" + columns[i] + ")"
	}
	batch.Queue("SELECT h.day, ARRAY["+strings.Join(columns, ", ")+"] FROM "+n.rollup.table+" AS h WHERE "+n.ofRollup("h")+" GROUP BY h.day", n.args).
		Query(func(rows pgx.Rows) error {
			var day time.Time
			var sums []int64
			_, err := pgx.ForEachRow(rows, []any{&day, &sums}, func() error {
				for i, sum := range sums {
					n.counted(counted, day.Add(time.Duration(i)*n.rollup.unit), sum)
				}
				return nil
			})
			return err
		})
}

func (n *counter) queueDeltas(batch *pgx.Batch, counted tally) {
	batch.Queue("SELECT d.day, d.hour, sum(d.count) FROM "+n.deltas()+" WHERE "+n.ofRollup("d")+" GROUP BY d.day, d.hour", n.args).
		Query(func(rows pgx.Rows) error {
			var day time.Time
			var hour int16
			var sum int64
			_, err := pgx.ForEachRow(rows, []any{&day, &hour, &sum}, func() error {
				n.counted(counted, day.Add(time.Duration(hour)*time.Hour), sum)
				return nil
			})
			return err
		})
}

// counted adds what a roll-up has counted at a time, which may be of a unit
// that is not asked for.
func (n *counter) counted(t tally, at time.Time, sum int64) {
	if !at.Before(n.whole.From) && at.Before(n.whole.To) {
		t[at.UTC().Truncate(n.rollup.unit)] += sum
	}
}

func (n *counter) queueEdge(batch *pgx.Batch, e edge, counted tally) {
	batch.Queue("SELECT count(*) FROM audit_rows r WHERE "+n.tx.during(n.where, e.Window)+" AND "+n.ofRows(), n.args).
		QueryRow(func(row pgx.Row) error {
			var matched int64
			err := row.Scan(&matched)
			counted[e.From.Truncate(n.rollup.unit)] += e.sign * matched
			return err
		})
}

// byKey is a SELECT of counts by a key, as id and n; an id may come several
// times.
func (n *counter) byKey(key string) string {
	if n.rollup == nil {
		return n.rowsByKey(key, edge{n.window, 1})
	}
	parts := []string{
		"SELECT h." + key + " AS id, " + n.sumOfDay() + " AS n FROM " + n.rollup.table + " AS h WHERE " + n.ofRollup("h"),
		"SELECT d." + key + ", d.count FROM " + n.deltas() + " WHERE " + n.ofRollup("d") + " AND " + n.ofWhole("d"),
	}
	for _, e := range n.edges {
		parts = append(parts, n.rowsByKey(key, e))
	}
	return strings.Join(parts, " UNION ALL ")
}

func (n *counter) rowsByKey(key string, e edge) string {
	return "SELECT r." + key + " AS id, " + strconv.FormatInt(e.sign, 10) + " * count(*) AS n FROM audit_rows r WHERE " +
		n.tx.during(n.where, e.Window) + " AND " + n.ofRows() + " GROUP BY r." + key
}

// ofWhole is the condition on deltas that they are of the whole units.
func (n *counter) ofWhole(alias string) string {
	from, to := n.whole.From, n.whole.To
	return fmt.Sprintf("(%[1]s.day, %[1]s.hour) >= (%[2]s::date, %[3]s::smallint) AND (%[1]s.day, %[1]s.hour) < (%[4]s::date, %[5]s::smallint)",
		alias, n.bind(audit.Day(from)), n.bind(from.Hour()), n.bind(audit.Day(to)), n.bind(to.Hour()))
}

// sumOfDay is what a row of the roll-up counts of the whole units: of the first
// and the last day perhaps not all.
func (n *counter) sumOfDay() string {
	columns := n.rollup.columns()
	all := strings.Join(columns, " + ")
	first, last := audit.Day(n.whole.From), audit.Day(n.whole.To)
	from, to := int(n.whole.From.Sub(first)/n.rollup.unit), int(n.whole.To.Sub(last)/n.rollup.unit)
	switch {
	case first.Equal(last):
		return strings.Join(columns[from:to], " + ")
	case to == 0:
		return "CASE h.day WHEN " + n.bind(first) + "::date THEN " + strings.Join(columns[from:], " + ") + " ELSE " + all + " END"
	}
	return "CASE h.day WHEN " + n.bind(first) + "::date THEN " + strings.Join(columns[from:], " + ") +
		" WHEN " + n.bind(last) + "::date THEN " + strings.Join(columns[:to], " + ") + " ELSE " + all + " END"
}
