package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// target is what is connected to, as errors name it.
type target struct {
	servers  string // host:port, several with commas
	user     string
	database string
}

func targetOf(config *pgx.ConnConfig) target {
	t := target{user: config.User, database: config.Database}
	servers := []string{address(config.Host, config.Port)}
	for _, other := range config.Fallbacks {
		servers = append(servers, address(other.Host, other.Port))
	}
	t.servers = strings.Join(slices.Compact(servers), ", ")
	if t.database == "" {
		t.database = t.user // as the server has it
	}
	return t
}

func address(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// explained is an error of the driver's, in words that say what to do. It does
// not wrap what holds the connection's settings, the password among them.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

// explain says what is wrong and what to do about it. What it doesn't know it
// returns as it is, and so a caller's cancellation.
func (t target) explain(err error) error {
	var connecting *pgconn.ConnectError
	if !errors.As(err, &connecting) {
		if text := t.describe(err); text != "" && !isContext(err) {
			return &explained{text: text, cause: err}
		}
		return err
	}
	var texts []string
	var causes []error
	refusedTLS := ""
	for _, attempt := range attempts(connecting.Unwrap()) {
		text := t.describe(attempt)
		if text == "" {
			text = fmt.Sprintf("can't connect to PostgreSQL at %s: %v", t.servers, attempt)
		}
		causes = append(causes, attempt)
		// Where sslmode lets both be tried, the other failure says more.
		if isTLSRefused(attempt) {
			refusedTLS = text
		} else if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		texts = append(texts, refusedTLS)
	}
	return &explained{text: strings.Join(texts, "; "), cause: errors.Join(causes...)}
}

// attempts returns what became of each address that was tried.
func attempts(err error) []error {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return []error{err}
	}
	var all []error
	for _, one := range several.Unwrap() {
		all = append(all, attempts(one)...)
	}
	return all
}

// describe returns no text for what it does not know.
func (t target) describe(err error) string {
	var unfit errUnfit
	var server *pgconn.PgError
	switch {
	case errors.As(err, &unfit):
		return fmt.Sprintf("PostgreSQL at %s %s", t.servers, unfit.problem)
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		return t.readOnly()
	case errors.As(err, &server):
		return t.describeServer(server)
	case isTLSRefused(err):
		return fmt.Sprintf("PostgreSQL at %s offers no TLS, which sslmode asks for: turn it on there (ssl = on)", t.servers)
	}
	if text := t.describeTLS(err); text != "" {
		return text
	}
	return t.describeNetwork(err)
}

func (t target) readOnly() string {
	return fmt.Sprintf("PostgreSQL at %s takes no writes: it is a standby or set to read only; name the primary, or all servers with commas between them", t.servers)
}

// describeServer is for what the server says itself.
func (t target) describeServer(err *pgconn.PgError) string {
	switch err.Code {
	case pgerrcode.InvalidPassword:
		return fmt.Sprintf("PostgreSQL at %s refuses the password of the role %q: check the password file, PGPASSWORD or the URL", t.servers, t.user)
	case pgerrcode.InvalidAuthorizationSpecification:
		return fmt.Sprintf("PostgreSQL at %s does not let the role %q in: %s; check the role, sslmode and pg_hba.conf", t.servers, t.user, err.Message)
	case pgerrcode.InvalidCatalogName:
		return fmt.Sprintf("PostgreSQL at %s has no database %q: make it with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8', or name another", t.servers, t.database)
	case pgerrcode.InsufficientPrivilege:
		return fmt.Sprintf("the role %q lacks a right in the database %q: %s; grant it, as docs/operations/postgresql.md says", t.user, t.database, err.Message)
	case pgerrcode.ReadOnlySQLTransaction:
		return t.readOnly()
	case pgerrcode.TooManyConnections:
		return fmt.Sprintf("PostgreSQL at %s has no connection left: %s; raise max_connections, or lower pool_max_conns in the URL of each replica", t.servers, err.Message)
	case pgerrcode.CannotConnectNow, pgerrcode.AdminShutdown, pgerrcode.CrashShutdown:
		return fmt.Sprintf("PostgreSQL at %s is starting or ending: %s", t.servers, err.Message)
	case pgerrcode.DiskFull:
		return fmt.Sprintf("PostgreSQL at %s has no space left: %s", t.servers, err.Message)
	case pgerrcode.QueryCanceled:
		return fmt.Sprintf("PostgreSQL at %s ended a statement: %s", t.servers, err.Message)
	case pgerrcode.ProtocolViolation:
		if strings.Contains(err.Message, "startup parameter") {
			return fmt.Sprintf("what answers at %s is a pooler that takes no session settings (%s): connect to PostgreSQL itself", t.servers, err.Message)
		}
	}
	return ""
}

// isTLSRefused knows the error by its text: the driver has no name for it.
func isTLSRefused(err error) bool {
	return err != nil && strings.Contains(err.Error(), "server refused TLS connection")
}

func (t target) describeTLS(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("the certificate of PostgreSQL at %s is not signed by who is trusted: give its authority's certificate as sslrootcert", t.servers)
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate of PostgreSQL at %s is for another name: %v; connect by a name that it holds", t.servers, name)
	case errors.As(err, &invalid):
		return fmt.Sprintf("the certificate of PostgreSQL at %s is not valid: %v", t.servers, invalid)
	}
	return ""
}

// describeNetwork is for connections that were not made, or lost.
func (t target) describeNetwork(err error) string {
	var lookup *net.DNSError
	var network net.Error
	var operation *net.OpError
	where := t.servers
	if errors.As(err, &operation) && operation.Addr != nil {
		where = operation.Addr.String()
	}
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fmt.Sprintf("PostgreSQL's host %q is not known: check the URL or PGHOST", lookup.Name)
	case errors.As(err, &lookup):
		return fmt.Sprintf("PostgreSQL's host %q can't be looked up: %s", lookup.Name, lookup.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("PostgreSQL does not listen at %s: check host and port, and whether it runs", where)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Sprintf("PostgreSQL does not listen at %s: check PGHOST, and whether it runs", where)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return fmt.Sprintf("PostgreSQL at %s can't be reached: there is no route to it", where)
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("PostgreSQL at %s does not answer in time: check host, port and network policies", where)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, pgconn.ErrConnClosed), errors.Is(err, net.ErrClosed):
		return fmt.Sprintf("the connection to PostgreSQL at %s was lost: %v", where, err)
	}
	return ""
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
