package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Capture implements store.Reader. Counting first tells where the newest rows
// start, so that they can be read in ascending order without holding them.
func (s *Store) Capture(ctx context.Context, scope query.Scope, req store.CaptureRequest, row func(*audit.Event) error) (store.Capture, error) {
	// What row does may take a connection, too, as saving a snapshot does: were all
	// held by captures, each would wait for another.
	select {
	case s.captures <- struct{}{}:
		defer func() { <-s.captures }()
	case <-ctx.Done():
		return store.Capture{}, ctx.Err()
	}
	capture := store.Capture{CountsByType: map[string]int64{}, CountsByStatusClass: map[string]int64{}}
	req.Window = store.InScope(scope, req.Window)
	// What row was given can't be taken back.
	err := s.readOnce(ctx, "store.capture", func(ctx context.Context, tx *readTx) error {
		capture.AsOf = tx.asOf
		cond, err := newWhere(scope, &req.Filter, req.Window.From)
		if err != nil {
			return err
		}
		if capture.Quarantined, err = tx.quarantined(ctx, scope, req.Window); err != nil {
			return err
		}
		chosen, err := tx.choose(ctx, cond)
		if err != nil || chosen.none() {
			return err
		}
		n := tx.newCounter(chosen, req.Window, chosen.shares("kind_id"))
		if isEmpty(n.window) {
			return nil
		}
		counted, err := n.capture(ctx, &capture)
		if err != nil || req.Limit <= 0 {
			return err
		}
		if req.Begin != nil {
			req.Begin(min(capture.Matched, int64(req.Limit)))
		}
		return n.newestAscending(ctx, counted.start(n.window, int64(req.Limit)), req.Limit, row)
	})
	if err != nil {
		return store.Capture{}, fmt.Errorf("capture events: %w", err)
	}
	return capture, nil
}

// start is where the newest events of a number start, or a little before.
func (t tally) start(w query.Window, limit int64) time.Time {
	for _, at := range t.newestFirst() {
		if limit -= t[at]; limit <= 0 {
			return latest(at, w.From)
		}
	}
	return w.From
}

// capture fills the counts and returns the number of matches by the time.
func (n *counter) capture(ctx context.Context, capture *store.Capture) (tally, error) {
	counted := tally{}
	byKind := "SELECT " + n.bind(n.window.From) + "::timestamptz AS at, id, n FROM (" + n.byKey("kind_id") + ") AS parts"
	if n.shares == nil {
		byKind = "SELECT date_bin('1 day', r.occurred_at, to_timestamp(0)) AS at, r.kind_id AS id, count(*) AS n FROM audit_rows r WHERE " +
			n.tx.during(n.where, n.window) + " AND " + n.ofRows() + " GROUP BY 1, 2"
	}
	rows, err := n.tx.Query(ctx, "SELECT at, k.resource_type, k.status_code / 100, sum(n)::bigint FROM ("+byKind+
		") AS counts JOIN audit_kinds k USING (id) GROUP BY at, k.resource_type, k.status_code / 100", n.args)
	if err != nil {
		return nil, err
	}
	var at time.Time
	var resourceType string
	var class int
	var matched int64
	if _, err := pgx.ForEachRow(rows, []any{&at, &resourceType, &class, &matched}, func() error {
		counted[at.UTC()] += matched
		capture.Matched += matched
		if resourceType != "" && matched > 0 {
			capture.CountsByType[resourceType] += matched
		}
		if class != 0 && matched > 0 {
			capture.CountsByStatusClass[strconv.Itoa(class)+"xx"] += matched
		}
		return nil
	}); err != nil || n.shares == nil {
		return counted, err
	}
	return n.tally(ctx)
}

// newestAscending calls row for the newest events from a time on, the oldest
// first.
func (n *counter) newestAscending(ctx context.Context, from time.Time, limit int, row func(*audit.Event) error) error {
	w := query.Window{From: from, To: n.window.To}
	// As for a page, the planner must not walk by the order of time.
	rows, err := n.tx.Query(ctx, "SELECT "+boundedColumns+" FROM (SELECT r.* FROM audit_rows r WHERE "+n.tx.during(n.where, w)+" AND "+n.ofRows()+
		" ORDER BY r.occurred_at + interval '0' DESC, r.id DESC LIMIT "+n.bind(limit)+") AS r"+joinDictionaries+" ORDER BY r.occurred_at, r.id", n.args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, _, err := scanEvent(rows)
		if err != nil {
			return err
		}
		if err := row(&e); err != nil {
			return err
		}
	}
	return rows.Err()
}
