package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// DuckDB folds its log into the file at the first commit beyond
// checkpointThreshold at which nobody reads. With reads that overlap there is no
// such commit, and the log grows: on the disk, and in the time that a start takes.
const (
	// logMost is the size of the log, in bytes, from which on reads are held up
	// for a checkpoint.
	logMost = 256 << 20
	// readPatience is how long those that run then may go on.
	readPatience = time.Second
	// checkpointAgain is when it is tried again where it could not be made.
	checkpointAgain = 10 * time.Second
)

// logSize is the size of DuckDB's log; 0 where there is none.
func logSize(dir string) int64 {
	info, err := os.Stat(filepath.Join(dir, DatabaseFile+".wal"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// askForCheckpoint tells checkpoints that the log is too long. The committer
// calls it, and goes on.
func (s *Store) askForCheckpoint() {
	if logSize(s.opts.Dir) < s.logMost {
		return
	}
	select {
	case s.logLong <- struct{}{}:
	default: // it knows
	}
}

// checkpoints makes room for a checkpoint each time that the log is too long,
// until ctx ends.
func (s *Store) checkpoints(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.logLong:
		}
		err := s.checkpointAlone()
		if err == nil {
			continue
		}
		s.log.Error(err, "Could not fold the database's log into its file; tried again")
		select {
		case <-ctx.Done():
			return
		case <-time.After(checkpointAgain): // others may read meanwhile
		}
	}
}

// checkpointAlone makes a checkpoint while nobody reads. A backup, which reads
// what it began with, is let finish: the log grows meanwhile.
func (s *Store) checkpointAlone() error {
	if s.readers.backedUp() {
		return nil
	}
	release := s.readers.hold()
	defer release()
	ended, alone := s.readers.drain(readPatience)
	s.opts.Metrics.ended(ended)
	if ended > 0 {
		s.log.Info("Ended reads that kept the database's log from being folded into its file", "reads", ended)
	}
	if !alone {
		return errors.New("a read does not end")
	}
	var failure error
	err := s.commit(context.Background(), &job{run: func() { failure = s.checkpoint() }})
	return errors.Join(err, failure)
}

// checkpoint is the committer's part.
func (s *Store) checkpoint() error {
	w := &s.writer
	if w.broken || logSize(w.dir) < s.logMost { // restore reads the log, or a commit has made one
		return nil
	}
	err := w.bulk.run("CHECKPOINT")
	if err == nil {
		err = w.undo.keep(context.Background(), w.conn)
	}
	if err == nil {
		return nil
	}
	var refused *duckdb.Error
	if !errors.As(err, &refused) || refused.Type != duckdb.ErrorTypeTransaction {
		w.broken = true // it stands halfway
	}
	return fmt.Errorf("make a checkpoint: %w", err)
}

// isOutOfMemory reports whether DuckDB lacked memory. Its words alone tell,
// since a commit that fails has them in another error's.
func isOutOfMemory(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return slices.ContainsFunc([]string{"Out of Memory Error", "could not allocate block", "failed to allocate data", "failed to pin block"},
		func(words string) bool { return strings.Contains(text, words) })
}

// writeAlone writes a group once more, for which there was no memory, while
// nobody reads: all that DuckDB may take is the committer's then.
func (s *Store) writeAlone(ctx context.Context, group []*job) error {
	release := s.readers.hold()
	defer release()
	ended, _ := s.readers.drain(0)
	s.opts.Metrics.ended(ended)
	s.log.Info("A commit lacked memory; tried again after reads were ended", "reads", ended)
	return s.write(ctx, group)
}
