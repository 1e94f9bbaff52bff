package embedded

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// Rows are only ever added to the end of a day's table, by one committer. So how
// many rows a day has is where a live tail goes on, and rowid is the order of
// ingestion within the day.

// arrived is how far a day is filled.
type arrived struct {
	rows int64
	last mark
}

// mark tells one row from others: a day that is dropped may begin again.
type mark [4]byte

func markOf(id audit.ID) mark { return mark(id[:4]) }

// arrivals is what was committed to each day that has rows. The committer
// publishes it after a commit, so that a reader who begins then finds them.
type arrivals struct {
	days atomic.Pointer[map[int]arrived]
}

// get returns a map that never changes.
func (a *arrivals) get() map[int]arrived {
	if days := a.days.Load(); days != nil {
		return *days
	}
	return nil
}

func (a *arrivals) publish(change func(days map[int]arrived)) {
	days := make(map[int]arrived, len(a.get())+1)
	maps.Copy(days, a.get())
	change(days)
	a.days.Store(&days)
}

// add publishes what a plan has committed.
func (a *arrivals) add(p *plan) {
	a.publish(func(days map[int]arrived) {
		for number, day := range p.days {
			if len(day.ids) > 0 {
				days[number] = arrived{days[number].rows + int64(len(day.ids)), markOf(day.last())}
			}
		}
	})
}

// last is the ID of the row that is written last.
func (d *dayPlan) last() audit.ID {
	if n := len(d.rows); n > 0 {
		return d.rows[n-1].event.ID
	}
	return d.lastChunked
}

// load reads what is in the tables.
func (a *arrivals) load(ctx context.Context, q querier, days []int) error {
	found := map[int]arrived{}
	var counts, marks []string
	for _, day := range days {
		counts = append(counts, fmt.Sprintf("SELECT %d, count(*) FROM %s", day, tableOf(day)))
	}
	if err := eachOf(ctx, q, counts, func(scan func(...any) error) error {
		var day int
		var rows int64
		err := scan(&day, &rows)
		if rows > 0 {
			found[day] = arrived{rows: rows}
		}
		return err
	}); err != nil {
		return err
	}
	for _, day := range slices.Sorted(maps.Keys(found)) {
		marks = append(marks, fmt.Sprintf("SELECT %d, id FROM %s WHERE rowid = %d", day, tableOf(day), found[day].rows-1))
	}
	if err := eachOf(ctx, q, marks, func(scan func(...any) error) error {
		var day int
		var id []byte
		err := scan(&day, &id)
		if err == nil {
			found[day] = arrived{found[day].rows, markOf(audit.ID(id))}
		}
		return err
	}); err != nil {
		return err
	}
	a.days.Store(&found)
	return nil
}

// eachOf calls fn for each row of a union of statements.
func eachOf(ctx context.Context, q querier, statements []string, fn func(scan func(...any) error) error) error {
	if len(statements) == 0 {
		return nil
	}
	rows, err := q.QueryContext(ctx, strings.Join(statements, " UNION ALL "))
	if err != nil {
		return err
	}
	return each(rows, func() error { return fn(rows.Scan) })
}
