package postgres

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// fillByHand fills the three days before testNow's with 60,000 events each, by
// statements, because that takes seconds: 101 kinds, a tenth of them GET, the
// last of which is of code 404 and has two events; 40 places, the last of which
// has one event on the first day; 300 actors, the last of whom has three events,
// two on the first day and one on the last.
const fillByHand = `
	SELECT audit_create_day(day::date) FROM generate_series($1::date - 3, $1::date, '1 day') AS day;
	INSERT INTO audit_kinds SELECT i, md5('k' || i)::uuid, $1::date, 'Metadata', 'ResponseComplete', CASE i % 10 WHEN 0 THEN 'GET' ELSE 'POST' END, 'verb',
		CASE i % 4 WHEN 0 THEN 'application' WHEN 1 THEN 'environment_group' WHEN 2 THEN 'cluster' ELSE 'project' END, 'action', '', 'v1', 'r' || i, '', CASE i WHEN 101 THEN 404 ELSE 200 END, false, 'cli'
	FROM generate_series(1, 101) AS i;
	INSERT INTO audit_places SELECT i, md5('p' || i)::uuid, $1::date, 'prod', 'namespace-' || i FROM generate_series(1, 40) AS i;
	INSERT INTO audit_actors SELECT i, md5('a' || i)::uuid, $1::date, 'actor-' || i, 'user', '' FROM generate_series(1, 300) AS i;
	INSERT INTO audit_agents SELECT i, md5('g' || i)::uuid, $1::date, 'source', 'agent', '' FROM generate_series(1, 10) AS i;
	INSERT INTO audit_rows (occurred_at, stage_at, ingested_at, raw_batch, raw_start, raw_size, kind_id, place_id, actor_id, agent_id, folded, id, ip, raw_sha256, resource_name, path)
	SELECT at, at, at, 0, 0, 0, CASE WHEN i IN (10, 90000) THEN 101 ELSE 1 + i % 100 END, CASE i WHEN 100 THEN 40 ELSE 1 + i % 39 END, CASE WHEN i IN (50, 70, 179000) THEN 300 ELSE 1 + i % 299 END,
		1 + i % 10, true, md5('e' || i)::uuid, '10.0.0.1', sha256(i::text::bytea), 'name-' || i % 5000, '/api/v1/namespaces/shop/pods/name-' || i
	FROM generate_series(0, 179999) AS i, LATERAL (SELECT ($1::date - 3)::timestamptz + i * interval '1.44 s') AS t (at) ORDER BY at;
	UPDATE audit_rows SET raw_batch = 1, raw_size = 5 WHERE id = md5('e1000')::uuid;
	INSERT INTO audit_raw SELECT i, $1::date - 3, '{blob}' FROM generate_series(1, 1000) AS i;
	INSERT INTO audit_rollup_kinds SELECT count(*), day, kind_id, {hours} FROM {rows} GROUP BY day, kind_id;
	INSERT INTO audit_rollup_places SELECT count(*), day, place_id, kind_id, {hours} FROM {rows} GROUP BY day, place_id, kind_id;
	INSERT INTO audit_rollup_actors SELECT count(*), day, actor_id, kind_id, {hours} FROM {rows} GROUP BY day, actor_id, kind_id;
	ANALYZE`

// explaining is a store whose server logs how it has done each statement.
type explaining struct {
	*Store
	server *postgrestest.Server
	log    int // how much of the server's log has been looked at
}

func openExplaining(t *testing.T) *explaining {
	t.Helper()
	server := postgrestest.Start(t, postgrestest.Options{Settings: map[string]string{
		"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0", "auto_explain.log_analyze": "on", "auto_explain.log_timing": "off",
		// Small tables are to be read as large ones are.
		"random_page_cost": "1.1",
	}})
	return &explaining{Store: openFilled(t, server), server: server}
}

// openFilled opens a store that is filled by hand.
func openFilled(t *testing.T, server *postgrestest.Server) *Store {
	t.Helper()
	url := server.Database(t)
	if err := Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, Options{URL: url, Now: func() time.Time { return testNow }, Log: testr.New(t)})
	fill := strings.NewReplacer("$1", "'"+testNow.Format(time.DateOnly)+"'",
		"{hours}", eachHour("count(*) FILTER (WHERE extract(hour FROM occurred_at) = %d)"),
		"{blob}", fmt.Sprintf("\\x%x", packer.EncodeAll([]byte("a raw"), nil)),
		"{rows}", "(SELECT *, occurred_at::date AS day FROM audit_rows) AS r").Replace(fillByHand)
	for statement := range strings.SplitSeq(fill, ";") {
		mustExec(t, s, statement)
	}
	return s
}

// scans returns how rows, raws and roll-ups were read since the last call, by
// the names of tables and of indices that gave bitmaps, and the largest number
// of rows that one scan has returned. What was planned for, but not read, does
// not count.
func (e *explaining) scans(t *testing.T) (how map[string]string, most int) {
	t.Helper()
	log := e.server.Log(t)
	how = map[string]string{}
	for _, found := range scanLine.FindAllStringSubmatch(log[e.log:], -1) {
		scan, table := found[1], found[2]
		rows, err := strconv.Atoi(found[3])
		if err != nil {
			t.Fatal(err)
		}
		if how[table] != "" && how[table] != scan {
			scan = how[table] + ", " + scan
		}
		how[table], most = scan, max(most, rows)
	}
	e.log = len(log)
	return how, most
}

