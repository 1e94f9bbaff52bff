package postgres

import (
	"crypto/rand"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// roled is a migrated database, by the roles that come to it.
type roled struct {
	Roles
	owner, operator, reader string // URLs
}

func newRoled(t *testing.T) roled {
	t.Helper()
	server := postgrestest.Shared(t)
	// The names have to be quoted, in statements and in URLs.
	prefix := "test-" + strings.ToLower(rand.Text()) + ` "`
	names := map[string]string{"owner": prefix + "owner", "operator": prefix + "operator", "reader": prefix + "reader"}
	for _, name := range names {
		role := pgx.Identifier{name}.Sanitize()
		server.Exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD 'pw'")
		t.Cleanup(func() { server.Exec(t, "DROP ROLE "+role) }) // after its database
	}
	database, err := url.Parse(server.Database(t))
	if err != nil {
		t.Fatal("the test server's URL is malformed")
	}
	name := strings.TrimPrefix(database.Path, "/")
	server.Exec(t, "ALTER DATABASE "+name+" OWNER TO "+pgx.Identifier{names["owner"]}.Sanitize())
	server.Exec(t, "REVOKE ALL ON DATABASE "+name+" FROM PUBLIC") // as a cautious administrator does
	server.Exec(t, "GRANT CONNECT ON DATABASE "+name+" TO "+pgx.Identifier{names["operator"]}.Sanitize()+", "+pgx.Identifier{names["reader"]}.Sanitize())
	as := func(role string) string {
		u := *database
		u.User = url.UserPassword(names[role], "pw")
		return u.String()
	}
	r := roled{Roles{names["operator"], names["reader"]}, as("owner"), as("operator"), as("reader")}
	if err := Migrate(t.Context(), r.owner, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	return r
}

// newRole makes a role of the shared server, whose name has to be quoted in
// statements and URLs. It goes with the test, after its databases.
func newRole(t *testing.T) string {
	t.Helper()
	name := "test-" + strings.ToLower(rand.Text()) + ` "role"`
	role := pgx.Identifier{name}.Sanitize()
	server := postgrestest.Shared(t)
	server.Exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD 'pw'")
	t.Cleanup(func() { server.Exec(t, "DROP ROLE "+role) })
	return name
}

// as is a database's URL for a role.
func as(t *testing.T, database, role string) string {
	t.Helper()
	u := parsed(t, database)
	u.User = url.UserPassword(role, "pw")
	return u.String()
}

func parsed(t *testing.T, database string) *url.URL {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal("the test server's URL is malformed") // the error would hold its password
	}
	return u
}

// refused reports whether the role may not run the statement.
func refused(t *testing.T, url, statement string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), statement)
	failed := failedStatement(err)
	if err != nil && failed == nil {
		t.Fatal(err)
	}
	return failed != nil && failed.Code == pgerrcode.InsufficientPrivilege
}

// Before it has its rights, the operator's error says who lacks one and where
// to read on; a role that does not exist is named.
func TestWithoutGrant(t *testing.T) {
	r := newRoled(t)
	_, err := Open(t.Context(), Options{URL: r.operator})
	if err == nil || !strings.Contains(err.Error(), "lacks a right") || !strings.Contains(err.Error(), "docs/operations/postgresql.md") {
		t.Errorf("without its rights the operator says: %v", err)
	}
	err = Grant(t.Context(), r.owner, Roles{Operator: "nobody"})
	if want := `grant rights to the role "nobody": role "nobody" does not exist: make it first, with CREATE ROLE`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("for a role that does not exist: %v", err)
	}
}

// The operator does all that it has to as a role that can't change what it has
// stored, and a reader sees events and nothing else.
func TestGrant(t *testing.T) {
	r := newRoled(t)
	for range 2 { // the second time changes nothing
		if err := Grant(t.Context(), r.owner, r.Roles); err != nil {
			t.Fatal(err)
		}
	}
	s := openAt(t, r.operator)
	batch := batchOf(plain(1, testNow), plain(2, testNow.Add(-20*24*time.Hour)))
	if got, err := s.Append(t.Context(), batch); err != nil || got.Stored != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	err := s.SaveSnapshot(t.Context(), strings.Repeat("a", 32), store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
		_, err := io.WriteString(w, "{}\n")
		return store.Manifest{ID: strings.Repeat("a", 32)}, err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.DeleteSnapshot(t.Context(), strings.Repeat("a", 32)); err != nil {
		t.Error(err)
	}
	if err := s.removeLooseBodies(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.maintain(t.Context()); err != nil {
		t.Error(err)
	}
	if dropped, err := s.Retain(t.Context(), testNow.Add(-10*24*time.Hour)); err != nil || len(dropped) != 1 {
		t.Errorf("dropped %v, %v", dropped, err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}

	for _, statement := range []string{
		"UPDATE audit_rows SET path = ''", "DELETE FROM audit_rows", "TRUNCATE audit_rows", "UPDATE audit_raw SET blob = ''",
		"UPDATE audit_kinds SET verb = 'get'", "UPDATE audit_snapshots SET manifest = '{}'", "UPDATE audit_snapshot_parts SET data = ''",
		"DELETE FROM audit_actors", "UPDATE audit_actors SET last_day = '2000-01-01'", "INSERT INTO audit_actors (id) VALUES (1)",
		"SELECT setval('audit_dictionary_id', 1)", "DELETE FROM audit_days", "SELECT audit_forget_day(current_date + 1)", "UPDATE audit_key SET key = sha256('')", "DELETE FROM audit_key", "DROP TABLE audit_rows", "CREATE TABLE mine ()", "DELETE FROM audit_schema_version",
	} {
		if !refused(t, r.operator, statement) {
			t.Errorf("the operator may %s", statement)
		}
	}
	if refused(t, r.reader, "SELECT * FROM audit_events, audit_sources LIMIT 1") {
		t.Error("a reader may not read events")
	}
	for _, statement := range []string{
		"SELECT FROM audit_raw", "SELECT FROM audit_quarantine", "SELECT FROM audit_snapshot_parts", "SELECT FROM audit_key", "SELECT audit_import_key(sha256(''))",
		"INSERT INTO audit_days VALUES (now())", "SELECT audit_forget_day('2026-03-14')", "SELECT audit_drop_forgotten_day()", "CREATE TABLE mine ()",
	} {
		if !refused(t, r.reader, statement) {
			t.Errorf("a reader may %s", statement)
		}
	}
}
