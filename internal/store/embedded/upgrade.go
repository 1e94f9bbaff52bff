package embedded

import (
	"context"
	"fmt"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// addedColumns are those that a day's table of format 1 lacks. An event of that
// time has none of these marks. Up to format 2 dry_run was a BOOLEAN.
var addedColumns = []string{"truncated", "is_foreign"}

// upgrade brings the days' tables to formatVersion, one day after the other. It
// goes by the tables, not by what the directory says of itself: an upgrade that
// was cut off goes on, and a restored backup may be of any format. Only this
// says so in the directory before anything is changed, so that an older version
// does not open what it can't write to any more.
func (s *Store) upgrade(ctx context.Context, was format) error {
	old, err := s.oldTables(ctx)
	if err != nil || len(old) == 0 {
		return err
	}
	if err := writeFormat(s.opts.Dir, was, s.opts.Version); err != nil {
		return err
	}
	s.log.Info("Upgrades the store", "from", max(was.Format, 1), "to", formatVersion, "days", len(old))
	for _, table := range old {
		for _, change := range []func(table string) error{s.writer.addColumns, s.writer.widenDryRun} {
			if err := s.writer.inTransaction(func() error { return change(table) }); err != nil {
				return fmt.Errorf("upgrade table %s: %w", table, err)
			}
		}
	}
	return nil
}

// widenDryRun makes room for what is unknown, as it is of deletes and evictions
// whose options were not recorded: they were taken for real ones, or for what
// the query said, which the options overrule.
func (w *writer) widenDryRun(table string) error {
	if err := w.bulk.run("ALTER TABLE " + table + " ALTER dry_run TYPE UTINYINT"); err != nil {
		return err
	}
	return w.bulk.run(fmt.Sprintf(`UPDATE %s SET dry_run = %d WHERE level = 'Metadata' AND resource <> ''
		AND (verb IN ('delete', 'deletecollection') AND split_part(subresource, '/', 1) NOT IN ('exec', 'attach', 'portforward', 'proxy')
			OR verb = 'create' AND subresource = 'eviction' AND dry_run = %d)`, table, audit.DryRunUnknown, audit.DryRunFalse))
}

func (w *writer) addColumns(table string) error {
	for _, column := range addedColumns {
		if err := w.bulk.run("ALTER TABLE " + table + " ADD COLUMN IF NOT EXISTS " + column + " BOOLEAN DEFAULT false"); err != nil {
			return err
		}
	}
	return nil
}

// oldTables lists the days' tables that lack a column or have one of a former type.
func (s *Store) oldTables(ctx context.Context) ([]string, error) {
	rows, err := s.writer.conn.QueryContext(ctx, `SELECT table_name FROM duckdb_columns()
		WHERE database_name = current_database() AND table_name LIKE 'events_%'
		GROUP BY table_name HAVING count(*) FILTER (list_contains($1::VARCHAR[], column_name)) < len($1::VARCHAR[])
			OR bool_or(column_name = 'dry_run' AND data_type = 'BOOLEAN') ORDER BY table_name`, addedColumns)
	if err != nil {
		return nil, fmt.Errorf("look for tables of an older format: %w", err)
	}
	var old []string
	if err := each(rows, func() error {
		var table string
		err := rows.Scan(&table)
		old = append(old, table)
		return err
	}); err != nil {
		return nil, fmt.Errorf("look for tables of an older format: %w", err)
	}
	return old, nil
}
