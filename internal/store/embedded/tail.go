package embedded

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// tailRows is how many rows one Tail looks at. What is more waits for the
// next call, so that one that finds nothing takes no longer than others.
const tailRows = 1 << 18

// Tail implements store.Reader. What is known without the database, that
// nothing has come to anybody, does not ask it. So the time that an answer takes
// says something of what others do, as More does; positions don't.
func (s *Store) Tail(ctx context.Context, scope query.Scope, req store.TailRequest) (store.Tail, error) {
	tail, err := s.tail(ctx, scope, req)
	if err != nil {
		return store.Tail{}, fmt.Errorf("tail events: %w", err)
	}
	return tail, nil
}

func (s *Store) tail(ctx context.Context, scope query.Scope, req store.TailRequest) (store.Tail, error) {
	if err := s.calls.Enter(); err != nil {
		return store.Tail{}, err
	}
	defer s.calls.Leave()
	if err := ctx.Err(); err != nil {
		return store.Tail{}, err
	}
	if _, err := newWhere(scope, &req.Filter, query.Window{}); err != nil {
		return store.Tail{}, err
	}
	tail := store.Tail{AsOf: s.now()}
	now := s.arrivals.get()
	since := max(0, dayOf(req.Since))
	seal := func(p tailPosition) string {
		return s.positions.Seal(p.written(dayOf(tail.AsOf) + 1).encode()) // events may be ahead of the clock
	}
	if req.After == "" {
		tail.Next = seal(positionAt(now, since))
		return tail, nil
	}
	plain, err := s.positions.Open(req.After)
	if err != nil {
		return store.Tail{}, err
	}
	written, err := decodePosition(plain)
	if err != nil {
		return store.Tail{}, err
	}
	position, err := written.read(now)
	if err != nil {
		return store.Tail{}, err
	}
	position.since = max(position.since, since)
	stretches, err := position.until(now)
	if err != nil {
		return store.Tail{}, err
	}
	if len(stretches) > 0 && req.Limit > 0 {
		if err := s.read(ctx, "store.tail", func(ctx context.Context, tx *readTx) error {
			tail.AsOf = tx.asOf
			return tx.tail(ctx, scope, req, stretches, s.tailRows, &tail)
		}); err != nil {
			return store.Tail{}, err
		}
	}
	next := positionAt(now, position.since)
	for _, t := range stretches {
		next.days[t.day] = arrived{t.from, t.last}
		if t.from == 0 {
			delete(next.days, t.day)
		}
		tail.More = tail.More || t.from < t.end
	}
	tail.Next = seal(next)
	return tail, nil
}

// positionAt is after all that has arrived.
func positionAt(now map[int]arrived, since int) tailPosition {
	days := maps.Clone(now)
	maps.DeleteFunc(days, func(day int, _ arrived) bool { return day < since })
	if days == nil {
		days = map[int]arrived{}
	}
	return tailPosition{since, days}
}

// stretch is a part of a day's rows, in which from moves on.
type stretch struct {
	day       int
	from, end int64
	last      mark  // of the row before from
	endMark   mark  // of the one before end
	to        int64 // up to where this call looks
	found     []arrival
}

// arrival is a row that matches.
type arrival struct {
	rowid int64
	at    int64 // ingested, or when one before it was
	mark  mark
}

// until returns what has come to each day since the position. What contradicts
// it is of a day that was dropped and began again, or of another state of the
// store: there is no saying what was seen of it.
func (p tailPosition) until(now map[int]arrived) ([]*stretch, error) {
	var all []*stretch
	for _, day := range slices.Sorted(maps.Keys(now)) {
		seen, is := p.days[day], now[day]
		switch {
		case day < p.since:
		case is.rows < seen.rows, is.rows == seen.rows && is.last != seen.last:
			return nil, store.ErrPosition
		case is.rows > seen.rows:
			all = append(all, &stretch{day: day, from: seen.rows, end: is.rows, last: seen.last, endMark: is.last})
		}
	}
	return all, nil
}

