package dashboard

import (
	"context"
	"strings"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// inPartNote says that a search did not see all of some events.
type inPartNote struct {
	Count int64
	Link  string // those events, without the search
}

// inPart returns the note of an address with a search, if there are events that
// its filter selects but for the search, and whose texts were cut: what was
// searched for may have been in the rest.
func (d *dashboard) inPart(ctx context.Context, scope query.Scope, a address) (*inPartNote, error) {
	f := a.Filter
	if strings.TrimSpace(f.Search) == "" || f.Truncated != nil && !*f.Truncated {
		return nil, nil
	}
	truncated := true
	f.Search, f.Truncated = "", &truncated
	view, err := d.Store.View(ctx, scope, store.ViewRequest{Filter: f, Window: a.Window, Count: true})
	if err != nil || view.Matched == 0 {
		return nil, err
	}
	return &inPartNote{Count: view.Matched, Link: a.withFilter(f)}, nil
}
