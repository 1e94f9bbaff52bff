package process

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

func TestMigrate(t *testing.T) {
	server := postgrestest.Shared(t)
	database := server.Database(t)
	first := process(t, nil, 0, "migrate", "--store="+database).err
	for _, want := range []string{"Migrating the database \"test_", "msg=\"Applied a migration\" file=00001_events.sql", "The schema is the one that version dev needs.\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("the command does not say %q:\n%s", want, first)
		}
	}
	if again := process(t, nil, 0, "migrate", "--store="+database).err; strings.Contains(again, "Applied") {
		t.Errorf("the second time something was applied:\n%s", again)
	}

	// Two Jobs at once, by the PG* variables and the password file.
	together := parsed(t, server.Database(t))
	password, _ := together.User.Password()
	file := filepath.Join(t.TempDir(), "pgpass")
	escaped := strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(password)
	if err := os.WriteFile(file, fmt.Appendf(nil, "*:*:*:*:%s\n", escaped), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"PGHOST": together.Hostname(), "PGPORT": together.Port(), "PGUSER": together.User.Username(),
		"PGDATABASE": strings.TrimPrefix(together.Path, "/"), "PGPASSFILE": file, "PGSSLMODE": "prefer",
	} {
		t.Setenv(name, value)
	}
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			code, got := start(t, nil, "migrate")
			if code != 0 {
				return fmt.Errorf("code %d: %s", code, got.err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}

	if got := process(t, nil, 1, "migrate", "--store="+database, "--operator-role=nobody").err; !strings.Contains(got, `role "nobody" does not exist: make it first`) {
		t.Errorf("for a role that does not exist the command says %q", got)
	}

	// What failed is told with what to do, and without the password.
	wrong := parsed(t, database)
	wrong.User = url.UserPassword(wrong.User.Username(), "s3cret")
	got := process(t, nil, 1, "migrate", "--store="+wrong.String()).err
	if !strings.Contains(got, "check the password file, PGPASSWORD or the URL\nNothing is half done: run the same command again") {
		t.Errorf("with a wrong password the command says %q", got)
	}
	if strings.Contains(got, "s3cret") {
		t.Errorf("the command tells the password: %q", got)
	}
}

func parsed(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the test server's URL is malformed") // the error would hold its password
	}
	return u
}
