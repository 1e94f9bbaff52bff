package embedded

import (
	"context"
	"fmt"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// addedColumns are those that a day's table of an older format lacks, with their
// types: the marks came with format 2, and an event of before has none; the
// groups came with format 4, and those of an event of before are unknown. Up to
// format 2 dry_run was a BOOLEAN.
var addedColumns = []struct{ name, kind string }{
	{"truncated", "BOOLEAN DEFAULT false"}, {"is_foreign", "BOOLEAN DEFAULT false"},
	{"groups", "VARCHAR"}, {"acted_via_groups", "VARCHAR"},
}

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
		changes := []func(table string) error{s.writer.addColumns}
		if table.hasBoolean {
			changes = append(changes, s.writer.widenDryRun)
		}
		for _, change := range changes {
			if err := s.writer.inTransaction(func() error { return change(table.name) }); err != nil {
				return fmt.Errorf("upgrade table %s: %w", table.name, err)
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
		if err := w.bulk.run("ALTER TABLE " + table + " ADD COLUMN IF NOT EXISTS " + column.name + " " + column.kind); err != nil {
			return err
		}
	}
	return nil
}

// oldTable is a day's table that lacks a column or has one of a former type.
type oldTable struct {
	name string
	// hasBoolean is set where dry_run is a BOOLEAN. What is wider holds three
	// values already, which must stay.
	hasBoolean bool
}

// oldTables lists the days' tables of an older format.
func (s *Store) oldTables(ctx context.Context) ([]oldTable, error) {
	var names []string
	for _, column := range addedColumns {
		names = append(names, column.name)
	}
	rows, err := s.writer.conn.QueryContext(ctx, `SELECT table_name, bool_or(column_name = 'dry_run' AND data_type = 'BOOLEAN') AS has_boolean FROM duckdb_columns()
		WHERE database_name = current_database() AND table_name LIKE 'events_%'
		GROUP BY table_name HAVING count(*) FILTER (list_contains($1::VARCHAR[], column_name)) < len($1::VARCHAR[])
			OR has_boolean ORDER BY table_name`, names)
	if err != nil {
		return nil, fmt.Errorf("look for tables of an older format: %w", err)
	}
	var old []oldTable
	if err := each(rows, func() error {
		var table oldTable
		err := rows.Scan(&table.name, &table.hasBoolean)
		old = append(old, table)
		return err
	}); err != nil {
		return nil, fmt.Errorf("look for tables of an older format: %w", err)
	}
	return old, nil
}
