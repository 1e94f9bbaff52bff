package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Event implements store.Reader.
func (s *Store) Event(ctx context.Context, scope query.Scope, id audit.ID) (audit.Event, error) {
	var event audit.Event
	err := s.read(ctx, "store.event", func(ctx context.Context, tx *readTx) error {
		if len(tx.days) == 0 {
			return store.ErrNotFound
		}
		c := scoped(scope, time.Time{})
		c.rows = append(c.rows, "r.id = "+c.bind([16]byte(id)))
		ever := query.Window{From: tx.days[len(tx.days)-1], To: tx.days[0].Add(dayLength)}
		rows, err := tx.Query(ctx, "SELECT "+boundedColumns+" FROM audit_rows r"+joinDictionaries+
			" WHERE "+tx.during(c, ever)+" AND "+c.ofJoined()+newestFirst+" LIMIT 1", c.args)
		if err != nil {
			return err
		}
		var at rawPlace
		event, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (e audit.Event, err error) {
			e, at, err = scanEvent(row)
			return e, err
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return store.ErrNotFound
		}
		if err != nil {
			return err
		}
		event.Raw, err = tx.raw(ctx, event.Day(), at)
		return err
	})
	if err != nil {
		return audit.Event{}, fmt.Errorf("event %s: %w", id, err)
	}
	return event, nil
}

// raw reads an event's raw from its blob.
func (tx *readTx) raw(ctx context.Context, day time.Time, at rawPlace) ([]byte, error) {
	if at.size == 0 {
		return nil, nil
	}
	var packed []byte
	if err := tx.QueryRow(ctx, "SELECT blob FROM audit_raw WHERE day = $1 AND batch = $2", day, at.batch).Scan(&packed); err != nil {
		return nil, fmt.Errorf("read the raw of batch %d: %w", at.batch, err)
	}
	blob, err := unpacker.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack the raw of batch %d: %w", at.batch, err)
	}
	if end := int(at.start) + int(at.size); end > len(blob) {
		return nil, fmt.Errorf("the raw of batch %d has %d bytes, the event's ends at %d", at.batch, len(blob), end)
	}
	return bytes.Clone(blob[at.start:][:at.size]), nil
}

// SameRequest implements store.Reader.
func (s *Store) SameRequest(ctx context.Context, scope query.Scope, e *audit.Event) (store.SameRequest, error) {
	var found store.SameRequest
	if e.AuditID == "" {
		return found, nil
	}
	err := s.read(ctx, "store.sameRequest", func(ctx context.Context, tx *readTx) error {
		window := tx.clamp(store.SameRequestWindow(e))
		if isEmpty(window) {
			return nil
		}
		c := sameRequest(scope, e)
		at := c.bind(e.OccurredAt) + "::timestamptz"
		rows, err := tx.Query(ctx, "SELECT "+boundedColumns+" FROM audit_rows r"+joinDictionaries+" WHERE "+tx.during(c, window)+" AND "+c.ofJoined()+
			" ORDER BY greatest(r.occurred_at - "+at+", "+at+" - r.occurred_at), r.id LIMIT "+c.bind(store.MaxSameRequest+1), c.args)
		if err != nil {
			return err
		}
		defer rows.Close()
		found = store.SameRequest{}
		for room := store.NewRoom(0); rows.Next(); {
			e, _, err := scanEvent(rows)
			if err != nil {
				return err
			}
			if len(found.Events) == store.MaxSameRequest || !room.Take(&e) {
				found.More = true
				return nil
			}
			found.Events = append(found.Events, e)
		}
		return rows.Err()
	})
	if err != nil {
		return store.SameRequest{}, fmt.Errorf("events of the request of %s: %w", e.ID, err)
	}
	return found, nil
}
