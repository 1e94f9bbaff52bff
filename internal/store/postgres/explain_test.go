package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// appPassword is that of the role app, which the errors must not hold.
const appPassword = "the-app's-s3cret"

// appURL is that of the role app, with other values in the query.
func appURL(t *testing.T, s *postgrestest.Server, database string, query ...string) string {
	t.Helper()
	u, err := url.Parse(s.DatabaseURL(t, database))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("app", appPassword)
	if len(query) > 0 {
		u.RawQuery = strings.Join(query, "&")
	}
	return u.String()
}

// TestExplain makes each mistake with a real server. No error may tell the
// password.
func TestExplain(t *testing.T) {
	s := postgrestest.Start(t, postgrestest.Options{})
	for _, sql := range []string{
		"CREATE ROLE app LOGIN PASSWORD '" + strings.ReplaceAll(appPassword, "'", "''") + "'",
		"CREATE ROLE busy LOGIN PASSWORD 'x' CONNECTION LIMIT 0",
		"CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'",
		"CREATE DATABASE closed",
		"REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
		"CREATE DATABASE frozen",
		"ALTER DATABASE frozen SET default_transaction_read_only = on",
		"CREATE TABLE public.hidden ()",
	} {
		s.Exec(t, sql)
	}
	app := appURL(t, s, "postgres")
	at := fmt.Sprintf("PostgreSQL at 127.0.0.1:%d ", s.Port())
	as := func(user, password string) string {
		return strings.Replace(app, "app:"+url.UserPassword("", appPassword).String()[1:], user+":"+password, 1)
	}
	unused := unusedAddress(t)
	for _, tt := range []struct {
		name, url string
		change    func(*pgxpool.Config)
		want      string
	}{
		{name: "the right way", url: app},
		{
			name: "unknown host", url: "postgres://app:" + appPassword + "@db.example/audit",
			change: func(c *pgxpool.Config) { c.ConnConfig.LookupFunc = noHost },
			want:   `PostgreSQL's host "db.example" is not known: check the URL or PGHOST`,
		},
		{
			name: "nobody listens", url: "postgres://app:" + appPassword + "@" + unused + "/audit",
			want: "PostgreSQL does not listen at " + unused + ": check host and port, and whether it runs",
		},
		{
			name: "no socket", url: "postgres://app:" + appPassword + "@/audit?host=/absent",
			want: "PostgreSQL does not listen at /absent/.s.PGSQL.5432: check PGHOST, and whether it runs",
		},
		{
			name: "silence", url: "postgres://app:" + appPassword + "@" + silent(t) + "/audit?connect_timeout=1",
			want: "does not answer in time: check host, port and network policies",
		},
		{
			name: "wrong password", url: as("app", "x"),
			want: at + `refuses the password of the role "app": check the password file, PGPASSWORD or the URL`,
		},
		{
			name: "no database", url: appURL(t, s, "absent"),
			want: at + `has no database "absent": make it with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8', or name another`,
		},
		{
			name: "no right to connect", url: appURL(t, s, "closed"),
			want: `the role "app" lacks a right in the database "closed": permission denied for database "closed"; grant it, as docs/operations/postgresql.md says`,
		},
		{
			name: "read only", url: appURL(t, s, "frozen"),
			want: at + "takes no writes: it is a standby or set to read only; name the primary, or all servers with commas between them",
		},
		{
			name: "no connection left", url: as("busy", "x"),
			want: at + `has no connection left: too many connections for role "busy"; raise max_connections, or lower pool_max_conns in the URL of each replica`,
		},
		{
			name: "encoding", url: appURL(t, s, "latin"),
			want: at + "encodes the database in LATIN1: make one with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'",
		},
		{
			name: "no TLS", url: appURL(t, s, "postgres", "sslmode=require"),
			want: at + "offers no TLS, which sslmode asks for: turn it on there (ssl = on)",
		},
		{
			name: "two hosts", url: strings.Replace(as("app", "x"), "127.0.0.1:", unused+",127.0.0.1:", 1),
			want: "PostgreSQL does not listen at " + unused + `: check host and port, and whether it runs; PostgreSQL at ` + unused + fmt.Sprintf(`, 127.0.0.1:%d `, s.Port()) +
				`refuses the password of the role "app": check the password file, PGPASSWORD or the URL`,
		},
		{
			name: "with and without TLS", url: strings.Replace(appURL(t, s, "absent", "sslmode=prefer"), "absent", "absent", 1),
			want: at + `has no database "absent": make it with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8', or name another`,
		},
		{
			name: "unknown setting", url: appURL(t, s, "postgres", "sslmode=disable", "no_such_setting=1"),
			want: "can't connect to " + at[:len(at)-1] + `: `,
		},
	} {
		t.Run(tt.name, func(t *testing.T) { checkExplained(t, connect(t.Context(), tt.url, tt.change), tt.want) })
	}
	t.Run("missing right", func(t *testing.T) {
		config, err := poolConfig(app)
		if err != nil {
			t.Fatal(err)
		}
		_, err = mustPool(t, app).Exec(t.Context(), "SELECT FROM hidden")
		checkExplained(t, targetOf(config.ConnConfig).explain(err),
			`the role "app" lacks a right in the database "postgres": permission denied for table hidden; grant it, as docs/operations/postgresql.md says`)
	})
	t.Run("lost connection", func(t *testing.T) {
		config, err := poolConfig(app)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := mustPool(t, app).Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		s.Kill(t)
		_, err = conn.Exec(t.Context(), "SELECT")
		checkExplained(t, targetOf(config.ConnConfig).explain(err), "the connection to "+at+"was lost: ")
	})
}