// tail finds the events of stretches and moves these on, looking at some rows.
func (tx *readTx) tail(ctx context.Context, scope query.Scope, req store.TailRequest, stretches []*stretch, budget int64, tail *store.Tail) error {
	limit := min(req.Limit, store.MaxTail)
	for i, t := range stretches {
		if !slices.Contains(tx.days, t.day) { // it was dropped just now
			t.from, t.to, t.last = t.end, t.end, t.endMark
			continue
		}
		// Each day has a part of it: while nothing is known of one, no row of
		// another can be told to be the next.
		t.to = min(t.end, t.from+budget/int64(len(stretches)-i))
		budget -= t.to - t.from
		if err := tx.arrivals(ctx, scope, req, t, limit+1); err != nil {
			return err
		}
	}
	chosen := map[int][]int64{}
	var order []rowPlace
	for {
		t, whole := earliestOf(stretches)
		if t == nil || !whole || len(order) == limit {
			break
		}
		head := t.found[0]
		t.found, t.from, t.last = t.found[1:], head.rowid+1, head.mark
		chosen[t.day] = append(chosen[t.day], head.rowid)
		order = append(order, rowPlace{t.day, head.rowid})
	}
	for _, t := range stretches {
		if err := tx.passBy(ctx, t); err != nil {
			return err
		}
	}
	events, err := tx.rowsOf(ctx, chosen)
	if err != nil {
		return err
	}
	for _, at := range order {
		tail.Events = append(tail.Events, events[at])
	}
	return nil
}

// arrivals finds the first rows of a stretch that match. When more are wanted
// than there are, all up to t.to is known.
func (tx *readTx) arrivals(ctx context.Context, scope query.Scope, req store.TailRequest, t *stretch, limit int) error {
	if t.from > 0 {
		var id []byte
		err := tx.QueryRowContext(ctx, "SELECT id FROM "+tableOf(t.day)+" WHERE rowid = $1", t.from-1).Scan(&id)
		if err != nil {
			return err
		}
		if markOf(audit.ID(id)) != t.last {
			return store.ErrPosition
		}
	}
	if t.from == t.to {
		return nil
	}
	cond, err := newWhere(scope, &req.Filter, query.Window{From: latest(req.Since, dayStart(t.day)), To: dayStart(t.day + 1)})
	if err != nil {
		return err
	}
	cond.and("rowid >= " + cond.bind(t.from))
	cond.and("rowid < " + cond.bind(t.to))
	rows, err := tx.QueryContext(ctx, cond.overDays("rowid, ingested_at, id", []int{t.day})+" ORDER BY rowid LIMIT "+strconv.Itoa(limit), cond.args...)
	if err != nil {
		return err
	}
	var at int64
	err = each(rows, func() error {
		var row arrival
		var id []byte
		if err := rows.Scan(&row.rowid, &row.at, &id); err != nil {
			return err
		}
		// The clock may step back, and what is imported keeps its time.
		at = max(at, row.at)
		row.at, row.mark = at, markOf(audit.ID(id))
		t.found = append(t.found, row)
		return nil
	})
	if len(t.found) == limit { // there may be more
		t.to = t.found[limit-1].rowid + 1
	}
	return err
}

// earliestOf returns the stretch with the next event, if it is known which.
func earliestOf(stretches []*stretch) (next *stretch, known bool) {
	known = true
	for _, t := range stretches {
		switch {
		case len(t.found) == 0:
			known = known && t.to == t.end
		case next == nil || t.found[0].at < next.found[0].at:
			next = t
		}
	}
	return next, known
}

// passBy moves a stretch on over rows that don't match.
func (tx *readTx) passBy(ctx context.Context, t *stretch) error {
	from := t.to
	if len(t.found) > 0 {
		from = t.found[0].rowid
	}
	if from == t.from {
		return nil
	}
	t.from = from
	if from == t.end {
		t.last = t.endMark
		return nil
	}
	var id []byte
	if err := tx.QueryRowContext(ctx, "SELECT id FROM "+tableOf(t.day)+" WHERE rowid = $1", from-1).Scan(&id); err != nil {
		return err
	}
	t.last = markOf(audit.ID(id))
	return nil
}
