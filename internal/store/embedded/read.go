package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const newestFirst = " ORDER BY occurred_at DESC, id DESC"

// View implements store.Reader.
func (s *Store) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	var view store.View
	if req.HistogramWidth != 0 && !slices.Contains(store.HistogramWidths, req.HistogramWidth) {
		return view, fmt.Errorf("histogram width %s is none of store.HistogramWidths", req.HistogramWidth)
	}
	err := s.read(ctx, "store.view", func(ctx context.Context, tx *readTx) error {
		view.AsOf = tx.asOf
		var err error
		if view.Quarantined, err = tx.quarantined(ctx, scope, req.Window); err != nil {
			return err
		}
		if err := viewCounts(ctx, tx, scope, req, &view); err != nil || req.Limit <= 0 {
			return err
		}
		window, some := req.Window, true
		if req.HistogramWidth != 0 {
			window, some = rowsAmong(view.Histogram, req)
		}
		if !some {
			return nil
		}
		return viewRows(ctx, tx, scope, req, window, &view)
	})
	if err != nil {
		return store.View{}, fmt.Errorf("view events: %w", err)
	}
	return view, nil
}

// rowsAmong returns the part of the window that holds the rows of a page, by the
// histogram that was read: what was looked through once, and has nothing, need
// not be again. It returns false where there are no rows.
func rowsAmong(histogram []store.Bucket, req store.ViewRequest) (w query.Window, some bool) {
	limit := int64(min(req.Limit, store.MaxPage))
	found := int64(0)
	for _, b := range slices.Backward(histogram) {
		if found > limit {
			break
		}
		if req.After != nil && b.Start.After(req.After.OccurredAt) {
			continue // its rows are newer
		}
		end := b.Start.Add(req.HistogramWidth)
		if !some {
			w.To, some = earliest(end, req.Window.To), true
		}
		w.From = latest(b.Start, req.Window.From)
		// Of the bucket that the page begins in, some rows are newer.
		if req.After == nil || !end.After(req.After.OccurredAt) {
			found += b.Count
		}
	}
	return w, some
}

