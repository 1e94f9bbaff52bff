package embedded

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/spans"
)

var (
	//go:embed schema.sql
	schemaSQL string
	//go:embed day.sql
	daySQL string
)

// DatabaseFile is the file of a store's directory without which there is none.
const DatabaseFile = "events.duckdb"

const storageVersion = "latest"

// checkpointThreshold is the size of DuckDB's log at which it is folded into
// the file: larger makes fewer stalls, smaller a faster start (13 ms/MB).
const checkpointThreshold = "64MiB"

// database is an open DuckDB. It can't be open twice, so opening it again
// first ends the reads that use it.
//
// No statement outside of a transaction may be interrupted, nor the one that
// begins it: its connection may then be left in a transaction that failed, which
// keeps the database in DuckDB for ever, even with the connection closed, and
// opening it again waits for that (https://github.com/duckdb/duckdb/issues/25965).
type database struct {
	sql   *sql.DB
	ended context.Context // done when the reads are to end
	end   context.CancelFunc
	reads sync.WaitGroup
	torn  bool // its log ended within a commit
}

// openDatabase opens the database of a store, or makes it.
func openDatabase(ctx context.Context, opts Options) (*database, error) {
	if err := undoCheckpoint(opts.Dir, opts.Log); err != nil {
		return nil, fmt.Errorf("undo an incomplete checkpoint: %w", err)
	}
	torn, err := logTorn(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the end of the database's log: %w", err)
	}
	db, err := connectDatabase(ctx, opts)
	if err != nil {
		if err := cutTornLog(opts.Dir, err, opts.Log); err != nil {
			return nil, err
		}
		torn = true
		if db, err = connectDatabase(ctx, opts); err != nil {
			return nil, err
		}
	}
	db.torn = torn
	return db, nil
}

func connectDatabase(ctx context.Context, opts Options) (*database, error) {
	connector, err := duckdb.NewConnector(filepath.Join(opts.Dir, DatabaseFile)+"?storage_compatibility_version="+storageVersion, nil)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxIdleConns(8)
	settings := []string{
		fmt.Sprintf("SET memory_limit = '%dB'", opts.MemoryLimit),
		fmt.Sprintf("SET temp_directory = '%s'", strings.ReplaceAll(filepath.Join(opts.Dir, "tmp"), "'", "''")),
		"SET checkpoint_threshold = '" + checkpointThreshold + "'",
		"SET preserve_insertion_order = false", // saves memory; every list has an ORDER BY
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
	}
	if opts.Threads > 0 {
		settings = append(settings, fmt.Sprintf("SET threads = %d", opts.Threads))
	}
	settings = append(settings, schemaSQL,
		// No statement reads or writes other files than the database's, and those
		// in temp_directory, where a backup makes its copy.
		"SET enable_external_access = false",
		"SET lock_configuration = true")
	for _, statement := range settings {
		if _, err := pool.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("set up the database: %w", err), pool.Close())
		}
	}
	db := &database{sql: pool}
	db.ended, db.end = context.WithCancel(context.Background())
	return db, nil
}

func (db *database) close() error {
	if db == nil {
		return nil
	}
	db.end()
	db.reads.Wait()
	return db.sql.Close()
}

// reopen opens the database again, after an error that made it unusable.
func (s *Store) reopen(ctx context.Context) error {
	s.mu.Lock()
	old := s.db
	s.db = nil
	s.mu.Unlock()
	// An invalidated database reports its error again on closing.
	if err := errors.Join(s.writer.close(), old.close()); err != nil {
		s.log.Info("Closed the database after a failed write", "error", err.Error())
	}
	db, err := openDatabase(ctx, s.opts)
	if err != nil {
		return err
	}
	db.torn = false // by a write that failed, of which nothing was acknowledged
	s.mu.Lock()
	s.db = db
	s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	return s.opts.Metrics.watch(ctx, s)
}

// load reads from the open database what the store knows of it besides.
func (s *Store) load(ctx context.Context) error {
	if err := s.writer.load(ctx, s.db, s.opts, s.log); err != nil {
		return err
	}
	if err := s.arrivals.load(ctx, s.writer.conn, slices.Sorted(maps.Keys(s.writer.sizes))); err != nil {
		return fmt.Errorf("read how far the days are filled: %w", err)
	}
	return nil
}

// errReopening means that a read has to wait for the database.
var errReopening = fmt.Errorf("the database is being opened again: %w", store.ErrUnavailable)

// readable returns the database for a read, which calls reads.Done at its end.
func (s *Store) readable() (*database, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil, errReopening
	}
	s.db.reads.Add(1)
	return s.db, nil
}

// readTx is one read transaction: every statement in it sees the same commits.
type readTx struct {
	*sql.Tx
	asOf time.Time
	days []int // that have a table, newest first
}

// read runs fn in a read transaction that ends with ctx and after the
// statement timeout. The name is that of its span.
func (s *Store) read(ctx context.Context, name string, fn func(ctx context.Context, tx *readTx) error) (err error) {
	if err := s.calls.Enter(); err != nil {
		return err
	}
	defer s.calls.Leave()
	ctx, span := tracer.Begin(ctx, name)
	defer func() { spans.End(span, err) }()
	caller := ctx
	ctx, leave, err := s.readers.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	db, err := s.readable()
	if err != nil {
		return err
	}
	defer db.reads.Done()

	ctx, cancel := context.WithTimeout(ctx, s.opts.StatementTimeout)
	defer cancel()
	defer context.AfterFunc(db.ended, cancel)()
	// The driver reports an interrupted statement in its own words; callers
	// want to know who interrupted it.
	defer func() {
		switch {
		case err == nil || errors.Is(err, store.ErrNotFound):
		case caller.Err() != nil:
			err = caller.Err()
		case db.ended.Err() != nil:
			err = errReopening
		case wasInTheWay(ctx):
			err = errEnded
		case ctx.Err() != nil:
			err = fmt.Errorf("statement took longer than %s: %w", s.opts.StatementTimeout, context.DeadlineExceeded)
		case isOutOfMemory(err) && s.readers.others():
			err = errNoMemory
		}
	}()

	tx := &readTx{asOf: s.now()}
	if tx.Tx, err = db.sql.BeginTx(context.WithoutCancel(ctx), nil); err != nil {
		return fmt.Errorf("begin a read: %w", err)
	}
	defer tx.Rollback()
	// The first statement fixes what the transaction sees.
	rows, err := tx.QueryContext(ctx, "SELECT day FROM days ORDER BY day DESC")
	if err != nil {
		return fmt.Errorf("read the days: %w", err)
	}
	if err := each(rows, func() error {
		var day int
		err := rows.Scan(&day)
		tx.days = append(tx.days, day)
		return err
	}); err != nil {
		return fmt.Errorf("read the days: %w", err)
	}
	return fn(ctx, tx)
}

// each calls fn for each row and closes rows.
func each(rows *sql.Rows, fn func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// dayOf numbers the UTC days since 1970-01-01.
func dayOf(t time.Time) int { return int(t.Unix() / 86400) }

func dayStart(day int) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// tableOf names the table of a day.
func tableOf(day int) string { return "events_" + dayStart(day).Format("20060102") }
