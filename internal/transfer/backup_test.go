package transfer

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// role makes a role that may log in.
func role(t *testing.T, s *postgrestest.Server) string {
	t.Helper()
	name := "role_" + strings.ToLower(rand.Text())
	s.Exec(t, "CREATE ROLE "+name+" LOGIN PASSWORD '"+name+"'")
	t.Cleanup(func() { s.Exec(t, "DROP ROLE "+name) }) // once its database is gone
	return name
}

// as is the URL of a database for a role.
func as(t *testing.T, database, role string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal("the database's URL is malformed") // the error would hold its password
	}
	u.User = url.UserPassword(role, role)
	return u.String()
}

// owned makes a database of a role and returns the role's URL of it.
func owned(t *testing.T, s *postgrestest.Server, owner string) string {
	t.Helper()
	database := s.Database(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal("the database's URL is malformed")
	}
	s.Exec(t, fmt.Sprintf("ALTER DATABASE %s OWNER TO %s", strings.TrimPrefix(u.Path, "/"), owner))
	return as(t, database, owner)
}

// migrate brings a database to the schema and gives the operator its rights.
func migrate(t *testing.T, database, operator string) {
	t.Helper()
	must(t, postgres.Migrate(t.Context(), database, discard))
	must(t, postgres.Grant(t.Context(), database, postgres.Roles{Operator: operator}))
}

// TestDump does what the handbook tells: dumps a database as its owner, restores
// it into another one, and compares, as the operator, who goes on there.
func TestDump(t *testing.T) {
	server := postgrestest.Shared(t)
	owner, operator := role(t, server), role(t, server)
	source, target := owned(t, server, owner), owned(t, server, owner)
	migrate(t, source, operator)
	from, s := openPostgres(t, postgres.Options{URL: as(t, source, operator)}), openEmbedded(t, embedded.Options{})
	filled(t, s, 400)
	mustCopy(t, s, from, Options{})
	mustAppend(t, from, generated(t, "own", now, 100))

	dump := filepath.Join(t.TempDir(), "audit.dump")
	run(t, "pg_dump", "--format=directory", "--jobs=4", "--no-owner", "--no-privileges", "--file="+dump, source)
	run(t, "pg_restore", "--exit-on-error", "--jobs=4", "--no-owner", "--dbname="+target, dump)
	migrate(t, target, operator)
	to := openPostgres(t, postgres.Options{URL: as(t, target, operator)})
	restored(t, from, to)
}

// restored compares a database with the one that it was made of.
func restored(t *testing.T, from, to *postgres.Store) {
	t.Helper()
	summary := mustCopy(t, from, to, Options{VerifyOnly: true})
	if got := summary.Total().Present; got != 2100 {
		t.Errorf("%d events were compared, want 2100", got)
	}
	if d := same(read(t, from), read(t, to)); d != "" {
		t.Errorf("restored (-want +got):\n%.4000s", d)
	}
	mustAppend(t, to, generated(t, "later", now.Add(-time.Minute), 100)) // it takes events
	if lacking, err := Copy(t.Context(), to, from, Options{VerifyOnly: true}); err != nil || lacking.Total().Missing != 100 {
		t.Errorf("the other way round %d events are missing (%v), want 100", lacking.Total().Missing, err)
	}
}

// TestBaseBackup starts a server on a base backup of another one.
func TestBaseBackup(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	source := server.Database(t)
	must(t, postgres.Migrate(t.Context(), source, discard))
	from, s := openPostgres(t, postgres.Options{URL: source}), openEmbedded(t, embedded.Options{})
	filled(t, s, 400)
	mustCopy(t, s, from, Options{})
	mustAppend(t, from, generated(t, "own", now, 100))

	backup := server.Standby(t, "backup")
	backup.CatchUp(t, server)
	backup.Promote(t)
	u, err := url.Parse(source)
	must(t, err)
	restored(t, from, openPostgres(t, postgres.Options{URL: backup.DatabaseURL(t, strings.TrimPrefix(u.Path, "/"))}))
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if dir := os.Getenv("POSTGRES_BIN"); dir != "" {
		program = filepath.Join(dir, program)
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}
