package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	neturl "net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sys/unix"
)

const (
	// oldestServer is the oldest major version that the schema works with.
	oldestServer = 15
	// connectLimit is how long a server may take to answer who connects.
	connectLimit = 5 * time.Second
	// silenceLimit is how long data may stay unconfirmed until the other side
	// counts as gone: a machine without power says no goodbye.
	silenceLimit = 10 * time.Second
	// defaultMaxConns is a pool's size; the URL's pool_max_conns is another.
	defaultMaxConns = 16
)

// poolConfig reads a URL, and the PG* variables and the password file for what
// it leaves out. Its connections are to servers that take writes.
func poolConfig(url string) (*pgxpool.Config, error) {
	if err := checkURL(url); err != nil {
		return nil, err
	}
	url = withTLS(url)
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, malformed(err)
	}
	conn := config.ConnConfig
	if err := setParameters(conn.RuntimeParams); err != nil {
		return nil, err
	}
	if conn.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement || conn.StatementCacheCapacity == 0 {
		return nil, errors.New("default_query_exec_mode, statement_cache_capacity: leave them out; the store prepares its statements")
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectLimit
	}
	conn.DialFunc = dial
	conn.ValidateConnect = checkPrimary
	conn.OnPgError = keepConnection
	conn.OnNotice = noteUnreplicated
	config.BeforeConnect = func(_ context.Context, next *pgx.ConnConfig) error { return renewCredentials(url, next) }
	if !strings.Contains(url, "pool_max_conns=") {
		config.MaxConns = defaultMaxConns
	}
	if config.MaxConns < 2 {
		return nil, errors.New("pool_max_conns: give a number from 2; taking a snapshot needs two connections")
	}
	config.MaxConnLifetimeJitter = config.MaxConnLifetime / 4
	config.PingTimeout = connectLimit
	return config, nil
}

// withTLS asks for TLS and a server that proves its name where neither the URL
// nor PGSSLMODE says what is wanted: less must be written.
func withTLS(url string) string {
	base, query, _ := strings.Cut(url, "?")
	values, err := neturl.ParseQuery(query)
	switch {
	case err != nil, values.Has("sslmode"), os.Getenv("PGSSLMODE") != "": // a malformed one is refused
		return url
	case query == "":
		return base + "?sslmode=verify-full"
	}
	return strings.TrimSuffix(url, "&") + "&sslmode=verify-full"
}

// checkURL refuses a URL in which something else could be taken for the
// password, or the password for something else, which errors then told.
func checkURL(url string) error {
	rest, ok := strings.CutPrefix(url, "postgres://")
	if !ok {
		rest, ok = strings.CutPrefix(url, "postgresql://")
	}
	if !ok {
		return errors.New("the database's URL must begin with postgres://, as in postgres://user@host:5432/database")
	}
	authority, path, _ := strings.Cut(rest, "/")
	if strings.Count(authority, "@") > 1 || strings.Contains(path, "@") {
		return errors.New("the database's URL holds an @ too many: write @ in a name or password as %40, / as %2F and ? as %3F")
	}
	return nil
}

// malformed says what is wrong with a URL. What the parser says is not passed
// on, because it quotes what it was given.
func malformed(err error) error {
	var file *fs.PathError
	if errors.As(err, &file) {
		return fmt.Errorf("the database's URL or a PG* variable names a file that can't be read: %w", file)
	}
	for _, known := range []struct{ part, problem string }{
		{"invalid port", "give the port as a number from 1 to 65535"},
		{"port numbers to", "give one port, or one for each host"},
		{"target_session_attrs", "target_session_attrs: give read-write, or leave it out"},
		{"connect_timeout", "connect_timeout: give a number of seconds"},
		{"pool_", "pool_max_conns and the like: give a number from 2, or a duration like 1h"},
		{"failed to read service", "the connection service is not in its file (PGSERVICE, PGSERVICEFILE)"},
		{"sslmode is invalid", "sslmode: give disable, allow, prefer, require, verify-ca or verify-full"},
		{"failed to configure TLS", "sslrootcert, sslcert and sslkey: give PEM files, the last two together"},
		{"failed to parse as URL", "write special characters in names and passwords as %40 and the like, and a literal % as %25"},
	} {
		if strings.Contains(err.Error(), known.part) {
			return fmt.Errorf("the database's URL or a PG* variable is malformed: %s", known.problem)
		}
	}
	return errors.New("the database's URL or a PG* variable is malformed; write postgres://user@host:5432/database?sslmode=verify-full")
}

