package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// tailBudget is how many rows one Tail looks at, and tailCommits the
	// arrivals: one at least. What is more waits for the next call.
	tailBudget  = 10_000
	tailCommits = 500
)

// Tail implements store.Reader. Where nothing has come, that is one small
// statement.
func (s *Store) Tail(ctx context.Context, scope query.Scope, req store.TailRequest) (store.Tail, error) {
	tail, err := s.tail(ctx, scope, req)
	if err != nil {
		return store.Tail{}, fmt.Errorf("tail events: %w", err)
	}
	return tail, nil
}

func (s *Store) tail(ctx context.Context, scope query.Scope, req store.TailRequest) (tail store.Tail, err error) {
	if _, err := newWhere(scope, &req.Filter, req.Since); err != nil {
		return store.Tail{}, err
	}
	tail.AsOf = s.now()
	done := false
	var after tailPosition
	err = s.call(ctx, func(ctx context.Context) error {
		codec, err := s.codec(ctx)
		if err != nil {
			return err
		}
		if req.After != "" {
			plain, err := codec.Open(req.After)
			if err != nil {
				return err
			}
			if after, err = decodePosition(plain); err != nil {
				return err
			}
		}
		newest, err := s.newestArrival(ctx)
		if err != nil {
			return err
		}
		done = req.After == "" || after == newest || req.Limit <= 0
		switch {
		case req.After == "":
			tail.Next = codec.Seal(newest.encode())
		case done:
			// Written anew, so that it doesn't tell that nothing has come to anybody.
			tail.Next, tail.More = codec.Seal(after.encode()), after != newest
		}
		return nil
	})
	if err != nil || done {
		return tail, err
	}
	var next tailPosition
	if err := s.read(ctx, "store.tail", func(ctx context.Context, tx *readTx) error {
		tail = store.Tail{AsOf: tx.asOf}
		next, err = tx.tail(ctx, scope, req, after, &tail)
		return err
	}); err != nil {
		return store.Tail{}, err
	}
	tail.Next = s.positions.Load().Seal(next.encode())
	return tail, nil
}

// arrival is what a commit added to a day.
type arrival struct {
	Seq             int64
	Day             time.Time
	Count           int
	Numbers, Blocks []int64
	Young           bool

	rows []arrived
}

// arrived is a row of an arrival.
type arrived struct {
	query.Position
	matches bool
}

// selectArrivals begins with the one that the position is after.
const selectArrivals = `SELECT seq, day, count, numbers, blocks, at > clock_timestamp() - interval '1 minute' AS young
	FROM audit_arrivals WHERE seq >= $1 ORDER BY seq LIMIT $2`

// arrivals returns those after a position, and whether there are more.
func (tx *readTx) arrivals(ctx context.Context, after tailPosition) (some []*arrival, more bool, err error) {
	rows, err := tx.Query(ctx, selectArrivals, after.seq, tailCommits+2)
	if err != nil {
		return nil, false, err
	}
	some, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*arrival, error) {
		var a arrival
		err := row.Scan(&a.Seq, &a.Day, &a.Count, &a.Numbers, &a.Blocks, &a.Young)
		return &a, err
	})
	if err != nil {
		return nil, false, err
	}
	if after.seq > 0 {
		if len(some) == 0 || some[0].position() != (tailPosition{seq: after.seq, anchor: after.anchor}) {
			return nil, false, store.ErrPosition
		}
		some = some[1:]
	}
	if len(some) > 0 && some[0].Seq != after.seq+1 {
		return nil, false, store.ErrPosition
	}
	kept := some[:min(len(some), tailCommits)]
	counted := 0
	for i, a := range kept {
		if counted += a.Count; counted > tailBudget && i > 0 {
			kept = kept[:i]
			break
		}
	}
	return kept, len(kept) < len(some), nil
}

// position is after the arrival.
func (a *arrival) position() tailPosition { return tailPosition{seq: a.Seq, anchor: a.Numbers[0]} }

// tail reads what has arrived after a position, and returns the next one.
func (tx *readTx) tail(ctx context.Context, scope query.Scope, req store.TailRequest, after tailPosition, tail *store.Tail) (tailPosition, error) {
	arrivals, more, err := tx.arrivals(ctx, after)
	if err != nil {
		return after, err
	}
	cond, err := newWhere(scope, &req.Filter, req.Since)
	if err != nil {
		return after, err
	}
	chosen, err := tx.choose(ctx, cond)
	if err != nil {
		return after, err
	}
	if !chosen.none() {
		if arrivals, err = tx.look(ctx, chosen, req.Since, arrivals); err != nil {
			return after, err
		}
	}
	limit := min(req.Limit, store.MaxTail)
	var found []query.Position
	next, within := after, after.within
	for _, a := range arrivals {
		for _, row := range a.rows {
			if within != nil && compare(row.Position, *within) <= 0 || !row.matches {
				continue
			}
			if len(found) == limit {
				tail.More = true
				tail.Events, err = tx.events(ctx, cond, found)
				return next, err
			}
			found = append(found, row.Position)
			next.within = &found[len(found)-1]
		}
		next, within = a.position(), nil
	}
	tail.More = more && len(arrivals) > 0
	tail.Events, err = tx.events(ctx, cond, found)
	return next, err
}

