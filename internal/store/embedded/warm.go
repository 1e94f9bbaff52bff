package embedded

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// warm makes the filters of the days that have none, beside the committer, so
// that neither an event by its ID nor a late delivery waits for them. It ends
// with ctx, or where the next filter would push out another.
func (s *Store) warm(ctx context.Context, days []int) {
	for _, day := range days {
		more, err := s.warmDay(ctx, day)
		for errors.Is(err, store.ErrBusy) && ctx.Err() == nil { // something else needed what it held
			more, err = s.warmDay(ctx, day)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
			s.log.Error(err, "Could not read the IDs of a day; its events are found more slowly", "day", dayStart(day).Format(time.DateOnly))
		}
		if err != nil || !more {
			return
		}
	}
}

// warmDay makes one filter, and reports whether there is room for more.
func (s *Store) warmDay(ctx context.Context, day int) (more bool, err error) {
	begun := false
	if err := s.commit(ctx, &job{run: func() { begun = s.filters.begin(day) }}); err != nil || !begun {
		return err == nil, err
	}
	defer s.filters.giveUp(day)
	filter := &bloom{}
	err = s.read(ctx, "store.warm", func(ctx context.Context, tx *readTx) error {
		var rows int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+tableOf(day)).Scan(&rows); err != nil {
			return err
		}
		if more = s.filters.haveRoom(rows); !more {
			return nil
		}
		ids, err := tx.QueryContext(ctx, "SELECT id FROM "+tableOf(day))
		if err != nil {
			return err
		}
		var raw sql.RawBytes
		return each(ids, func() error {
			err := ids.Scan(&raw)
			if err == nil {
				filter.add(audit.ID(raw))
			}
			return err
		})
	})
	if err != nil || !more {
		return more, err
	}
	return true, s.commit(ctx, &job{run: func() { s.filters.finish(day, filter) }})
}

// begin has what is committed to a day from now on noted for its filter. It
// reports whether the day needs one.
func (f *filters) begin(day int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.days[day] != nil {
		return false
	}
	f.begun[day] = &bloom{}
	return true
}

func (f *filters) giveUp(day int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.begun, day)
}

// haveRoom reports whether a filter of so many IDs would push out no other. One
// may have twice the room that it needs.
func (f *filters) haveRoom(ids int) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.size()+2*ids <= maxFilterIDs
}

// finish puts a day's filter to use: of the IDs that were read, and of those
// that were committed meanwhile. It does nothing where the committer made one
// itself, or dropped the day.
func (f *filters) finish(day int, read *bloom) {
	f.mu.Lock()
	defer f.mu.Unlock()
	noted := f.begun[day]
	if noted == nil || f.days[day] != nil {
		return
	}
	f.days[day] = &bloom{layers: append(read.layers, noted.layers...)}
	f.used[day] = f.tick // as if the day took events just now
}
