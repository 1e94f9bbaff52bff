package dashboard

import (
	"context"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// empty says what a list without events can say: when the newest event was
// that matches at any time, or else whether there is any event at all.
type empty struct {
	Newest  time.Time // of those that match at any time; zero where none does
	Show    string    // the list around it
	Nothing bool      // the caller may see no event at all
}

// emptiness looks beyond the window of an answer that is empty, and not into it:
// that would take as long as the answer did.
func (d *dashboard) emptiness(ctx context.Context, scope query.Scope, a address, now time.Time) (empty, error) {
	always := query.Window{From: time.Unix(0, 0).UTC(), To: now.Add(2 * time.Hour)}
	if d.Retention > 0 {
		// A day goes as a whole, so the oldest that is kept began earlier.
		always.From = now.Add(-d.Retention - 48*time.Hour)
	}
	any := a.Filter
	any.Range = query.TimeRange{}
	for _, beyond := range []query.Window{{From: a.Window.To, To: always.To}, {From: always.From, To: a.Window.From}} {
		if !beyond.From.Before(beyond.To) {
			continue
		}
		view, err := d.Store.View(ctx, scope, store.ViewRequest{Filter: any, Window: beyond, Limit: 1})
		if err != nil {
			return empty{}, err
		}
		if len(view.Events) > 0 {
			at := view.Events[0].OccurredAt
			any.Range = query.TimeRange{From: at.Truncate(time.Hour).Add(-time.Hour), To: at.Truncate(time.Hour).Add(2 * time.Hour)}
			return empty{Newest: at, Show: a.withFilter(any)}, nil
		}
	}
	view, err := d.Store.View(ctx, scope, store.ViewRequest{Window: always, Limit: 1})
	return empty{Nothing: len(view.Events) == 0}, err
}