func compare(a, b query.Position) int {
	return cmp.Or(a.OccurredAt.Compare(b.OccurredAt), slices.Compare(a.ID[:], b.ID[:]))
}

// look reads the rows of arrivals: where they were written, or, if they aren't
// there any more, in all of the day. It returns the arrivals without those from
// the first on whose rows are not all to be seen yet, as where the database is
// spread over machines.
func (tx *readTx) look(ctx context.Context, c *choice, since time.Time, arrivals []*arrival) ([]*arrival, error) {
	wanted := slices.DeleteFunc(slices.Clone(arrivals), func(a *arrival) bool {
		return !a.Day.Add(dayLength).After(since) || !slices.ContainsFunc(tx.days, a.Day.Equal)
	})
	if err := tx.lookAt(ctx, c, since, wanted, true); err != nil {
		return nil, err
	}
	missed := slices.DeleteFunc(slices.Clone(wanted), func(a *arrival) bool { return len(a.rows) >= a.Count })
	for _, a := range missed {
		a.rows = nil
	}
	if err := tx.lookAt(ctx, c, since, missed, false); err != nil {
		return nil, err
	}
	for _, a := range wanted {
		slices.SortFunc(a.rows, func(a, b arrived) int { return compare(a.Position, b.Position) })
	}
	for i, a := range arrivals {
		if a.Young && slices.Contains(missed, a) && len(a.rows) < a.Count {
			return arrivals[:i], nil
		}
	}
	return arrivals, nil
}

// lookAt reads the rows of arrivals in one round trip.
func (tx *readTx) lookAt(ctx context.Context, c *choice, since time.Time, arrivals []*arrival, inBlocks bool) error {
	byDay := map[time.Time][]*arrival{}
	for _, a := range arrivals {
		byDay[a.Day] = append(byDay[a.Day], a)
	}
	batch := &pgx.Batch{}
	for day, of := range byDay {
		var numbers, blocks []ranges
		for _, a := range of {
			numbers, blocks = append(numbers, a.Numbers), append(blocks, a.Blocks)
		}
		from := " FROM audit_rows r WHERE " + tx.during(c.where, query.Window{From: day, To: day.Add(dayLength)})
		all := join(numbers, 0)
		from += " AND r.raw_batch >= " + c.bind(all[0]) + " AND r.raw_batch <= " + c.bind(all[len(all)-1])
		places := []string{""}
		if inBlocks {
			places = nil
			joined := join(blocks, blockGap)
			for i := 0; i < len(joined); i += 2 {
				places = append(places, " AND r.ctid >= "+c.bindBlock(joined[i])+" AND r.ctid < "+c.bindBlock(joined[i+1]+1))
			}
		}
		for _, place := range places {
			batch.Queue("SELECT r.raw_batch, r.occurred_at, r.id, coalesce(r.occurred_at >= "+c.bind(since)+" AND "+c.ofRows()+", FALSE)"+from+place, c.args).
				Query(func(rows pgx.Rows) error { return collectArrived(rows, of) })
		}
	}
	if batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, batch).Close()
}

// bindBlock returns what stands for the beginning of a block.
func (c *where) bindBlock(block int64) string {
	return c.bind(pgtype.TID{BlockNumber: uint32(block), Valid: true}) + "::tid"
}

// collectArrived adds rows to those of the day's arrivals that they are of.
func collectArrived(rows pgx.Rows, arrivals []*arrival) error {
	of := map[int64]*arrival{}
	var number int64
	var row arrived
	_, err := pgx.ForEachRow(rows, []any{&number, &row.OccurredAt, (*[16]byte)(&row.ID), &row.matches}, func() error {
		a, known := of[number]
		if !known {
			if i := slices.IndexFunc(arrivals, func(a *arrival) bool { return ranges(a.Numbers).hold(number) }); i >= 0 {
				a = arrivals[i]
			}
			of[number] = a
		}
		if a != nil {
			row.OccurredAt = row.OccurredAt.UTC()
			a.rows = append(a.rows, row)
		}
		return nil
	})
	return err
}

// events reads events in the given order.
func (tx *readTx) events(ctx context.Context, c *where, at []query.Position) ([]audit.Event, error) {
	if len(at) == 0 {
		return nil, nil
	}
	times, ids, places := make([]time.Time, len(at)), make([][16]byte, len(at)), make(map[audit.ID]int, len(at))
	var w query.Window
	for i, p := range at {
		times[i], ids[i], places[p.ID] = p.OccurredAt, p.ID, i
		if i == 0 || p.OccurredAt.Before(w.From) {
			w.From = p.OccurredAt
		}
		w.To = latest(w.To, p.OccurredAt.Add(time.Microsecond))
	}
	rows, err := tx.Query(ctx, "SELECT "+boundedColumns+" FROM unnest("+c.bind(times)+"::timestamptz[], "+c.bind(ids)+
		"::uuid[]) AS wanted (occurred_at, id) JOIN audit_rows r USING (occurred_at, id)"+joinDictionaries+" WHERE "+tx.during(c, w)+" AND "+c.ofJoined(), c.args)
	if err != nil {
		return nil, err
	}
	events, err := collectEvents(rows)
	slices.SortFunc(events, func(a, b audit.Event) int { return cmp.Compare(places[a.ID], places[b.ID]) })
	return events, err
}
