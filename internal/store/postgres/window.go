package postgres

import (
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
)

// A reader looks at the days that it has listed and at no other: one that is
// being dropped loses its tables one after the other.

const dayLength = 24 * time.Hour

// daysIn returns those of the days, newest first, that a window touches.
func (tx *readTx) daysIn(w query.Window) []time.Time {
	var in []time.Time
	for _, day := range tx.days {
		if day.Before(w.To) && day.Add(dayLength).After(w.From) {
			in = append(in, day)
		}
	}
	return in
}

// clamp returns the part of a window from the oldest to the newest of the days.
// It is empty where the window touches none of them.
func (tx *readTx) clamp(w query.Window) query.Window {
	days := tx.daysIn(w)
	if len(days) == 0 {
		return query.Window{}
	}
	return query.Window{
		From: latest(w.From, days[len(days)-1]).UTC(),
		To:   earliest(w.To, days[0].Add(dayLength)).UTC(),
	}
}

func isEmpty(w query.Window) bool { return !w.From.Before(w.To) }

// during is the condition on a row that it is of the window, but of none of the
// days in it that are not listed.
func (tx *readTx) during(c *where, w query.Window) string {
	term := "r.occurred_at >= " + c.bind(w.From) + " AND r.occurred_at < " + c.bind(w.To)
	days := tx.daysIn(w)
	for i := 1; i < len(days); i++ {
		if end := days[i].Add(dayLength); end.Before(days[i-1]) {
			term += " AND NOT (r.occurred_at >= " + c.bind(end) + " AND r.occurred_at < " + c.bind(days[i-1]) + ")"
		}
	}
	return term
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
