package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
)

// countedTail bounds what is read of one segment to count its events: their
// number is for people, and the start waits for it.
const countedTail = 256 << 20

// errLogTorn means that DuckDB's log ended within a commit.
var errLogTorn = errors.New("the database's log ends within a commit")

// unreferenced is what was cut off the segments at the last opening.
type unreferenced struct {
	bytes, events int64
	torn          bool // the database's log was torn too
}

// logTorn reports whether DuckDB's log ends with something else than a commit.
// A crash while one is written leaves that, and so does a disk that loses what
// was synced. DuckDB passes over it without a word.
func logTorn(dir string) (bool, error) {
	file, err := os.Open(filepath.Join(dir, DatabaseFile+".wal"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	end := make([]byte, min(info.Size(), int64(len(walCommit))))
	if _, err := file.ReadAt(end, info.Size()-int64(len(end))); err != nil {
		return false, err
	}
	return !bytes.Equal(end, walCommit), nil
}

// cutSegments removes the tails and files that no commit refers to, and says
// what they were. Usually nobody was told that they are stored. If the log was
// torn as well, that is not certain.
func (w *writer) cutSegments(torn bool, log logr.Logger) error {
	w.cut = unreferenced{torn: torn}
	entries, err := os.ReadDir(filepath.Join(w.dir, "raw"))
	if err != nil {
		return fmt.Errorf("list raw segments: %w", err)
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".seg")
		date, err := time.Parse(time.DateOnly, name)
		if !ok || err != nil {
			continue // not ours
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("read raw segment: %w", err)
		}
		path := filepath.Join(w.dir, "raw", entry.Name())
		committed, known := w.sizes[dayOf(date)]
		if known && info.Size() < committed {
			log.Error(errDamaged, "A raw segment is shorter than its rows say; their raw events are lost", "path", path, "bytes", info.Size(), "want", committed)
			continue
		}
		if info.Size() > committed {
			w.tellCut(path, name, committed, info.Size(), log)
		}
		switch {
		case !known:
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove a raw segment without rows: %w", err)
			}
		case info.Size() > committed:
			if err := os.Truncate(path, committed); err != nil {
				return fmt.Errorf("cut a raw segment: %w", err)
			}
		}
	}
	return nil
}

// tellCut counts and logs what is to be cut off a segment.
func (w *writer) tellCut(path, day string, from, size int64, log logr.Logger) {
	events := countEvents(path, from, countedTail)
	w.cut.bytes += size - from
	w.cut.events += events
	keys := []any{"day", day, "bytes", size - from, "events", events}
	if w.cut.torn {
		log.Error(errLogTorn, "Cut off raw events that no commit refers to; they may have been acknowledged, if the disk lost the end of the log", keys...)
		return
	}
	log.Info("Cut off raw events that no commit refers to: of a day that was dropped, or of a commit that did not end, unless the log was moved away", keys...)
}

// countEvents counts the events in the whole frames that begin within a number
// of bytes from an offset on.
func countEvents(path string, offset, within int64) (events int64) {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	header := make([]byte, frameHeader)
	for end := offset + within; offset < end; {
		raws, err := readFrame(file, offset)
		if err != nil {
			return events
		}
		for decoder := json.NewDecoder(bytes.NewReader(raws)); ; events++ {
			var raw json.RawMessage
			if decoder.Decode(&raw) != nil {
				break
			}
		}
		if _, err := io.ReadFull(io.NewSectionReader(file, offset, frameHeader), header); err != nil {
			return events
		}
		offset += frameHeader + int64(binary.LittleEndian.Uint32(header[4:]))
	}
	return events
}
