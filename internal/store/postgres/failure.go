package postgres

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
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

// valueErrors are the data exceptions that a value itself causes: its length,
// its range, its form or its characters. The others of class 22 are about how
// the store and the server speak with each other.
var valueErrors = []string{
	pgerrcode.StringDataRightTruncationDataException, pgerrcode.NumericValueOutOfRange, pgerrcode.InvalidDatetimeFormat,
	pgerrcode.DatetimeFieldOverflow, pgerrcode.CharacterNotInRepertoire, pgerrcode.InvalidTextRepresentation,
	pgerrcode.InvalidBinaryRepresentation, pgerrcode.UntranslatableCharacter,
}

// isDataError reports whether an error may be about what was to be written, so
// that the rest of it can be written without. Of constraints and limits it is
// only where the server names what was violated: one that has no partition for
// a row says check_violation too, and one that is out of transaction numbers
// says program_limit_exceeded. What the server lacks (a table, a partition, a
// function, a right, room, a setting) is never a value's fault.
func isDataError(err error) bool {
	failed := failedStatement(err)
	if failed == nil {
		return false
	}
	switch failed.Code {
	case pgerrcode.CheckViolation:
		return failed.ConstraintName != ""
	case pgerrcode.ProgramLimitExceeded: // a value too long for an index, which is named
		return failed.TableName != "" && failed.ConstraintName != ""
	}
	return slices.Contains(valueErrors, failed.Code)
}

// isAway reports whether an error is about the server: it is gone or ends, has
// no room, takes no writes, gives no right, or lacks what the store needs of it.
func isAway(err error) bool {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		return true
	}
	if failed := failedStatement(err); failed != nil {
		return pgerrcode.IsConnectionException(failed.Code) || pgerrcode.IsInsufficientResources(failed.Code) ||
			pgerrcode.IsOperatorIntervention(failed.Code) || pgerrcode.IsSystemError(failed.Code) ||
			pgerrcode.IsConfigurationFileError(failed.Code) || pgerrcode.IsInternalError(failed.Code) || isLacking(failed) ||
			failed.Code == pgerrcode.ReadOnlySQLTransaction || failed.Code == pgerrcode.InsufficientPrivilege
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed)
}

// isLacking reports whether a server has not what a statement names.
func isLacking(failed *pgconn.PgError) bool {
	switch failed.Code {
	case pgerrcode.UndefinedTable, pgerrcode.UndefinedFunction, pgerrcode.UndefinedColumn, pgerrcode.UndefinedObject,
		pgerrcode.UndefinedFile, pgerrcode.InvalidSchemaName, pgerrcode.ObjectNotInPrerequisiteState:
		return true
	}
	return isMissingPartition(failed)
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
// again: it met another one, waited too long for a lock, or a day went.
func isPassing(err error) bool {
	failed := failedStatement(err)
	return errors.Is(err, errDayGone) || failed != nil && (failed.Code == pgerrcode.SerializationFailure ||
		failed.Code == pgerrcode.DeadlockDetected || failed.Code == pgerrcode.LockNotAvailable || isMissingPartition(failed))
}

// isMissingPartition tells a row of a day that does not exist from one that a
// constraint refuses, whose name is given. Not every server names the table.
func isMissingPartition(failed *pgconn.PgError) bool {
	return failed.Code == pgerrcode.CheckViolation && failed.ConstraintName == ""
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
