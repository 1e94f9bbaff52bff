package embedded

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

var _ store.Holdings = (*Store)(nil)

// Days implements store.Holdings.
func (s *Store) Days(ctx context.Context) ([]store.DayCount, error) {
	var days []store.DayCount
	err := s.read(ctx, "store.days", func(ctx context.Context, tx *readTx) error {
		for _, day := range slices.Backward(tx.days) {
			count := store.DayCount{Day: dayStart(day)}
			if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+tableOf(day)).Scan(&count.Events); err != nil {
				return err
			}
			if count.Events > 0 { // a table may be made before its first commit
				days = append(days, count)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the days: %w", err)
	}
	return days, nil
}

// OldestDay implements store.Holdings.
func (s *Store) OldestDay() time.Time { return audit.Day(s.now().Add(-s.opts.Retention)) }

// Entries implements store.Holdings.
func (s *Store) Entries(ctx context.Context, stretch store.Stretch, limit int) ([]store.Entry, error) {
	var entries []store.Entry
	begin := func() { entries = nil }
	err := s.readStretch(ctx, begin, stretch, "id, occurred_at, raw_sha_high, raw_sha_low", "ORDER BY occurred_at, id LIMIT "+strconv.Itoa(limit), func(rows *sql.Rows) error {
		var entry store.Entry
		var id, high, low []byte
		var at int64
		err := rows.Scan(&id, &at, &high, &low)
		copy(entry.ID[:], id)
		entry.OccurredAt = fromMicro(at)
		copy(entry.RawSHA256[:16], high)
		copy(entry.RawSHA256[16:], low)
		entries = append(entries, entry)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return entries, nil
}

// stretchAttempts is how often a stretch is read where the store needs what the
// read holds.
const stretchAttempts = 5

// readStretch calls row for the rows of a stretch, after begin, anew where the
// read was ended. A day that is dropped has none.
func (s *Store) readStretch(ctx context.Context, begin func(), stretch store.Stretch, columns, order string, row func(*sql.Rows) error) (err error) {
	for range stretchAttempts {
		begin()
		if err = s.readStretchOnce(ctx, stretch, columns, order, row); !errors.Is(err, store.ErrBusy) {
			break
		}
	}
	return err
}

func (s *Store) readStretchOnce(ctx context.Context, stretch store.Stretch, columns, order string, row func(*sql.Rows) error) error {
	day := dayOf(stretch.Day)
	return s.read(ctx, "store.stretch", func(ctx context.Context, tx *readTx) error {
		if !slices.Contains(tx.days, day) {
			return nil
		}
		cond := &where{}
		cond.within(stretch)
		rows, err := tx.QueryContext(ctx, cond.overDays(columns, []int{day})+" "+order, cond.args...)
		if err != nil {
			return err
		}
		return each(rows, func() error { return row(rows) })
	})
}

// within limits the condition to a stretch of its day.
func (c *where) within(stretch store.Stretch) {
	c.and("occurred_at >= " + c.bind(stretch.Day.UnixMicro()))
	bound := func(p *query.Position, outside string) {
		if p == nil {
			return
		}
		at := c.bind(p.OccurredAt.UnixMicro())
		id := c.bind(uuidText(p.ID[:])) + "::UUID"
		// The first term is implied by the second, and is what skips row groups.
		c.and("occurred_at " + outside + "= " + at)
		if outside == ">" {
			c.and("(occurred_at > " + at + " OR id > " + id + ")")
		} else {
			c.and("(occurred_at < " + at + " OR id <= " + id + ")")
		}
	}
	bound(stretch.After, ">")
	bound(stretch.UpTo, "<")
}

// exported is an event whose raw is still to be read.
type exported struct {
	event audit.Event
	place place
}

// Export implements store.Holdings, in the order of the segment, so that each
// frame is unpacked once.
func (s *Store) Export(ctx context.Context, stretch store.Stretch, wanted func(audit.ID) bool, event func(*audit.Event, error) error) error {
	var all []exported
	begin := func() { all = nil }
	err := s.readStretch(ctx, begin, stretch, columns, "ORDER BY raw_frame, raw_start", func(rows *sql.Rows) error {
		var next exported
		err := scanRow(rows, &next.event, &next.place)
		if err == nil && wanted(next.event.ID) {
			all = append(all, next)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("export events: %w", err)
	}
	raws := rawReader{path: segmentPath(s.opts.Dir, dayOf(stretch.Day)), frame: -1}
	defer raws.close()
	for i := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := &all[i]
		var damage error
		if next.event.Raw, damage = raws.read(next.place); damage != nil {
			damage = fmt.Errorf("its raw form can't be read: %w", damage)
		}
		if err := event(&next.event, damage); err != nil {
			return err
		}
	}
	return nil
}

// rawReader reads a segment, and each frame once when it is asked in order.
type rawReader struct {
	path  string
	file  *os.File // once it is needed
	frame int64
	raws  []byte
	err   error // of the frame
}

func (r *rawReader) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// read returns a raw that the caller may keep.
func (r *rawReader) read(at place) (raw []byte, err error) {
	if at.size == 0 {
		return nil, nil
	}
	if r.file == nil {
		if r.file, err = os.Open(r.path); err != nil {
			return nil, err
		}
	}
	if at.frame != r.frame {
		r.frame = at.frame
		r.raws, r.err = readFrame(r.file, at.frame)
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case int64(at.start)+int64(at.size) > int64(len(r.raws)):
		return nil, fmt.Errorf("%w at offset %d: frame is too short", errDamaged, at.frame)
	}
	return bytes.Clone(r.raws[at.start : at.start+at.size]), nil
}

// ExportQuarantine implements store.Holdings.
func (s *Store) ExportQuarantine(ctx context.Context, item func(*audit.Quarantined) error) error {
	err := s.read(ctx, "store.exportQuarantine", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.QueryContext(ctx, "SELECT "+quarantineColumns+" FROM quarantine ORDER BY seq")
		if err != nil {
			return err
		}
		return each(rows, func() error {
			q, err := scanQuarantined(rows)
			if err != nil {
				return err
			}
			return item(&q)
		})
	})
	if err != nil {
		return fmt.Errorf("export quarantine: %w", err)
	}
	return nil
}

// Manifests implements store.Holdings.
func (s *Store) Manifests(context.Context) ([]store.Manifest, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	defer s.calls.Leave()
	return s.snapshots.list(func(*store.Manifest) bool { return true }), nil
}

// SnapshotBody implements store.Holdings.
func (s *Store) SnapshotBody(_ context.Context, id string) (io.ReadCloser, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	defer s.calls.Leave()
	file, err := s.snapshots.open(id)
	if errors.Is(err, fs.ErrNotExist) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	return file, nil
}