// setParameters completes what each session is set to.
func setParameters(given map[string]string) error {
	switch commit := given["synchronous_commit"]; commit {
	case "remote_apply", "on":
	case "":
		given["synchronous_commit"] = "on"
	default:
		return errors.New("synchronous_commit: give on or remote_apply; with less, what was acknowledged can be lost")
	}
	given[sessionMark] = processMark
	given["client_encoding"] = "UTF8"
	given["timezone"] = "UTC"
	for name, value := range map[string]string{
		"application_name": "audit-operator",
		// Reads have limits of their own; this one is for what escapes them.
		"statement_timeout": "5min",
		// A transaction whose client is gone holds its locks no longer.
		"idle_in_transaction_session_timeout": "1min",
		"tcp_user_timeout":                    strconv.Itoa(int(silenceLimit.Milliseconds())),
		"tcp_keepalives_idle":                 strconv.Itoa(int(silenceLimit.Seconds()) / 2),
		"tcp_keepalives_interval":             "2",
		"tcp_keepalives_count":                "3",
	} {
		if _, ok := given[name]; !ok {
			given[name] = value
		}
	}
	return nil
}

// dial notices within silenceLimit that a server is gone.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silenceLimit / 2, Interval: 2 * time.Second, Count: 3}}
	dialer.Control = func(network, _ string, raw syscall.RawConn) error {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silenceLimit.Milliseconds()))
		})
		return errors.Join(err, failed)
	}
	return dialer.DialContext(ctx, network, address)
}

// sessionMark is a setting that each session begins with. What stands between
// and does not pass settings on gives the session another server, or none.
const sessionMark = "audit.session"

// processMark is its value, in all sessions of this process.
var processMark = rand.Text()

// errPooled is what a session without its settings says.
var errPooled = errUnfit{"is behind a pooler that swallows session settings, such as synchronous_commit, so that what is acknowledged could be lost: connect to PostgreSQL itself"}

// checkSettings refuses a session that does not have what it was begun with, in
// one transaction after another.
func checkSettings(ctx context.Context, conn *pgconn.PgConn) error {
	for range 2 {
		results, err := conn.Exec(ctx, "SELECT current_setting('"+sessionMark+"', true)").ReadAll()
		switch {
		case err != nil:
			return err
		case len(results) != 1 || len(results[0].Rows) != 1 || string(results[0].Rows[0][0]) != processMark:
			return errPooled
		}
	}
	return nil
}

// errUnfit is why a server can't hold the store.
type errUnfit struct{ problem string }

func (e errUnfit) Error() string { return e.problem }

// checkPrimary refuses a connection; the next of the URL's hosts is tried then.
func checkPrimary(ctx context.Context, conn *pgconn.PgConn) error {
	if err := checkServer(conn.ParameterStatus); err != nil {
		return err
	}
	if err := checkSettings(ctx, conn); err != nil {
		return err
	}
	return pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn)
}

// checkServer looks at what a server says of itself.
func checkServer(status func(name string) string) error {
	version := status("server_version")
	digits := strings.IndexFunc(version+" ", func(r rune) bool { return r < '0' || r > '9' })
	if major, err := strconv.Atoi(version[:digits]); err == nil && major < oldestServer {
		return errUnfit{fmt.Sprintf("runs PostgreSQL %s; the store needs version %d or newer", version, oldestServer)}
	}
	if encoding := status("server_encoding"); encoding != "UTF8" {
		return errUnfit{fmt.Sprintf("encodes the database in %s: make one with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'", encoding)}
	}
	return nil
}

// keepConnection reports whether a connection is of use after an error. One
// to a server that takes no more writes makes place for one to its successor.
func keepConnection(_ *pgconn.PgConn, err *pgconn.PgError) bool {
	return err.SeverityUnlocalized != "FATAL" && err.SeverityUnlocalized != "PANIC" && err.Code != pgerrcode.ReadOnlySQLTransaction
}

// unreplicated is set in a connection's data when a commit has not waited for
// its standby.
const unreplicated = "audit.unreplicated"

// noteUnreplicated looks for a warning that comes with a commit: it is durable
// on one machine only, because somebody cancelled its wait for a standby. It
// is known by its origin, since its text is in the server's language.
func noteUnreplicated(conn *pgconn.PgConn, notice *pgconn.Notice) {
	if notice.Routine == "SyncRepWaitForLSN" {
		conn.CustomData()[unreplicated] = true
	}
}

// connectBeside makes a connection that is none of the pool's, which readers
// may have used up.
func connectBeside(ctx context.Context, pool *pgxpool.Pool) (*pgx.Conn, error) {
	config := pool.Config()
	if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, config.ConnConfig)
}

// renewCredentials reads passwords and certificates anew, whose files change
// while the operator runs.
func renewCredentials(url string, config *pgx.ConnConfig) error {
	fresh, err := pgx.ParseConfig(url)
	if err != nil {
		return malformed(err)
	}
	config.Password, config.TLSConfig, config.Fallbacks = fresh.Password, fresh.TLSConfig, fresh.Fallbacks
	return nil
}