// viewRows reads a page of a window. It walks backwards and stops when the page is full, so
// a page of the newest events costs an hour, not the window.
func viewRows(ctx context.Context, tx *readTx, scope query.Scope, req store.ViewRequest, window query.Window, view *store.View) error {
	limit, room := min(req.Limit, store.MaxPage), store.NewRoom(req.Bytes)
	if req.After != nil {
		if end := req.After.OccurredAt.Add(time.Microsecond); end.Before(window.To) {
			window.To = end
		}
	}
	for _, step := range steps(tx.days, window) {
		cond, err := newWhere(scope, &req.Filter, step.window)
		if err != nil {
			return err
		}
		if req.After != nil {
			cond.before(*req.After)
		}
		// One more than the page tells whether there is a next one.
		left := limit + 1 - len(view.Events)
		if err := tx.newest(ctx, cond, step.day, int64(left), func(e *audit.Event) error {
			if len(view.Events) == limit || !room.Take(e) {
				return errEnough
			}
			view.Events = append(view.Events, *e)
			return nil
		}); errors.Is(err, errEnough) {
			next := query.PositionOf(&view.Events[len(view.Events)-1])
			view.Next = &next
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// errEnough ends the reading of rows: an answer has no room for the next one.
var errEnough = errors.New("no room for more")

// fewRowIDs are compared one by one faster than by a join.
const fewRowIDs = 100

// newest calls row for the newest rows of a day that match, the newest first.
// It finds them by the few columns of the condition and reads the others of
// those rows only, which is several times faster than one pass over wide rows.
func (tx *readTx) newest(ctx context.Context, cond *where, day int, limit int64, row func(*audit.Event) error) error {
	ids, err := tx.newestIDs(ctx, cond, day, limit)
	if err != nil || len(ids) == 0 {
		return err
	}
	return tx.rows(ctx, day, ids, newestFirst, func(_ int64, e *audit.Event) error { return row(e) })
}

// newestIDs returns the row numbers of the newest rows of a day that match, the
// newest first.
func (tx *readTx) newestIDs(ctx context.Context, cond *where, day int, limit int64) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, cond.overDays("rowid", []int{day})+newestFirst+" LIMIT "+strconv.FormatInt(limit, 10), cond.args...)
	if err != nil {
		return nil, err
	}
	var ids []int64
	err = each(rows, func() error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// rows calls row for rows of a day that a condition with the scope has chosen:
// in one transaction they stay where they are.
func (tx *readTx) rows(ctx context.Context, day int, ids []int64, order string, row func(rowid int64, e *audit.Event) error) error {
	among := "rowid IN (SELECT unnest($3::BIGINT[]))"
	if len(ids) <= fewRowIDs {
		among = "list_contains($3::BIGINT[], rowid)"
	}
	// Rows that came one after the other lie close together.
	rows, err := tx.QueryContext(ctx, "SELECT "+boundedColumns+", rowid FROM "+tableOf(day)+" WHERE rowid BETWEEN $1 AND $2 AND "+among+order,
		slices.Min(ids), slices.Max(ids), ids)
	if err != nil {
		return err
	}
	return each(rows, func() error {
		var e audit.Event
		var at place
		var id int64
		if err := scanRow(rows, &e, &at, &id); err != nil {
			return err
		}
		return row(id, &e)
	})
}

// viewCounts reads the histogram and the count; the histogram's sum is the count.
func viewCounts(ctx context.Context, tx *readTx, scope query.Scope, req store.ViewRequest, view *store.View) error {
	if !req.Count && req.HistogramWidth == 0 {
		return nil
	}
	cond, err := newWhere(scope, &req.Filter, req.Window)
	if err != nil {
		return err
	}
	days := daysIn(tx.days, req.Window)
	if len(days) == 0 {
		return nil
	}
	if req.HistogramWidth == 0 {
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM ("+cond.overDays("1", days)+")", cond.args...).Scan(&view.Matched)
	}
	from := cond.overDays("occurred_at", days)
	width := req.HistogramWidth.Microseconds()
	rows, err := tx.QueryContext(ctx, "SELECT occurred_at // "+cond.bind(width)+" AS bucket, count(*) FROM ("+from+") GROUP BY bucket ORDER BY bucket", cond.args...)
	if err != nil {
		return err
	}
	return each(rows, func() error {
		var bucket, count int64
		if err := rows.Scan(&bucket, &count); err != nil {
			return err
		}
		view.Histogram = append(view.Histogram, store.Bucket{Start: fromMicro(bucket * width), Count: count})
		if req.Count {
			view.Matched += count
		}
		return nil
	})
}

// dimensionOf returns a dimension's column and the condition that it is there.
func dimensionOf(d query.Dimension) (column, present, order string, ok bool) {
	switch d {
	case query.ByIP: // IPv4 comes first, as in netip.Addr.Compare
		return "ip", "ip IS NOT NULL", "v BETWEEN " + mappedFirst + " AND " + mappedLast + " DESC, v", true
	case query.ByStatusCode:
		return "status_code", "status_code <> 0", "v", true
	case query.ByGroup:
		return eachGroup, hasGroups, nameOfGroup, true
	}
	column, ok = columnOf[string(d)]
	return column, column + " <> ''", "v", ok && slices.Contains(query.Dimensions, d)
}

// Facet implements store.Reader.
func (s *Store) Facet(ctx context.Context, scope query.Scope, req store.FacetRequest) (store.Facet, error) {
	column, present, order, ok := dimensionOf(req.Dimension)
	if !ok {
		return store.Facet{}, fmt.Errorf("facet: no dimension %q", req.Dimension)
	}
	filter := req.Filter.Without(req.Dimension)
	var facet store.Facet
	err := s.read(ctx, "store.facet", func(ctx context.Context, tx *readTx) error {
		facet.AsOf = tx.asOf
		cond, err := newWhere(scope, &filter, req.Window)
		if err != nil {
			return err
		}
		if facet.Quarantined, err = tx.quarantined(ctx, scope, req.Window); err != nil {
			return err
		}
		cond.and(present)
		text, ofValue := "v", "" // an event may have several groups
		if req.Dimension == query.ByGroup {
			text, ofValue = nameOfGroup, " WHERE v <> ''"
		}
		contains := strings.TrimSpace(req.Contains) != ""
		limit := min(req.Limit, store.MaxPage)
		limited := " LIMIT " + strconv.Itoa(limit)
		switch {
		case !contains:
		case req.Dimension == query.ByIP: // how an address is written, the database does not know
			limited = ""
		case req.Dimension == query.ByGroup:
			ofValue += " AND contains(lower(" + text + "), " + cond.folded(req.Contains) + ")"
		default:
			cond.and("contains(lower(" + column + "::VARCHAR), " + cond.folded(req.Contains) + ")")
		}
		days := daysIn(tx.days, req.Window)
		if len(days) == 0 || req.Limit <= 0 {
			return nil
		}
		value := "v"
		if req.Dimension != query.ByIP && req.Dimension != query.ByStatusCode {
			value = leftOf(text, store.MaxText)
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+value+", count(*) AS n FROM ("+cond.overDays(column+" AS v", days)+
			")"+ofValue+" GROUP BY v ORDER BY n DESC, "+order+limited, cond.args...)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var value store.FacetValue
			var err error
			if req.Dimension == query.ByIP {
				var ip []byte
				err = rows.Scan(&ip, &value.Count)
				value.Value = unpackIP(ip).String()
				if contains && (len(facet.Values) == limit || !strings.Contains(value.Value, strings.ToLower(req.Contains))) {
					return err
				}
			} else {
				err = rows.Scan(&value.Value, &value.Count)
			}
			facet.Values = append(facet.Values, value)
			return err
		})
	})
	if err != nil {
		return store.Facet{}, fmt.Errorf("facet %s: %w", req.Dimension, err)
	}
	return facet, nil
}

// Event implements store.Reader.
func (s *Store) Event(ctx context.Context, scope query.Scope, id audit.ID) (audit.Event, error) {
	var event audit.Event
	err := s.read(ctx, "store.event", func(ctx context.Context, tx *readTx) error {
		for _, day := range tx.days {
			if !s.filters.mayHold(day, id) {
				continue
			}
			cond := &where{}
			cond.scope(scope, time.Time{})
			cond.and("id = " + cond.bind(uuidText(id[:])) + "::UUID")
			rows, err := tx.QueryContext(ctx, cond.overDays(boundedColumns, []int{day}), cond.args...)
			if err != nil {
				return err
			}
			var at place
			found := false
			if err := each(rows, func() error {
				found = true
				return scanRow(rows, &event, &at)
			}); err != nil {
				return err
			}
			if found {
				event.Raw, err = s.readRaw(day, at)
				return err
			}
		}
		return store.ErrNotFound
	})
	if err != nil {
		return audit.Event{}, fmt.Errorf("event %s: %w", id, err)
	}
	return event, nil
}

// SameRequest implements store.Reader.
func (s *Store) SameRequest(ctx context.Context, scope query.Scope, e *audit.Event) (store.SameRequest, error) {
	var same store.SameRequest
	if e.AuditID == "" {
		return same, nil
	}
	err := s.read(ctx, "store.sameRequest", func(ctx context.Context, tx *readTx) error {
		days := daysIn(tx.days, store.SameRequestWindow(e))
		if len(days) == 0 {
			return nil
		}
		found, err := tx.sameRequest(ctx, scope, e, days)
		same = found
		return err
	})
	if err != nil {
		return store.SameRequest{}, fmt.Errorf("events of the request of %s: %w", e.ID, err)
	}
	return same, nil
}

// sameRequest finds the nearest ones by a few columns, as many as a client may
// have given the audit ID, and reads the others of those rows only.
func (tx *readTx) sameRequest(ctx context.Context, scope query.Scope, e *audit.Event, days []int) (same store.SameRequest, err error) {
	cond := sameRequest(scope, e)
	distance := "abs(occurred_at - " + cond.bind(e.OccurredAt.UnixMicro()) + ")"
	branches := make([]string, len(days))
	for i, day := range days {
		branches[i] = cond.overDays(strconv.Itoa(day)+" AS day, rowid AS number, occurred_at, id", []int{day})
	}
	rows, err := tx.QueryContext(ctx, "SELECT day, number FROM ("+strings.Join(branches, " UNION ALL ")+") ORDER BY "+distance+", id LIMIT "+
		strconv.Itoa(store.MaxSameRequest+1), cond.args...)
	if err != nil {
		return same, err
	}
	var order []rowPlace
	chosen := map[int][]int64{}
	if err := each(rows, func() error {
		var at rowPlace
		err := rows.Scan(&at.day, &at.rowid)
		order, chosen[at.day] = append(order, at), append(chosen[at.day], at.rowid)
		return err
	}); err != nil {
		return same, err
	}
	events, err := tx.rowsOf(ctx, chosen)
	if err != nil {
		return same, err
	}
	room := store.NewRoom(0)
	for _, at := range order {
		e := events[at]
		if len(same.Events) == store.MaxSameRequest || !room.Take(&e) {
			same.More = true
			break
		}
		same.Events = append(same.Events, e)
	}
	return same, nil
}

// rowPlace is where a row is.
type rowPlace struct {
	day   int
	rowid int64
}

// rowsOf returns the chosen rows of days.
func (tx *readTx) rowsOf(ctx context.Context, chosen map[int][]int64) (map[rowPlace]audit.Event, error) {
	events := map[rowPlace]audit.Event{}
	for day, ids := range chosen {
		if err := tx.rows(ctx, day, ids, "", func(rowid int64, e *audit.Event) error {
			events[rowPlace{day, rowid}] = *e
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return events, nil
}
