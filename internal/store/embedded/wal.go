package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/go-logr/logr"
)

// DuckDB's log is a sequence of entries: size and checksum, both uint64, and
// the entry. After a power cut its end may lack pages that no fsync covered.
// DuckDB ignores an entry that is cut short, but opens no log that holds one
// with a wrong checksum. Its words are all that it tells.
var wrongEntry = regexp.MustCompile(`Corrupt WAL file: entry at byte position (\d+) computed checksum`)

const walEntryHeader = 16

// walCommit is the entry that ends each transaction.
var walCommit = []byte("\x05\x00\x00\x00\x00\x00\x00\x00\xe7\xfe\x7d\x72\x2f\xed\x3d\x5e\x64\x00\x64\xff\xff")

// errLogDamaged means that the log holds commits that can't be read.
var errLogDamaged = errors.New("the database's log is damaged: restore a backup, or move events.duckdb.wal away to go on without the commits in it")

// cutTornLog cuts the log where opening it failed, if that is what a power cut
// left of the last commit. Only that one can be torn: each is synced before the
// next begins. What follows it was acknowledged, and the log is left as it is.
func cutTornLog(dir string, failure error, log logr.Logger) error {
	match := wrongEntry.FindStringSubmatch(failure.Error())
	if match == nil {
		return failure
	}
	path := filepath.Join(dir, "events.duckdb.wal")
	position, err := strconv.ParseInt(match[1], 10, 64)
	if err != nil || position < walEntryHeader {
		return failure
	}
	position -= walEntryHeader
	content, err := os.ReadFile(path)
	if err != nil {
		return errors.Join(failure, err)
	}
	rest := content[min(position, int64(len(content))):]
	if n := bytes.Count(rest, walCommit); n > 1 || n == 1 && !bytes.HasSuffix(rest, walCommit) {
		return fmt.Errorf("%w: %w", errLogDamaged, failure)
	}
	if err := os.Truncate(path, position); err != nil {
		return errors.Join(failure, err)
	}
	log.Info("Cut the database's log before its last commit, which is torn; unless the disk lost what was synced, it was not acknowledged", "bytes", len(rest))
	return nil
}
