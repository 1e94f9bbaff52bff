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
	"time"
)

// point is a read transaction on the commit that a backup is of. It may write
// to the attached database of the copy, which has the name of copyName.
type point struct {
	db   *database
	done func() // tells the readers that it has ended
	conn *sql.Conn
}

const copyName = "backup"

// openPoint attaches a new database and begins the transaction.
func (s *Store) openPoint(ctx context.Context, path string) (_ *point, err error) {
	db, err := s.readable()
	if err != nil {
		return nil, err
	}
	p := &point{db: db, done: s.readers.backup()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.end())
		}
	}()
	if p.conn, err = db.sql.Conn(ctx); err != nil {
		return nil, err
	}
	return p, p.exec(ctx,
		"ATTACH '"+strings.ReplaceAll(path, "'", "''")+"' AS "+copyName+" (STORAGE_VERSION '"+storageVersion+"')",
		"BEGIN TRANSACTION")
}

// exec runs statements to their end, since some are outside of the transaction.
func (p *point) exec(ctx context.Context, statements ...string) error {
	ctx = context.WithoutCancel(ctx)
	for _, statement := range statements {
		if _, err := p.conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.40s: %w", statement, err)
		}
	}
	return nil
}

// end gives the database back. Without effect after copyTables but for that.
func (p *point) end() error {
	defer p.db.reads.Done()
	defer p.done()
	if p.conn == nil {
		return nil
	}
	ctx := context.Background()
	_, _ = p.conn.ExecContext(ctx, "ROLLBACK") // fails without a transaction
	return errors.Join(p.exec(ctx, "DETACH DATABASE IF EXISTS "+copyName), p.conn.Close())
}

// readDays reads what the days refer to.
func readDays(ctx context.Context, q querier) ([]DayHeader, error) {
	rows, err := q.QueryContext(ctx, "SELECT day, segment_bytes FROM days ORDER BY day")
	if err != nil {
		return nil, fmt.Errorf("read the days: %w", err)
	}
	days := []DayHeader{}
	if err := each(rows, func() error {
		var day int
		var size int64
		err := rows.Scan(&day, &size)
		days = append(days, DayHeader{Day: dayStart(day).Format(time.DateOnly), RawBytes: size})
		return err
	}); err != nil {
		return nil, fmt.Errorf("read the days: %w", err)
	}
	return days, nil
}

// copyTables copies every table, counts the rows into the header, and leaves
// the copy as one closed file.
func (p *point) copyTables(ctx context.Context, header *Header) error {
	counts, err := p.insertTables(ctx)
	if err != nil {
		return err
	}
	// Detaching folds the copy's log into its file.
	if err := p.exec(ctx, "COMMIT", "DETACH "+copyName); err != nil {
		return err
	}
	header.Sources, header.Quarantined = counts["sources"], counts["quarantine"]
	for i := range header.Days {
		day := &header.Days[i]
		day.Events = counts[tableOfDate(day.Day)]
		header.Events += day.Events
	}
	return nil
}

func (p *point) insertTables(ctx context.Context) (map[string]int64, error) {
	var name string
	if err := p.conn.QueryRowContext(ctx, "SELECT current_database()").Scan(&name); err != nil {
		return nil, err
	}
	if err := p.exec(ctx, "COPY FROM DATABASE "+name+" TO "+copyName+" (SCHEMA)"); err != nil {
		return nil, err
	}
	tables, err := tablesOf(ctx, p.conn, name)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, table := range tables {
		result, err := p.conn.ExecContext(ctx, "INSERT INTO "+copyName+"."+table+" SELECT * FROM "+name+"."+table)
		if err != nil {
			return nil, fmt.Errorf("copy table %s: %w", table, err)
		}
		if counts[table], err = result.RowsAffected(); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// tablesOf lists the tables of a database.
func tablesOf(ctx context.Context, q querier, database string) ([]string, error) {
	rows, err := q.QueryContext(ctx, "SELECT table_name FROM duckdb_tables() WHERE database_name = $1 ORDER BY table_name", database)
	if err != nil {
		return nil, err
	}
	var tables []string
	err = each(rows, func() error {
		var table string
		err := rows.Scan(&table)
		tables = append(tables, table)
		return err
	})
	return tables, err
}

// tableOfDate names the table of a day that is written yyyy-mm-dd.
func tableOfDate(day string) string { return "events_" + strings.ReplaceAll(day, "-", "") }

// checkRoom fails when the volume can't take a copy of the database.
func (s *Store) checkRoom() error {
	need := int64(s.opts.MinFree)
	for _, name := range []string{DatabaseFile, DatabaseFile + ".wal"} {
		info, err := os.Stat(filepath.Join(s.opts.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		need += info.Size()
	}
	free, err := freeSpace(s.opts.Dir)
	if err != nil {
		return err
	}
	if free < uint64(need) {
		return fmt.Errorf("%w: %d MiB are free in %s and %d are needed; enlarge it or shorten --event-retention", errNoRoom, free>>20, s.opts.Dir, need>>20)
	}
	return nil
}

// watchRoom cancels when the volume gets so full that events would be refused.
func (s *Store) watchRoom(cancel context.CancelCauseFunc) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if err := s.checkSpace(); err != nil {
					cancel(fmt.Errorf("%w: %w", errNoRoom, err))
					return
				}
			}
		}
	}()
	return func() { close(done) }
}
