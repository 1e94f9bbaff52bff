package postgres

import (
	"context"
	"database/sql"
	"fmt"
)

// How Citus spreads a table over its nodes, where it is no column.
const (
	everywhere = "everywhere" // a copy on each node
	here       = "here"       // on the coordinator alone
)

// spread says by which column each table is distributed. Events go by their ID,
// which is even by nature; what is read together lies together. Every unique
// key holds the column, and no foreign key leads from one table to another.
var spread = []struct{ table, by string }{
	{"audit_days", everywhere},
	{"audit_kinds", everywhere},
	{"audit_places", everywhere},
	{"audit_actors", everywhere},
	{"audit_agents", everywhere},
	{"audit_rows", "id"},
	{"audit_raw", "batch"},
	{"audit_rollup_deltas", "batch"},
	{"audit_rollup_kinds", "kind_id"},
	{"audit_rollup_places", "kind_id"},
	{"audit_rollup_actors", "kind_id"},
	{"audit_source_totals", here},
	{"audit_source_deltas", here},
	{"audit_other_totals", here},
	{"audit_identity", here},
	{"audit_arrivals", here},
	{"audit_arrivals_new", here},
	{"audit_quarantine", here},
	{"audit_snapshots", here},
	{"audit_snapshot_parts", here},
	{"audit_loose_bodies", here},
	{versionTable, here},
}

// distribute spreads the tables where the database has the extension Citus,
// and does nothing where it has not. It is experimental.
func distribute(ctx context.Context, db *sql.DB) error {
	var citus bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')").Scan(&citus); err != nil || !citus {
		return err
	}
	for _, table := range spread {
		statement, args := "SELECT create_distributed_table($1::regclass, $2)", []any{table.table, table.by}
		switch table.by {
		case here:
			continue
		case everywhere:
			statement, args = "SELECT create_reference_table($1::regclass)", args[:1]
		}
		var done bool
		if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = $1::regclass)", table.table).Scan(&done); err != nil {
			return err
		}
		if done {
			continue
		}
		if _, err := db.ExecContext(ctx, statement, args...); err != nil {
			return fmt.Errorf("distribute %s: %w", table.table, err)
		}
	}
	return nil
}
