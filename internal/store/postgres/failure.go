package postgres

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/porter-dev/audit-operator/internal/store"
)

// errDayGone means that a day was dropped while events of it were on their way.
var errDayGone = errors.New("a day is not there any more")

// errUnreplicated means that a commit is durable on one machine alone.
var errUnreplicated = fmt.Errorf("a commit did not wait for its standby, because somebody cancelled it: %w", store.ErrUnavailable)

// failedStatement returns what the server said against a statement; nil when
// it said nothing, because it or the connection is gone.
func failedStatement(err error) *pgconn.PgError {
	var failed *pgconn.PgError
	if errors.As(err, &failed) {
		return failed
	}
	return nil
}

// isDataError reports whether an error is about what was to be written, so
// that the rest of it can be written without.
func isDataError(err error) bool {
	failed := failedStatement(err)
	return failed != nil && (pgerrcode.IsDataException(failed.Code) ||
		pgerrcode.IsIntegrityConstraintViolation(failed.Code) ||
		pgerrcode.IsProgramLimitExceeded(failed.Code))
}

// isAway reports whether an error is about the server: it is gone or ends, has
// no room, takes no writes or gives no right.
func isAway(err error) bool {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		return true
	}
	if failed := failedStatement(err); failed != nil {
		return pgerrcode.IsConnectionException(failed.Code) || pgerrcode.IsInsufficientResources(failed.Code) ||
			pgerrcode.IsOperatorIntervention(failed.Code) || pgerrcode.IsSystemError(failed.Code) ||
			failed.Code == pgerrcode.ReadOnlySQLTransaction || failed.Code == pgerrcode.InsufficientPrivilege
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed)
}

// explain says what is wrong, and whether it is the server: nothing else makes
// an error store.ErrUnavailable by what the driver says.
func (s *Store) explain(err error) error {
	explained := s.target.explain(err)
	if isAway(err) {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, explained)
	}
	return explained
}

// isPassing reports whether the same transaction may succeed when it is run
// again: it met another one, or a day went.
func isPassing(err error) bool {
	failed := failedStatement(err)
	return errors.Is(err, errDayGone) || failed != nil && (failed.Code == pgerrcode.SerializationFailure ||
		failed.Code == pgerrcode.DeadlockDetected || isMissingPartition(failed))
}

// isMissingPartition tells a row of a day that does not exist from one that a
// constraint refuses, whose name is given.
func isMissingPartition(failed *pgconn.PgError) bool {
	return failed.Code == pgerrcode.CheckViolation && failed.ConstraintName == "" && strings.HasPrefix(failed.TableName, "audit_")
}

// mayPass reports whether a server that can't be used now may be usable soon:
// it is away, starting, ending, a standby still, or has no connection left.
func mayPass(err error) bool {
	if failed := failedStatement(err); failed != nil {
		return pgerrcode.IsOperatorIntervention(failed.Code) || failed.Code == pgerrcode.TooManyConnections
	}
	var lookup *net.DNSError
	var operation *net.OpError
	var network net.Error
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return false
	case errors.As(err, &operation) && operation.Op == "remote error": // about TLS
		return false
	}
	return errors.As(err, &network) || errors.Is(err, pgconn.ErrReadOnlyConnection) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ENOENT)
}
