package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
)

// errDayGone means that a day was dropped while events of it were on their way.
var errDayGone = errors.New("a day is not there any more")

// errUnreplicated means that a commit is durable on one machine alone.
var errUnreplicated = errors.New("a commit did not wait for its standby, because somebody cancelled it")

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
