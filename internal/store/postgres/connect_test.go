package postgres

import (
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sys/unix"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

func mustPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	config, err := poolConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// TestSessions looks at what the server knows of a connection.
func TestSessions(t *testing.T) {
	usual := map[string]string{
		"application_name": "audit-operator", "synchronous_commit": "on", "client_encoding": "UTF8", "TimeZone": "UTC",
		"statement_timeout": "5min", "idle_in_transaction_session_timeout": "1min",
		"tcp_user_timeout": "10000", "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3",
	}
	for _, tt := range []struct {
		name, query string
		want        map[string]string
	}{
		{"usual", "", usual},
		{"the URL's own", "&application_name=mine&statement_timeout=7s&synchronous_commit=remote_apply&timezone=Asia/Tokyo",
			map[string]string{"application_name": "mine", "statement_timeout": "7s", "synchronous_commit": "remote_apply", "TimeZone": "UTC"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := mustPool(t, postgrestest.Shared(t).Database(t)+tt.query)
			got := map[string]string{}
			for name := range tt.want {
				var value string
				if err := pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value); err != nil {
					t.Fatal(err)
				}
				got[name] = value
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPoolSize(t *testing.T) {
	for query, want := range map[string]int32{"": defaultMaxConns, "?pool_max_conns=3": 3} {
		if config, err := poolConfig("postgres://" + query); err != nil || config.MaxConns != want {
			t.Errorf("%q: %d connections, %v; want %d", query, config.MaxConns, err, want)
		}
	}
}

// TestEnvironment connects with nothing but the standard variables, and a
// password file whose password changes.
func TestEnvironment(t *testing.T) {
	s := postgrestest.Start(t, postgrestest.Options{})
	s.Exec(t, "CREATE ROLE app LOGIN PASSWORD 'before'")
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "passwords")
	write := func(password string) {
		if err := os.WriteFile(file, []byte("*:*:*:app:"+password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	for name, value := range map[string]string{
		"PGHOST": u.Hostname(), "PGPORT": u.Port(), "PGUSER": "app", "PGDATABASE": "postgres", "PGPASSFILE": file, "PGSSLMODE": "disable",
	} {
		t.Setenv(name, value)
	}
	pool := mustPool(t, "postgres://")
	if err := pool.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "ALTER ROLE app PASSWORD 'after'")
	pool.Reset()
	if err := pool.Ping(t.Context()); err == nil {
		t.Error("the old password still works")
	}
	write("after")
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("after the password file has changed: %v", err)
	}
}

// TestTLSByDefault asks for TLS with a verified name unless less is written.
func TestTLSByDefault(t *testing.T) {
	for _, tt := range []struct {
		url, variable string
		verifies      bool // the server's name
		plain         bool // does without TLS
	}{
		{"postgres://db/audit", "", true, false},
		{"postgres://db/audit?pool_max_conns=3", "", true, false},
		{"postgres://db/audit?", "", true, false},
		{"postgres://", "", true, false},
		{"postgres://db/audit?sslmode=verify-full", "", true, false},
		{"postgres://db/audit?sslmode=require", "", false, false},
		{"postgres://db/audit?sslmode=disable", "", false, true},
		{"postgres://db/audit", "disable", false, true},
		{"postgres://db/audit", "verify-full", true, false},
		{"postgres://db/audit?sslmode=verify-full", "disable", true, false},
	} {
		t.Setenv("PGSSLMODE", tt.variable)
		t.Setenv("PGHOST", "db")
		config, err := poolConfig(tt.url)
		if err != nil {
			t.Errorf("%s, PGSSLMODE=%s: %v", tt.url, tt.variable, err)
			continue
		}
		tls := config.ConnConfig.TLSConfig
		if (tls == nil) != tt.plain || tls != nil && (tls.ServerName == "db" && !tls.InsecureSkipVerify) != tt.verifies {
			t.Errorf("%s, PGSSLMODE=%s: TLS %+v", tt.url, tt.variable, tls)
		}
		for _, other := range config.ConnConfig.Fallbacks {
			if other.TLSConfig == nil && !tt.plain {
				t.Errorf("%s, PGSSLMODE=%s: falls back to no TLS", tt.url, tt.variable)
			}
		}
	}
}

// TestPooler opens a store through what stands in front of the server: one
// that passes a session's settings on, and one that swallows them.
func TestPooler(t *testing.T) {
	direct := newDatabase(t)
	for name, swallow := range map[string]bool{"passes": false, "swallows": true} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(direct)
			if err != nil {
				t.Fatal("the URL is malformed")
			}
			u.Host = pooler(t, u.Host, swallow, io.Discard)
			s, err := Open(t.Context(), Options{URL: u.String()})
			if err == nil {
				defer closeStore(t, s)
			}
			if swallow != (err != nil) || swallow && !strings.Contains(err.Error(), "a pooler that swallows session settings") {
				t.Errorf("Open = %v", err)
			}
		})
	}
}

// pooler passes connections on, and of what they begin with the user and the
// database alone where it is to swallow the rest. What servers send goes to
// sent, too.
func pooler(t *testing.T, server string, swallow bool, sent io.Writer) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(client, server, swallow, sent)
		}
	}()
	return listener.Addr().String()
}

