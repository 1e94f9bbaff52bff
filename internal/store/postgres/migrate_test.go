package postgres

import (
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// TestMigrateRefusesCitus migrates a database that has the extension: what it
// says names the extension, and nothing is made.
func TestMigrateRefusesCitus(t *testing.T) {
	url := postgrestest.Shared(t).Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	// As CREATE EXTENSION leaves it, which needs the extension's files.
	if _, err := conn.Exec(t.Context(), `INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
		SELECT 99999, 'citus', extowner, extnamespace, false, '13.0-1' FROM pg_extension WHERE extname = 'plpgsql'`); err != nil {
		t.Fatal(err)
	}
	err = Migrate(t.Context(), url, logr.Discard())
	if err == nil || !strings.Contains(err.Error(), "has the extension citus") {
		t.Errorf("Migrate = %v, want it to refuse the extension", err)
	}
	var tables int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_class WHERE relname LIKE 'audit_%'").Scan(&tables); err != nil || tables > 0 {
		t.Errorf("%d tables were made, %v", tables, err)
	}
}
