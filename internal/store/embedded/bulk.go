package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// bulk is the committer's connection for writing. It uses DuckDB's C API below
// database/sql, whose appender takes rows one by one in the goroutine that
// commits; here the goroutines that append have made chunks of them before.
type bulk struct {
	db       mapping.Database
	conn     mapping.Connection
	prepared map[string]mapping.PreparedStatement
}

// openBulk connects to the database that openDatabase has opened.
func openBulk(dir string) (*bulk, error) {
	b := &bulk{prepared: map[string]mapping.PreparedStatement{}}
	var config mapping.Config
	if mapping.CreateConfig(&config) == mapping.StateError {
		return nil, errors.New("connect to the database: no memory for its options")
	}
	defer mapping.DestroyConfig(&config)
	// What NewConnector sets: an instance is shared among those of one configuration.
	for name, value := range map[string]string{"duckdb_api": "go", "storage_compatibility_version": storageVersion} {
		if mapping.SetConfig(config, name, value) == mapping.StateError {
			return nil, fmt.Errorf("connect to the database: the option %s=%s is not known", name, value)
		}
	}
	var problem string
	if mapping.GetOrCreateFromCache(duckdb.GetInstanceCache(), filepath.Join(dir, DatabaseFile), &b.db, config, &problem) == mapping.StateError {
		return nil, fmt.Errorf("connect to the database: %s", problem)
	}
	if mapping.Connect(b.db, &b.conn) == mapping.StateError {
		mapping.Close(&b.db)
		return nil, errors.New("connect to the database: it takes no connection")
	}
	return b, nil
}

func (b *bulk) close() {
	if b == nil {
		return
	}
	for _, statement := range b.prepared {
		mapping.DestroyPrepare(&statement)
	}
	mapping.Disconnect(&b.conn)
	mapping.Close(&b.db)
}

// run runs a statement that is not to be kept prepared.
func (b *bulk) run(text string) error {
	var result mapping.Result
	defer mapping.DestroyResult(&result)
	if mapping.Query(b.conn, text, &result) == mapping.StateError {
		return resultError(&result)
	}
	return nil
}

// number runs a statement that returns one BIGINT.
func (b *bulk) number(text string) (int64, error) {
	var result mapping.Result
	defer mapping.DestroyResult(&result)
	if mapping.Query(b.conn, text, &result) == mapping.StateError {
		return 0, resultError(&result)
	}
	first := mapping.FetchChunk(result)
	defer mapping.DestroyDataChunk(&first)
	if mapping.DataChunkGetSize(first) != 1 {
		return 0, errors.New("a statement that returns one number returned another number of rows")
	}
	return *(*int64)(mapping.VectorGetData(mapping.DataChunkGetVector(first, 0))), nil
}

func resultError(r *mapping.Result) error {
	return &duckdb.Error{Type: duckdb.ErrorType(mapping.ResultErrorType(r)), Msg: mapping.ResultError(r)}
}

// exec runs a statement, whose arguments are int64 and string, and keeps it
// prepared for the next time.
func (b *bulk) exec(text string, args ...any) error {
	statement, known := b.prepared[text]
	if !known {
		if mapping.Prepare(b.conn, text, &statement) == mapping.StateError {
			defer mapping.DestroyPrepare(&statement)
			return fmt.Errorf("prepare a statement: %s", mapping.PrepareError(statement))
		}
		b.prepared[text] = statement
	}
	for i, arg := range args {
		state := mapping.StateError
		switch v := arg.(type) {
		case int64:
			state = mapping.BindInt64(statement, mapping.IdxT(i+1), v)
		case string:
			state = mapping.BindVarcharLength(statement, mapping.IdxT(i+1), v, mapping.IdxT(len(v)))
		}
		if state == mapping.StateError {
			return fmt.Errorf("bind argument %d of a statement: %T", i+1, arg)
		}
	}
	return execute(statement)
}

// idleWait is how long execute leaves the processor to others.
const idleWait = 50 * time.Microsecond

// execute runs a prepared statement. DuckDB may run it in a thread of its own,
// and its own way of waiting for that is to ask again and again: while a commit
// is synced, that is most of a processor.
func execute(statement mapping.PreparedStatement) error {
	var pending mapping.PendingResult
	defer mapping.DestroyPending(&pending)
	if mapping.PendingPrepared(statement, &pending) == mapping.StateError {
		return fmt.Errorf("begin a statement: %s", mapping.PendingError(pending))
	}
	for state := mapping.PendingStateResultNotReady; !mapping.PendingExecutionIsFinished(state); {
		if state = mapping.PendingExecuteTask(pending); state == mapping.PendingStateNoTasksAvailable {
			<-time.After(idleWait)
		}
	}
	var result mapping.Result
	defer mapping.DestroyResult(&result)
	if mapping.ExecutePending(pending, &result) == mapping.StateError {
		return resultError(&result)
	}
	return nil
}

// inTransaction runs fn between BEGIN and COMMIT.
func (b *bulk) inTransaction(fn func() error) error {
	if err := b.exec("BEGIN TRANSACTION"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		err = b.exec("COMMIT")
	}
	if err != nil {
		// Without effect when the commit itself failed, which rolls back.
		_ = b.exec("ROLLBACK")
	}
	return err
}

// fill adds copies of chunks to a table.
func (b *bulk) fill(table string, chunks []*chunk) (err error) {
	var appender mapping.Appender
	defer func() {
		// Freeing an appender that failed reports its failure once more.
		if mapping.AppenderDestroy(&appender) == mapping.StateError && err == nil {
			err = errors.New("close the appender")
		}
	}()
	if mapping.AppenderCreateExt(b.conn, "", "", table, &appender) == mapping.StateError {
		return appenderError(appender)
	}
	for _, c := range chunks {
		mapping.DataChunkSetSize(c.data, mapping.IdxT(c.rows))
		if mapping.AppendDataChunk(appender, c.data) == mapping.StateError {
			return appenderError(appender)
		}
	}
	if mapping.AppenderFlush(appender) == mapping.StateError {
		err := appenderError(appender)
		mapping.AppenderClear(appender)
		return err
	}
	return nil
}

func appenderError(a mapping.Appender) error {
	data := mapping.AppenderErrorData(a)
	defer mapping.DestroyErrorData(&data)
	return &duckdb.Error{Type: duckdb.ErrorType(mapping.ErrorDataErrorType(data)), Msg: mapping.ErrorDataMessage(data)}
}
