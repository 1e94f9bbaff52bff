package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/store"
)

// writer is the committer's side of the store: its connection, and what it
// knows of the tables because it alone changes them.
type writer struct {
	dir             string
	conn            *sql.Conn // for reading
	bulk            *bulk     // for writing
	undo            *undo
	scratch         *chunk        // for rows that came in no chunk
	sizes           map[int]int64 // committed segment bytes of each day
	segments        map[int]*segment
	sources         map[string]store.SourceStats
	quarantineSeq   int64
	quarantineBytes int64
	log             os.FileInfo // DuckDB's log whose name is known to be durable
	broken          bool        // a write failed; the database is to be opened anew
	cut             unreferenced
}

// load reads the writer's knowledge from the database, and cuts the segments
// to what commits refer to.
func (w *writer) load(ctx context.Context, db *database, opts Options, log logr.Logger) (err error) {
	*w = writer{dir: opts.Dir, sizes: map[int]int64{}, segments: map[int]*segment{}}
	if w.conn, err = db.sql.Conn(ctx); err != nil {
		return fmt.Errorf("connect the committer: %w", err)
	}
	if w.bulk, err = openBulk(opts.Dir); err != nil {
		return err
	}
	if w.undo, err = openUndo(opts.Dir); err != nil {
		return fmt.Errorf("open the database's file: %w", err)
	}
	if err := w.undo.keep(ctx, w.conn); err != nil {
		return err
	}
	w.scratch = newChunk(eventTypes, eventNullable...)
	rows, err := w.conn.QueryContext(ctx, "SELECT day, segment_bytes FROM days")
	if err != nil {
		return fmt.Errorf("read the days: %w", err)
	}
	if err := each(rows, func() error {
		var day int
		var size int64
		err := rows.Scan(&day, &size)
		w.sizes[day] = size
		return err
	}); err != nil {
		return fmt.Errorf("read the days: %w", err)
	}
	if w.sources, err = readOwnTotals(ctx, w.conn); err != nil {
		return fmt.Errorf("read sources: %w", err)
	}
	if err := w.conn.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0), coalesce(sum("+quarantineSize+"), 0)::BIGINT FROM quarantine").
		Scan(&w.quarantineSeq, &w.quarantineBytes); err != nil {
		return fmt.Errorf("read quarantine: %w", err)
	}
	return w.cutSegments(db.torn, log)
}

func (w *writer) close() error {
	var errs []error
	for _, g := range w.segments {
		errs = append(errs, g.file.Close())
	}
	w.segments = nil
	if w.scratch != nil {
		w.scratch.free()
		w.scratch = nil
	}
	w.bulk.close()
	w.bulk = nil
	errs = append(errs, w.undo.close())
	w.undo = nil
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
		w.conn = nil
	}
	return errors.Join(errs...)
}

// segment returns a day's open file.
func (w *writer) segment(day int) (*segment, error) {
	if g := w.segments[day]; g != nil {
		return g, nil
	}
	g, err := openSegment(w.dir, day, w.sizes[day])
	if err == nil {
		w.segments[day] = g
	}
	return g, err
}

// ensureDay makes a day's table. It has a commit of its own: an empty day that
// a crash leaves behind is as good as none.
func (w *writer) ensureDay(day int) error {
	if _, ok := w.sizes[day]; ok {
		return nil
	}
	err := w.inTransaction(func() error {
		if err := w.bulk.run(strings.ReplaceAll(daySQL, "{table}", tableOf(day))); err != nil {
			return err
		}
		return w.bulk.exec("INSERT INTO days VALUES ($1, 0)", int64(day))
	})
	if err != nil {
		return fmt.Errorf("make the table of a day: %w", err)
	}
	w.sizes[day] = 0
	return nil
}

// inTransaction runs fn in a transaction, which is durable once it returns. A
// failure may come after the commit, and leaves the writer broken until restore
// has looked at what is there.
func (w *writer) inTransaction(fn func() error) error {
	err := w.bulk.inTransaction(fn)
	if err == nil {
		err = w.syncLogName()
	}
	if err == nil {
		err = w.undo.keep(context.Background(), w.conn)
	}
	if err != nil {
		w.broken = true
	}
	return err
}

// syncLogName makes the name of DuckDB's log durable, which DuckDB leaves to
// the file system. A checkpoint starts a new log.
func (w *writer) syncLogName() error {
	info, err := os.Stat(filepath.Join(w.dir, "events.duckdb.wal"))
	if err == nil && w.log != nil && os.SameFile(info, w.log) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // none: this commit made a checkpoint
		return err
	}
	w.log = info
	return syncDir(w.dir)
}

// restore makes the store writable again after a failed write, by opening the
// database anew: DuckDB refuses everything after some failures, and its log
// says for certain what was committed.
func (s *Store) restore(ctx context.Context) error {
	if !s.writer.broken {
		return nil
	}
	s.filters.dropAll()
	if err := s.reopen(ctx); err != nil {
		s.writer.broken = true
		return fmt.Errorf("open the database again: %w", err)
	}
	s.log.Info("Opened the database again after a failed write")
	return nil
}

// querier is a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// saveSource writes a source's totals.
func (w *writer) saveSource(stats store.SourceStats) error {
	statement := `UPDATE sources SET received = $2, stored = $3, duplicate = $4, quarantined = $5, own = $6,
		last_received_at = $7, last_event_at = $8 WHERE source = $1`
	if _, known := w.sources[stats.Source]; !known {
		statement = "INSERT INTO sources VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
	}
	return w.bulk.exec(statement, stats.Source, stats.Received, stats.Stored, stats.Duplicate, stats.Quarantined, stats.Own,
		stats.LastReceivedAt.UnixMicro(), stats.LastEventAt.UnixMicro())
}