func pass(client net.Conn, server string, swallow bool, sent io.Writer) {
	defer client.Close()
	backend, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", server)
	if err != nil {
		return
	}
	defer backend.Close()
	if swallow {
		frontend := pgproto3.NewBackend(client, client)
		message, err := frontend.ReceiveStartupMessage()
		startup, ok := message.(*pgproto3.StartupMessage)
		if err != nil || !ok {
			return
		}
		for name := range startup.Parameters {
			if name != "user" && name != "database" {
				delete(startup.Parameters, name)
			}
		}
		begin, err := startup.Encode(nil)
		if err != nil {
			return
		}
		if _, err := backend.Write(begin); err != nil {
			return
		}
	}
	go func() {
		_, _ = io.Copy(backend, client)
		_ = backend.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(client, sent), backend)
}

// TestHosts connects to that of several servers which takes writes.
func TestHosts(t *testing.T) {
	primary := postgrestest.Start(t, postgrestest.Options{})
	standby := primary.Standby(t, "second")
	host := func(s *postgrestest.Server) string {
		u, err := url.Parse(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}
	both := strings.Replace(standby.URL(), host(standby), host(standby)+","+host(primary), 1)
	pool := mustPool(t, both)
	port := func() (port int) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), "SELECT inet_server_port()").Scan(&port); err != nil {
			t.Fatal(err)
		}
		return port
	}
	if got := port(); got != primary.Port() {
		t.Errorf("connected to port %d, want the primary's, %d", got, primary.Port())
	}
	primary.Kill(t)
	standby.Promote(t)
	pool.Reset() // as its users do by trying again
	if got := port(); got != standby.Port() {
		t.Errorf("after the failover connected to port %d, want %d", got, standby.Port())
	}
}

func TestDial(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []struct {
		name     string
		id, want int
	}{
		{"TCP_USER_TIMEOUT", unix.TCP_USER_TIMEOUT, 10_000}, {"TCP_KEEPIDLE", unix.TCP_KEEPIDLE, 5},
		{"TCP_KEEPINTVL", unix.TCP_KEEPINTVL, 2}, {"TCP_KEEPCNT", unix.TCP_KEEPCNT, 3},
	} {
		var got int
		var failed error
		if err := raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option.id) }); err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		if got != option.want {
			t.Errorf("%s is %d, want %d", option.name, got, option.want)
		}
	}
}

// A server that no longer takes writes loses its connections, others don't.
func TestKeepConnection(t *testing.T) {
	pool := mustPool(t, postgrestest.Shared(t).Database(t))
	for _, tt := range []struct {
		name, sql string
		kept      bool
	}{
		{"an ordinary error", "SELECT 1/0", true},
		{"a write refused", "CREATE TABLE refused ()", false},
	} {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), tt.sql); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
		if kept := !conn.Conn().IsClosed(); kept != tt.kept {
			t.Errorf("%s: kept is %t, want %t", tt.name, kept, tt.kept)
		}
		conn.Release()
	}
}

func TestCheckServer(t *testing.T) {
	for version, want := range map[string]string{
		"15.18 (Debian 15.18-0+deb12u1)": "", "18beta1": "", "devel": "",
		"14.2": "runs PostgreSQL 14.2; the store needs version 15 or newer", "9.6.24": "runs PostgreSQL 9.6.24; the store needs version 15 or newer",
	} {
		status := map[string]string{"server_version": version, "server_encoding": "UTF8"}
		got := ""
		if err := checkServer(func(name string) string { return status[name] }); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("version %s: %q, want %q", version, got, want)
		}
	}
}

func TestMalformedURL(t *testing.T) {
	for url, want := range map[string]string{
		"":                                                      "must begin with postgres://",
		"host=db user=audit":                                    "must begin with postgres://",
		"mysql://db/audit":                                      "must begin with postgres://",
		"postgres://audit:p@ss@db/audit":                        "an @ too many",
		"postgres://audit:pa/ss@db/audit":                       "an @ too many",
		"postgres://audit:p%zz@db/audit":                        "write special characters",
		"postgres://audit@db:54x/audit":                         "a number from 1 to 65535",
		"postgres://a:1,b:2,c/audit?port=1,2":                   "one for each host",
		"postgres://db?sslmode=yes":                             "sslmode: give disable",
		"postgres://db?sslrootcert=/absent":                     "open /absent: no such file",
		"postgres://db?sslcert=/dev/null":                       "the last two together",
		"postgres://db?connect_timeout=soon":                    "a number of seconds",
		"postgres://db?pool_max_conns=0":                        "a number from 2",
		"postgres://db?pool_max_conns=1":                        "a number from 2",
		"postgres://db?synchronous_commit=off":                  "give on or remote_apply",
		"postgres://db?default_query_exec_mode=simple_protocol": "default_query_exec_mode",
		"postgres://db?statement_cache_capacity=0":              "statement_cache_capacity",
		"postgres://db?target_session_attrs=x":                  "target_session_attrs: give read-write",
		"postgres://db?service=absent":                          "is not in its file",
		"postgres://db?max_protocol_version=9":                  "is malformed; write postgres://",
	} {
		if _, err := poolConfig(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

func connect(ctx context.Context, url string, change func(*pgxpool.Config)) error {
	config, err := poolConfig(url)
	if err != nil {
		return err
	}
	if change != nil {
		change(config)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	return targetOf(config.ConnConfig).explain(pool.Ping(ctx))
}