// scanLine is a line of a plan: the kind of scan, the table and the rows.
var scanLine = regexp.MustCompile(`(?m)^\s+(?:-> +)?(?:Parallel )?(\w+(?: \w+)? Scan(?: Backward)?(?: using \w+)?) on (audit_(?:rows|raw|rollup)_\w+).*\(actual rows=(\d+) loops`)

// TestQueryPlans looks at which tables the page's common questions read, and by
// which index: of rows never more than the answer needs.
func TestQueryPlans(t *testing.T) {
	e := openExplaining(t)
	today := audit.Day(testNow)
	day := func(n int) string { return today.AddDate(0, 0, n).Format("_20060102") }
	window := query.Window{From: today.AddDate(0, 0, -3), To: today}
	// read says how tables of days are read: each part is a table, how, and days.
	type read struct {
		table, how string
		days       []int
	}
	every := []int{-3, -2, -1}
	newest := read{"audit_rows", "Index Scan Backward using audit_rows{day}_occurred_at_id_key", []int{-1}}
	deltas := read{"audit_rollup_deltas", "Seq Scan", every} // empty
	noGET := query.Filter{Exclude: query.Terms{Methods: []string{"GET"}}}
	twoTypes := query.Filter{Terms: query.Terms{ResourceTypes: []string{"application", "environment_group"}}}
	rareActor := query.Filter{Terms: query.Terms{Actors: []string{"actor-300"}}}
	view := func(scope query.Scope, req store.ViewRequest) func(t *testing.T) {
		return func(t *testing.T) {
			req.Window = window
			if _, err := e.View(t.Context(), scope, req); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name string
		ask  func(t *testing.T)
		want []read
		most int // rows of one scan
	}{
		{"first page", view(query.ClusterWide(), store.ViewRequest{Filter: noGET, Limit: 50}),
			[]read{newest}, 100},
		{"page of two types", view(query.ClusterWide(), store.ViewRequest{Filter: twoTypes, Limit: 50}),
			[]read{newest}, 200},
		{"next page", view(query.ClusterWide(), store.ViewRequest{Filter: twoTypes, Limit: 50, After: &query.Position{OccurredAt: today.AddDate(0, 0, -2).Add(-time.Hour)}}),
			[]read{{newest.table, newest.how, []int{-3}}}, 200},
		{"page with count and histogram", view(query.ClusterWide(), store.ViewRequest{Filter: noGET, Limit: 50, Count: true, HistogramWidth: time.Hour}),
			[]read{newest, deltas, {"audit_rollup_kinds", "Seq Scan", every}}, 100},
		{"actors", func(t *testing.T) {
			if _, err := e.Facet(t.Context(), query.ClusterWide(), store.FacetRequest{Filter: noGET, Window: window, Dimension: query.ByActor, Limit: 50}); err != nil {
				t.Fatal(err)
			}
		}, []read{deltas, {"audit_rollup_actors", "Seq Scan", every}}, 30_000},
		{"event", func(t *testing.T) {
			if _, err := e.Event(t.Context(), query.ClusterWide(), audit.ID(ask[[16]byte](t, e.Store, "SELECT md5('e1000')::uuid"))); err != nil {
				t.Fatal(err)
			}
		}, []read{
			{"audit_rows", "Index Scan using audit_rows{day}_id_idx", every}, {"audit_rows", "Seq Scan", []int{0}}, // empty
			{"audit_raw", "Index Scan using audit_raw{day}_batch_day_key", []int{-3}},
		}, 1},
		{"page of a rare actor", view(query.ClusterWide(), store.ViewRequest{Filter: rareActor, Limit: 50}), []read{
			newest, deltas, {"audit_rollup_actors", "Index Scan using audit_rollup_actors{day}_day_actor_id_kind_id_key", every},
			{"audit_rows{day}_actor_id_idx", "Bitmap Index Scan", []int{-3, -1}}, {"audit_rows{day}_occurred_at_id_key", "Bitmap Index Scan", []int{-3, -1}},
			{"audit_rows", "Bitmap Heap Scan", []int{-3, -1}},
		}, rowBudget},
		{"page of a rare place", view(query.InNamespaces("prod", "namespace-40"), store.ViewRequest{Limit: 50}), []read{
			newest, deltas, {"audit_rollup_places", "Index Scan using audit_rollup_places{day}_day_place_id_kind_id_key", every},
			{"audit_rows", "Index Scan using audit_rows{day}_occurred_at_id_key", []int{-3}},
		}, rowBudget},
	} {
		t.Run(test.name, func(t *testing.T) {
			e.scans(t) // forgets those of before
			test.ask(t)
			got, most := e.scans(t)
			want := map[string]string{}
			for _, r := range test.want {
				for _, n := range r.days {
					table := r.table + day(n)
					if before, after, ok := strings.Cut(r.table, "{day}"); ok {
						table = before + day(n) + after
					}
					want[table] = strings.TrimPrefix(want[table]+", "+strings.ReplaceAll(r.how, "{day}", day(n)), ", ")
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("tables that were read (-want +got):\n%s", d)
			}
			if most > test.most {
				t.Errorf("a scan returned %d rows, want at most %d", most, test.most)
			}
		})
	}
}
