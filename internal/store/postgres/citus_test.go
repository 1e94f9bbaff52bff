package postgres

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// TestShapesAreFitForCitus reads from the catalogue what Citus asks for: no
// foreign keys, and in every unique key the column by which a table is spread.
func TestShapesAreFitForCitus(t *testing.T) {
	s := openAt(t, newDatabase(t))
	if n := ask[int](t, s, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"); n > 0 {
		t.Errorf("there are %d foreign keys", n)
	}
	tables := ask[[]string](t, s, `SELECT array_agg(relname::text ORDER BY relname) FROM pg_class
		WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`)
	by := map[string]string{}
	for _, table := range spread {
		by[table.table] = table.by
	}
	if d := cmp.Diff(tables, slices.Sorted(maps.Keys(by))); d != "" {
		t.Errorf("tables of the schema and those that it is said of how they are spread (-schema +spread):\n%s", d)
	}
	rows, err := s.pool.Query(t.Context(), `
		SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text, array_agg(a.attname::text)
		FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
		WHERE i.indisunique AND i.indrelid::regclass::text = ANY($1) GROUP BY 1, 2`, tables)
	if err != nil {
		t.Fatal(err)
	}
	var table, index string
	var columns []string
	checked := 0
	if _, err := pgx.ForEachRow(rows, []any{&table, &index, &columns}, func() error {
		if by[table] == here || by[table] == everywhere {
			return nil
		}
		checked++
		if !slices.Contains(columns, by[table]) {
			t.Errorf("the unique key %s of %s holds %v, not %s, by which the table is spread", index, table, columns, by[table])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if checked < 5 {
		t.Errorf("%d unique keys of spread tables were checked, want 5 at least", checked)
	}
}
