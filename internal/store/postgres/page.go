package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// rowBudget is how many of the newest rows are looked at one after the other
// before the matching ones are looked for in other ways.
const rowBudget = 20_000

const newestFirst = " ORDER BY r.occurred_at DESC, r.id DESC"

// page reads a page of events. Mostly it is full within the newest rows.
func (tx *readTx) page(ctx context.Context, cond *where, req store.ViewRequest, view *store.View) error {
	limit := min(req.Limit, store.MaxPage)
	window := req.Window
	if req.After != nil {
		window.To = earliest(window.To, req.After.OccurredAt.Add(time.Microsecond))
	}
	if window = tx.clamp(window); isEmpty(window) {
		return nil
	}
	// One more than the page tells whether there is a next one.
	find := &finder{tx: tx, where: cond, after: req.After, limit: limit + 1, bytes: req.Bytes}
	if err := find.walk(ctx, window); err != nil {
		return err
	}
	if !find.full() {
		if err := find.elsewhere(ctx, window); err != nil {
			return err
		}
	}
	view.Events = find.events
	if find.full() {
		view.Events = view.Events[:min(limit, len(view.Events))]
		next := query.PositionOf(&view.Events[len(view.Events)-1])
		view.Next = &next
	}
	return nil
}

// finder looks for the newest events that match, older than a position.
type finder struct {
	tx *readTx
	*where
	after  *query.Position
	limit  int
	bytes  int
	events []audit.Event
	// more says that there are other events, for which there is no room.
	more bool
	room *store.Room
}

// full reports whether enough was found.
func (f *finder) full() bool { return f.more || len(f.events) == f.limit }

// walk looks at the newest rows, one after the other, until there are enough
// or the budget is spent.
func (f *finder) walk(ctx context.Context, w query.Window) error {
	f.room = store.NewRoom(f.bytes)
	return f.find(ctx, "SELECT "+boundedColumns+" FROM (SELECT * FROM audit_rows r WHERE "+f.within(w)+newestFirst+
		" LIMIT "+f.bind(rowBudget)+") AS r"+
		lookUp("audit_kinds", "k", "r.kind_id", f.kinds)+lookUp("audit_places", "p", "r.place_id", f.places)+
		lookUp("audit_actors", "a", "r.actor_id", f.actors)+lookUp("audit_agents", "g", "r.agent_id", f.agents)+
		" WHERE "+f.ofRowsAlone()+newestFirst+" LIMIT "+f.bind(f.limit))
}

// lookUp joins a dictionary row by row, so that no more of it is read than the
// page needs. OFFSET 0 keeps the planner from another order.
func lookUp(table, alias, column string, terms []string) string {
	terms = append([]string{alias + ".id = " + column}, terms...)
	return " CROSS JOIN LATERAL (SELECT * FROM " + table + " " + alias + " WHERE " + strings.Join(terms, " AND ") + " OFFSET 0) AS " + alias
}

// within is the condition on a row's time and place in the order.
func (f *finder) within(w query.Window) string {
	term := f.tx.during(f.where, w)
	if f.after != nil {
		term += " AND (r.occurred_at, r.id) < (" + f.bind(f.after.OccurredAt) + ", " + f.bind([16]byte(f.after.ID)) + ")"
	}
	return term
}

// elsewhere looks for them in the parts of a window that may hold some, by the
// quickest way to all of a part's rows, and begins anew.
func (f *finder) elsewhere(ctx context.Context, w query.Window) error {
	f.events, f.room = nil, store.NewRoom(f.bytes)
	chosen, err := f.tx.choose(ctx, f.where)
	if err != nil || chosen.none() {
		return err
	}
	parts, err := f.tx.parts(ctx, chosen, w, int64(f.limit))
	if err != nil {
		return err
	}
	for _, part := range parts {
		if f.full() {
			break
		}
		left := f.limit - len(f.events)
		// The planner must not walk by the order of time here, hoping for the
		// page to be full soon: adding nothing to the time keeps it from that.
		err := f.find(ctx, "SELECT "+boundedColumns+" FROM (SELECT r.* FROM audit_rows r WHERE "+f.within(part)+" AND "+chosen.ofRows()+
			" ORDER BY r.occurred_at + interval '0' DESC, r.id DESC LIMIT "+f.bind(left)+") AS r"+joinDictionaries+newestFirst)
		if err != nil {
			return err
		}
	}
	return nil
}

// find adds what a statement finds.
func (f *finder) find(ctx context.Context, sql string) error {
	rows, err := f.tx.Query(ctx, sql, f.args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, _, err := scanEvent(rows)
		if err != nil {
			return err
		}
		if !f.room.Take(&e) {
			f.more = true
			return nil
		}
		f.events = append(f.events, e)
	}
	return rows.Err()
}

// parts returns the parts of a window, newest first, in which to look for a
// number of events. Roll-ups know where they are.
func (tx *readTx) parts(ctx context.Context, c *choice, w query.Window, limit int64) ([]query.Window, error) {
	shares := c.shares("")
	if shares == nil {
		return tx.steps(w), nil
	}
	// What is of these hours, but not of the window, is counted too.
	whole := query.Window{From: w.From.Truncate(time.Hour), To: w.To.Add(time.Hour - 1).Truncate(time.Hour)}
	tally, err := (&counter{choice: c, tx: tx, shares: shares, whole: whole}).tally(ctx)
	if err != nil {
		return nil, err
	}
	var parts []query.Window
	var held int64 // by the last part, at most
	for _, at := range tally.newestFirst() {
		hour := query.Window{From: latest(at, w.From), To: earliest(at.Add(time.Hour), w.To)}
		if last := len(parts) - 1; last >= 0 && parts[last].From.Equal(hour.To) && held < limit {
			parts[last].From = hour.From
			held += tally[at]
			continue
		}
		parts = append(parts, hour)
		held = tally[at]
	}
	return parts, nil
}

// steps are the parts of a window without a hint: of the newest day the last
// hour and the last hours by themselves, and then more days at a time.
func (tx *readTx) steps(w query.Window) []query.Window {
	var all []query.Window
	days := tx.daysIn(w)
	for width := 1; len(days) > 0; width *= 2 {
		some := days[:min(width, len(days))]
		days = days[len(some):]
		part := query.Window{From: latest(w.From, some[len(some)-1]), To: earliest(w.To, some[0].Add(dayLength))}
		if width == 1 {
			for _, last := range []time.Duration{time.Hour, 5 * time.Hour} {
				if cut := part.To.Add(-last); cut.After(part.From) {
					all = append(all, query.Window{From: cut, To: part.To})
					part.To = cut
				}
			}
		}
		all = append(all, part)
	}
	return all
}
