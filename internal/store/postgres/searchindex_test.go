package postgres

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// runScript runs a script of psql's: statements, some of which write others.
func runScript(t *testing.T, s *Store, script string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(script) {
		if !strings.HasPrefix(line, "--") {
			lines = append(lines, line)
		}
	}
	for part := range strings.SplitSeq(strings.Join(lines, ""), "\\gexec") {
		statements := strings.Split(part, ";")
		writer := strings.TrimSpace(statements[len(statements)-1])
		for _, statement := range statements[:len(statements)-1] {
			mustExec(t, s, statement)
		}
		if writer == "" {
			continue
		}
		rows, err := s.pool.Query(t.Context(), writer)
		if err != nil {
			t.Fatal(err)
		}
		written, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", writer, err)
		}
		for _, statement := range written {
			mustExec(t, s, statement)
		}
	}
}

// TestSearchIndex runs the handbook's script: searches find the same by the
// index, of days that were there and of such that come later.
func TestSearchIndex(t *testing.T) {
	script, err := os.ReadFile("../../../docs/operations/postgresql-search-index.sql")
	if err != nil {
		t.Fatal(err)
	}
	e := openExplaining(t)
	search := func(needle string) (found []audit.ID) {
		t.Helper()
		view, err := e.View(t.Context(), query.ClusterWide(), store.ViewRequest{
			Filter: query.Filter{Search: needle}, Window: query.Window{From: audit.Day(testNow).AddDate(0, 0, -3), To: testNow}, Limit: store.MaxPage,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range view.Events {
			found = append(found, view.Events[i].ID)
		}
		return found
	}
	e.scans(t)
	before := search("NAME-4711")
	if how, _ := e.scans(t); !strings.HasPrefix(how["audit_rows_20260311"], "Seq Scan") || len(before) == 0 {
		t.Fatalf("without the index, %d events are found by %v", len(before), how)
	}
	for range 2 {
		runScript(t, e.Store, string(script))
	}
	mustExec(t, e.Store, "ANALYZE audit_rows")
	e.scans(t)
	after := search("NAME-4711")
	how, _ := e.scans(t)
	for _, day := range []string{"_20260311", "_20260312", "_20260313"} {
		if !strings.Contains(how["audit_rows"+day+"_search"], "Bitmap Index Scan") || strings.Contains(how["audit_rows"+day], "Seq Scan") {
			t.Errorf("audit_rows%s is read by %s", day, how["audit_rows"+day])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d events are found with the index, %d without", len(after), len(before))
	}
	mustExec(t, e.Store, "SELECT audit_create_day('2026-03-15')")
	if n := ask[int](t, e.Store, "SELECT count(*) FROM pg_index i JOIN pg_inherits a ON a.inhrelid = i.indexrelid WHERE a.inhparent = 'audit_rows_search'::regclass AND i.indisvalid"); n != 5 {
		t.Errorf("%d days have the index, want 5", n)
	}
}
