package postgres

// rollups says what each roll-up counts, with the deltas that are not merged,
// and how the rows have it.
var rollups = map[string]struct{ counted, rows string }{
	"hours": {
		`SELECT day, hour, kind, sum(count)::bigint FROM (
			SELECT day, hour, kind_id AS kind, count FROM audit_rollup_hours, ` + unpackHours + `
			UNION ALL SELECT day, hour, kind, count FROM audit_rollup_deltas, unnest(hours, kinds, counts) AS d (hour, kind, count)
		) AS both_tables GROUP BY day, hour, kind HAVING sum(count) <> 0`,
		"SELECT " + dayOfRow + ", " + hourOfRow + ", kind_id, count(*) FROM audit_rows GROUP BY 1, 2, 3",
	},
	"places": {
		`SELECT day, hour, place, kind, sum(count)::bigint FROM (
			SELECT day, hour, place_id AS place, kind_id AS kind, count FROM audit_rollup_places, ` + unpackHours + `
			UNION ALL SELECT day, hour, place, kind, count FROM audit_rollup_deltas, unnest(hours, places, kinds, counts) AS d (hour, place, kind, count)
		) AS both_tables GROUP BY day, hour, place, kind HAVING sum(count) <> 0`,
		"SELECT " + dayOfRow + ", " + hourOfRow + ", place_id, kind_id, count(*) FROM audit_rows GROUP BY 1, 2, 3, 4",
	},
	"actors": {
		`SELECT day, kind, actor, sum(count)::bigint FROM (
			SELECT day, kind_id AS kind, actor_id AS actor, count FROM audit_rollup_actors
			UNION ALL SELECT day, kind, actor, count FROM audit_rollup_deltas, unnest(kinds, actors, counts) AS d (kind, actor, count)
		) AS both_tables GROUP BY day, kind, actor`,
		"SELECT " + dayOfRow + ", kind_id, actor_id, count(*) FROM audit_rows GROUP BY 1, 2, 3",
	},
}

const (
	unpackHours = `unnest(ARRAY[h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13, h14, h15, h16, h17, h18, h19, h20, h21, h22, h23])
		WITH ORDINALITY AS h (count, after), LATERAL (SELECT after - 1 AS hour) AS o`
	dayOfRow  = "(occurred_at AT TIME ZONE 'UTC')::date"
	hourOfRow = "extract(hour FROM occurred_at AT TIME ZONE 'UTC')::bigint"
)

// checkRollups compares the roll-ups with the rows.
func checkRollups(t interface {
	asker
	Errorf(format string, args ...any)
}, s *Store) {
	t.Helper()
	for name, r := range rollups {
		counted, rows := "("+r.counted+")", "("+r.rows+")"
		if n := ask[int](t, s, "SELECT count(*) FROM ("+counted+" EXCEPT ALL "+rows+") AS d"); n > 0 {
			t.Errorf("%d counts of the roll-up by %s are not those of the rows", n, name)
		}
		if n := ask[int](t, s, "SELECT count(*) FROM ("+rows+" EXCEPT ALL "+counted+") AS d"); n > 0 {
			t.Errorf("%d counts of the rows are not in the roll-up by %s", n, name)
		}
	}
}
