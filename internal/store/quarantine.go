package store

import (
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
)

// Bounds of a QuarantinePage, so that what sources send bounds no answer: a
// page is less than 1 MiB whatever is in quarantine.
const (
	MaxQuarantinePage    = 100     // items
	MaxQuarantineContent = 8 << 10 // bytes of an item's content
	MaxQuarantineReason  = 1 << 10 // characters of its reason
)

// QuarantineRequest asks for a page of the quarantine.
type QuarantineRequest struct {
	Source string              // items of this source; empty for all
	Before *QuarantinePosition // those that come after it; nil for the first page
	Limit  int                 // items, at most MaxQuarantinePage
}

// QuarantinePosition is an item's place in the order of all: by descending
// (ReceivedAt, Seq). It means nothing to another store.
type QuarantinePosition struct {
	ReceivedAt time.Time
	Seq        int64 // in the order of arrival
}

// QuarantinePage is the answer to a QuarantineRequest.
type QuarantinePage struct {
	AsOf  time.Time
	Items []QuarantineItem
	// Next is where the next page starts; nil on the last one.
	Next *QuarantinePosition
}

// QuarantineItem is an item as a page shows it: the beginning of its reason and
// of its content.
type QuarantineItem struct {
	audit.Quarantined
	ContentBytes int64 // of the content that is kept; Redacted is its beginning
}

// QuarantineSpan is how long before or after an event its item may have been
// received: an API server tries again for about 100 s, waits to fill a batch
// before, and its clock may differ.
const QuarantineSpan = 5 * time.Minute

// QuarantineWindow is the time in which items are received that may be events of
// a window.
func QuarantineWindow(w query.Window) query.Window {
	return query.Window{From: w.From.Add(-QuarantineSpan), To: w.To.Add(QuarantineSpan)}
}

// PageOfQuarantine makes a page of the items that were found, of which there may
// be one more than the limit, and of their places.
func PageOfQuarantine(asOf time.Time, items []QuarantineItem, places []QuarantinePosition, limit int) QuarantinePage {
	page := QuarantinePage{AsOf: asOf, Items: items}
	if len(items) > limit {
		page.Items = items[:limit]
		if limit > 0 {
			page.Next = &places[limit-1]
		}
	}
	return page
}
