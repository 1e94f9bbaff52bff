package config_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// backend is where a scenario's operator keeps its events.
type backend struct {
	installation string
	flags        func(dir string) []string // dir is the one that it may write to
	env          []string
	hasSnapshot  func(s *scenario, id string) bool
}

func newEmbedded(*testing.T) backend {
	return backend{
		installation: "default",
		flags:        func(dir string) []string { return []string{"--data-dir=" + dir} },
		hasSnapshot: func(s *scenario, id string) bool {
			files, _ := filepath.Glob(filepath.Join(s.dir, "snapshots", id+".*"))
			return len(files) > 0
		},
	}
}

// newPostgres prepares a server as the handbook says, with the roles that it
// names, and runs the migration as the Job does.
func newPostgres(t *testing.T) backend {
	t.Helper()
	const installation, passwords = "overlays/postgres", "pass:word"
	server := postgrestest.Start(t, postgrestest.Options{})
	for _, statement := range []string{
		"CREATE ROLE audit_owner LOGIN PASSWORD '" + passwords + "'",
		"CREATE ROLE audit_operator LOGIN PASSWORD '" + passwords + "'",
		"CREATE DATABASE audit OWNER audit_owner TEMPLATE template0 ENCODING 'UTF8'",
	} {
		server.Exec(t, statement)
	}
	objects := build(t, installation)
	all := templates(t, objects)
	at, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal("the test server's URL is malformed")
	}
	passFile := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(passFile, []byte(`*:*:*:audit_operator:pass\:word`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// What differs from a cluster: the server, its TLS, and where a Secret lies.
	here := map[string]string{"PGHOST": at.Hostname(), "PGPORT": at.Port(), "PGSSLMODE": "disable", "PGSSLROOTCERT": "", "PGPASSFILE": passFile}
	environment := func(workload string, secrets map[string]string) (env []string) {
		container := all[workload].Spec.Containers[0]
		values := settings(t, objects, container.EnvFrom[0].ConfigMapRef.Name)
		for _, e := range container.Env {
			values[e.Name] = e.Value
		}
		for _, more := range []map[string]string{here, secrets} {
			for name, value := range more {
				if _, given := values[name]; given {
					values[name] = value
				}
			}
		}
		for name, value := range values {
			if strings.HasPrefix(name, "PG") {
				env = append(env, name+"="+value)
			}
		}
		return env
	}

	migrate := exec.CommandContext(t.Context(), manager(t), all[operatorName+"-migrate"].Spec.Containers[0].Args...)
	migrate.Env = environment(operatorName+"-migrate", map[string]string{"PGUSER": "audit_owner", "PGPASSWORD": passwords})
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("the migration: %v\n%s", err, out)
	}
	return backend{
		installation: installation,
		flags:        func(string) []string { return nil },
		env:          environment(operatorName, nil),
		hasSnapshot: func(s *scenario, id string) bool {
			if files, err := os.ReadDir(s.dir); err != nil || len(files) > 0 {
				s.t.Errorf("the operator has written %v (%v), and has no volume", files, err)
			}
			conn, err := pgx.Connect(s.t.Context(), server.DatabaseURL(s.t, "audit"))
			if err != nil {
				s.t.Fatal(err)
			}
			defer conn.Close(s.t.Context())
			var found bool
			if err := conn.QueryRow(s.t.Context(), "SELECT EXISTS (SELECT FROM audit_snapshots WHERE id = $1)", id).Scan(&found); err != nil {
				s.t.Fatal(err)
			}
			return found
		},
	}
}

const electionRole = operatorName + "-leader"

// allowElection grants what the overlay grants beyond config/default.
func allowElection(t *testing.T) {
	t.Helper()
	granted := 0
	for _, o := range build(t, "overlays/postgres") {
		var object client.Object
		switch {
		case o.GetName() != electionRole:
			continue
		case o.GetKind() == "Role":
			object = &rbacv1.Role{}
		case o.GetKind() == "RoleBinding":
			object = &rbacv1.RoleBinding{}
		}
		convert(t, o, object)
		if err := world.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := world.admin.Delete(context.WithoutCancel(t.Context()), object); err != nil {
				t.Error(err)
			}
		})
		granted++
	}
	if granted != 2 {
		t.Fatalf("the overlay has %d objects named %s", granted, electionRole)
	}
}
