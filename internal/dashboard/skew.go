package dashboard

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// skewMargin is what a link to the events ahead adds, for what arrives until it
// is followed.
const skewMargin = 5 * time.Minute

// skewNote says that a range which ends now ends before what a source sends.
type skewNote struct {
	Source string // whose clock is ahead the most; empty for who may not know
	Ahead  time.Duration
	Link   string // the same filter up to what that source sends
}

// skew returns the note of an address whose range ends now, if some source's
// clock is ahead.
func (d *dashboard) skew(ctx context.Context, scope query.Scope, a address) (*skewNote, error) {
	if !a.Filter.Range.From.IsZero() || a.After != nil {
		return nil, nil // the range was named, or began on an earlier page
	}
	skews, err := d.Store.Skews(ctx)
	if err != nil || len(skews) == 0 {
		return nil, err
	}
	most := slices.MaxFunc(slices.Sorted(maps.Keys(skews)), func(x, y string) int { return cmp.Compare(skews[x], skews[y]) })
	ahead := skews[most]
	if ahead <= store.MaxSkewAhead {
		return nil, nil
	}
	f := a.Filter
	f.Range = query.TimeRange{From: a.Window.From.Truncate(time.Second), To: a.Window.To.Add(ahead + skewMargin).Truncate(time.Second)}
	note := &skewNote{Ahead: ahead.Round(time.Second), Link: a.withFilter(f)}
	if scope.IsClusterWide() {
		note.Source = escapeUnseen(most)
	}
	return note, nil
}
