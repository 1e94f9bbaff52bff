package postgres

import "strings"

// rollups are the tables with what they count by.
var rollups = map[string][]string{
	"audit_rollup_kinds":  {"kind"},
	"audit_rollup_places": {"place", "kind"},
	"audit_rollup_actors": {"actor", "kind"},
}

// countsOf returns two SELECTs that must agree: what a roll-up says, with the
// deltas that are not merged, and how the rows have it.
func countsOf(table string, keys []string) (counted, rows string) {
	list, ids := strings.Join(keys, ", "), strings.Join(keys, "_id, ")+"_id"
	counted = "SELECT day, hour, " + list + ", sum(count)::bigint FROM (" +
		"SELECT day, hour - 1, " + ids + ", h.count FROM " + table + ", unnest(ARRAY[" + eachHour("h%d") + "]) WITH ORDINALITY AS h (count, hour)" +
		" UNION ALL SELECT day, hour, " + list + ", count FROM audit_rollup_deltas, unnest(hours, counts, " + strings.Join(keys, "s, ") + "s) AS d (hour, count, " + list + ")" +
		") AS both_tables (day, hour, " + list + ", count) GROUP BY day, hour, " + list + " HAVING sum(count) <> 0"
	rows = "SELECT (occurred_at AT TIME ZONE 'UTC')::date, extract(hour FROM occurred_at AT TIME ZONE 'UTC')::bigint, " + ids +
		", count(*) FROM audit_rows GROUP BY 1, 2, " + ids
	return counted, rows
}

// checkRollups compares the roll-ups with the rows.
func checkRollups(t interface {
	asker
	Errorf(format string, args ...any)
}, s *Store) {
	t.Helper()
	for table, keys := range rollups {
		counted, rows := countsOf(table, keys)
		if n := ask[int](t, s, "SELECT count(*) FROM (("+counted+") EXCEPT ALL ("+rows+")) AS d"); n > 0 {
			t.Errorf("%d counts of %s are not those of the rows", n, table)
		}
		if n := ask[int](t, s, "SELECT count(*) FROM (("+rows+") EXCEPT ALL ("+counted+")) AS d"); n > 0 {
			t.Errorf("%d counts of the rows are not in %s", n, table)
		}
		if n := ask[int](t, s, "SELECT count(*) FROM "+table+" WHERE count <> "+strings.ReplaceAll(eachHour("h%d"), ",", " +")); n > 0 {
			t.Errorf("%d counts of days in %s are not the sums of their hours", n, table)
		}
	}
}
