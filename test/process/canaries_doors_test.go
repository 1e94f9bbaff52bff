package process

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // reads the store's file by SQL
	"github.com/jackc/pgx/v5"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/internal/canarytest"
	"github.com/porter-dev/audit-operator/internal/query"
)

const everyStage = "&stage=RequestReceived&stage=ResponseStarted&stage=ResponseComplete&stage=Panic"

// get reads an address as the reader with all rights.
func (s *sown) get(t *testing.T, address string) string {
	t.Helper()
	var status int
	var body string
	for range 20 { // reads are admitted a few at once
		var err error
		if status, body, err = request(t, http.MethodGet, address, s.token, nil); err != nil {
			t.Fatal(err)
		}
		if status != http.StatusServiceUnavailable {
			break
		}
	}
	if status != http.StatusOK {
		t.Errorf("%s answers %d: %s", address, status, body)
	}
	return body
}

func matchedIn(t *testing.T, answer string) int64 {
	t.Helper()
	var got struct {
		Matched int64 `json:"matched"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return got.Matched
}

// searchDoors looks at what a running manager shows and writes for others to
// see, and for the evidence in it.
func (s *sown) searchDoors(t *testing.T, api *apiServer, m *operator, found *canarytest.Finder) {
	t.Helper()
	base, filter := "http://"+m.pages, "range=last_hour"+everyStage
	m.await(t, base+"/api/v1/audit-logs", s.token, http.StatusOK)
	m.await(t, "https://"+m.metrics+"/metrics", s.token, http.StatusOK)
	look := func(path string) string {
		t.Helper()
		body := s.get(t, base+path)
		found.Search(path, []byte(body))
		return body
	}
	raw := look("/api/v1/export?format=ndjson&raw=true&limit=10000&" + filter)
	s.judgeEvidence(t, raw)
	for _, path := range []string{
		"/security/audit-logs?", "/security/audit-logs/csv?", "/security/audit-logs/ndjson?", "/security/audit-logs/query?", "/security/audit-logs/query/yaml?", "/api/v1/export?format=csv&limit=100000&", "/api/v1/audit-logs/histogram?",
	} {
		look(path + filter)
	}
	for _, dimension := range query.Dimensions {
		look("/security/audit-logs/values/" + string(dimension) + "?" + filter)
		look("/api/v1/audit-logs/facets/" + string(dimension) + "?limit=500&" + filter)
	}
	s.lookAtEvents(t, look, filter)
	all(t, look, "/api/v1/quarantine?limit=100")
	look("/security/quarantine")
	found.Search("metrics", []byte(s.get(t, "https://"+m.metrics+"/metrics")))
	s.lookAtSnapshot(t, api, m, look)
	s.lookAtObjects(t, api, found)
	searches := 0
	for secret := range s.corpus.Canaries {
		if n := matchedIn(t, s.get(t, base+"/api/v1/audit-logs?count=true&limit=1&"+filter+"&search="+secret)); n > 0 {
			t.Errorf("%d events are found by the secret of %s", n, s.corpus.Canaries[secret])
		}
		if searches++; searches == 10 { // a search index is of what is stored; a few show it
			break
		}
	}
}

// all follows an answer to its end.
func all(t *testing.T, look func(string) string, path string) (answers []string) {
	t.Helper()
	next := ""
	for {
		address := path
		if next != "" {
			address += "&cursor=" + url.QueryEscape(next)
		}
		answer := look(address)
		answers = append(answers, answer)
		var got struct {
			Next string `json:"next"`
		}
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
		if next = got.Next; next == "" {
			return answers
		}
	}
}

// lookAtEvents reads all events as records, and some in whole and as pages.
func (s *sown) lookAtEvents(t *testing.T, look func(string) string, filter string) {
	t.Helper()
	seen := 0
	for _, answer := range all(t, look, "/api/v1/audit-logs?limit=1000&"+filter) {
		var got struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
		}
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatal(err)
		}
		for _, e := range got.Items {
			if seen++; seen%50 == 0 {
				look("/security/audit-logs/events/" + e.ID)
				look("/security/audit-logs/events/" + e.ID + "/raw")
				look("/api/v1/audit-logs/" + e.ID + "?raw=true")
			}
		}
	}
	if seen < leastCanaries {
		t.Errorf("only %d events are shown", seen)
	}
}

// lookAtSnapshot has a snapshot of everything taken and reads it.
func (s *sown) lookAtSnapshot(t *testing.T, api *apiServer, m *operator, look func(string) string) {
	t.Helper()
	q := queryOf("everything-" + strings.ToLower(t.Name()[strings.LastIndex(t.Name(), "/")+1:]))
	q.Spec.Preview = ptr.To(int32(50))
	q.Spec.Limit = ptr.To(int32(50000))
	api.create(t, q)
	t.Cleanup(func() {
		if err := api.client.Delete(context.WithoutCancel(t.Context()), q); err != nil {
			t.Error(err)
		}
	})
	m.until(t, func() bool {
		return api.client.Get(t.Context(), client.ObjectKeyFromObject(q), q) == nil && q.Status.Snapshot != nil
	}, func() string { return fmt.Sprintf("no snapshot is taken: %+v", q.Status) })
	id := q.Status.Snapshot.ID
	for _, path := range []string{"/api/v1/snapshots?namespace=-", "/api/v1/snapshots/" + id, "/api/v1/snapshots/" + id + "/records", "/security/snapshots", "/security/snapshots/" + id, "/security/snapshots/" + id + "/ndjson"} {
		look(path)
	}
}

// lookAtObjects reads what the operator wrote into its own cluster.
func (s *sown) lookAtObjects(t *testing.T, api *apiServer, found *canarytest.Finder) {
	t.Helper()
	c, err := rest.HTTPClientFor(api.env.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/apis/audit.porter.run/v1alpha1/auditsources", "/apis/audit.porter.run/v1alpha1/clusterauditlogqueries", "/apis/audit.porter.run/v1alpha1/auditlogqueries", "/apis/audit.porter.run/v1alpha1/auditresourcetypes",
		"/api/v1/events", "/apis/events.k8s.io/v1/events", "/api/v1/configmaps", "/api/v1/secrets", "/apis/coordination.k8s.io/v1/leases",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(api.env.Config.Host, "/")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		found.Search("objects "+path, body)
	}
}

// judgeEvidence looks for what an auditor needs in the raw events.
func (s *sown) judgeEvidence(t *testing.T, raw string) {
	t.Helper()
	lost := 0
	for text, place := range s.evidence {
		if !strings.Contains(raw, text) {
			if lost++; lost <= mostTold {
				t.Errorf("what an auditor needs of %s (%s) is lost", place, text)
			}
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d pieces of evidence are lost", lost, len(s.evidence))
	}
}

// searchDatabase reads every table of a database.
func searchDatabase(t *testing.T, url string, found *canarytest.Finder) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal("the database can't be reached") // the error would hold the password
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'm') AND nspname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 5 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	for _, table := range tables {
		var data strings.Builder
		if _, err := conn.PgConn().CopyTo(t.Context(), &data, "COPY (SELECT * FROM "+table+") TO STDOUT (FORMAT binary)"); err != nil {
			t.Fatal(err)
		}
		found.Search("the table "+table, []byte(data.String()))
	}
}

// searchDuckDB reads every table of a DuckDB file, whose blocks are compressed.
func searchDuckDB(t *testing.T, path string, found *canarytest.Finder) {
	t.Helper()
	db, err := sql.Open("duckdb", path+"?access_mode=READ_ONLY")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT format('"{}"."{}"', schema_name, table_name) FROM duckdb_tables()`)
	if err != nil {
		t.Fatal(err)
	}
	tables := scanned(t, rows)
	if len(tables) < 5 {
		t.Fatalf("%d tables", len(tables))
	}
	for _, table := range tables {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table[0].(string))
		if err != nil {
			t.Fatal(err)
		}
		var data strings.Builder
		for _, row := range scanned(t, rows) {
			for _, value := range row {
				if blob, ok := value.([]byte); ok {
					data.Write(blob)
				} else {
					fmt.Fprint(&data, value)
				}
				data.WriteByte('\n')
			}
		}
		found.Search("the table "+table[0].(string), []byte(data.String()))
	}
}

func scanned(t *testing.T, rows *sql.Rows) (all [][]any) {
	t.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