// checkExplained expects an error that begins with want or, where want begins
// elsewhere, holds it; no want is no error.
func checkExplained(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error %v, want none", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error is\n%v, want\n%s", err, want)
	}
	checkSecret(t, err)
}

// TestExplainTLS connects to a server with certificates of the test's own.
func TestExplainTLS(t *testing.T) {
	trusted, other := newAuthority(t), newAuthority(t)
	s := postgrestest.Start(t, postgrestest.Options{})
	s.Exec(t, "CREATE ROLE app LOGIN PASSWORD '"+strings.ReplaceAll(appPassword, "'", "''")+"'")
	use := func(certificate, key string) {
		t.Helper()
		s.WriteFile(t, "server.crt", certificate)
		s.WriteFile(t, "server.key", key)
		s.WriteFile(t, "pg_hba.conf", "local all all trust\nhostssl all all all scram-sha-256\nhost all postgres all scram-sha-256\n")
		s.Configure(t, map[string]string{"ssl": "on"})
		s.Restart(t)
	}
	url := func(query ...string) string { return appURL(t, s, "postgres", query...) }
	at := fmt.Sprintf("PostgreSQL at 127.0.0.1:%d ", s.Port())

	use(trusted.issue(t, time.Hour, "127.0.0.1"))
	checkExplained(t, connect(t.Context(), url("sslmode=verify-full", "sslrootcert="+trusted.file), nil), "")
	checkExplained(t, connect(t.Context(), url("sslmode=verify-full", "sslrootcert="+other.file), nil),
		"the certificate of "+at+"is not signed by who is trusted: give its authority's certificate as sslrootcert")
	checkExplained(t, connect(t.Context(), url("sslmode=disable"), nil),
		at+`does not let the role "app" in: no pg_hba.conf entry for host "127.0.0.1", user "app", database "postgres", no encryption; check the role, sslmode and pg_hba.conf`)

	use(trusted.issue(t, time.Hour, "127.0.0.2"))
	checkExplained(t, connect(t.Context(), url("sslmode=verify-ca", "sslrootcert="+trusted.file), nil), "")
	checkExplained(t, connect(t.Context(), url("sslmode=verify-full", "sslrootcert="+trusted.file), nil),
		"the certificate of "+at+"is for another name: x509: certificate is valid for 127.0.0.2, not 127.0.0.1; connect by a name that it holds")

	use(trusted.issue(t, -time.Minute, "127.0.0.1"))
	checkExplained(t, connect(t.Context(), url("sslmode=verify-full", "sslrootcert="+trusted.file), nil),
		"the certificate of "+at+"is not valid: x509: certificate has expired or is not yet valid")
}

// What only a troubled server says.
func TestExplainServer(t *testing.T) {
	to := target{servers: "db:5432", user: "app", database: "audit"}
	for _, tt := range []struct{ code, message, want string }{
		{"57P03", "the database system is starting up", "PostgreSQL at db:5432 is starting or ending: the database system is starting up"},
		{"57P01", "terminating connection due to administrator command", "PostgreSQL at db:5432 is starting or ending: terminating connection due to administrator command"},
		{"53100", "could not extend file", "PostgreSQL at db:5432 has no space left: could not extend file"},
		{"25006", "cannot execute INSERT in a read-only transaction", "PostgreSQL at db:5432 takes no writes: it is a standby or set to read only; name the primary, or all servers with commas between them"},
		{"08P01", "unsupported startup parameter: statement_timeout", "what answers at db:5432 is a pooler that takes no session settings (unsupported startup parameter: statement_timeout): connect to PostgreSQL itself"},
		{"22012", "division by zero", "ERROR: division by zero (SQLSTATE 22012)"},
	} {
		cause := &pgconn.PgError{Severity: "ERROR", Code: tt.code, Message: tt.message}
		err := to.explain(fmt.Errorf("write: %w", cause))
		if !strings.HasSuffix(err.Error(), tt.want) || !errors.Is(err, cause) {
			t.Errorf("%s: %v, want %s, which wraps the cause", tt.code, err, tt.want)
		}
	}
	for _, err := range []error{nil, context.Canceled, fmt.Errorf("read: %w", context.DeadlineExceeded)} {
		if got := to.explain(err); got != err { //nolint:errorlint // the very same
			t.Errorf("%v became %v", err, got)
		}
	}
}

func noHost(_ context.Context, host string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// silent is the address of what takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{certificate: template, key: key, file: filepath.Join(t.TempDir(), "ca.crt")}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue returns a certificate for an address, and its key.
func (a *authority) issue(t *testing.T, validFor time.Duration, ip string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validFor), IPAddresses: []net.IP{net.ParseIP(ip)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}))
}
