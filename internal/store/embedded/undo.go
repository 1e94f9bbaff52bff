package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
)

// A checkpoint writes DuckDB's file anew where the last one left room, and then
// a header that makes it count. Metadata it adds to blocks that hold metadata
// of the last checkpoint, too: a power cut that keeps a part of such a block
// takes the whole database with it. So these blocks are kept in a file beside
// it until a header says that the next checkpoint is complete:
//
//	the headers; then each block's number (uint64) and content; CRC-32C of all
//
// in little-endian. What a power cut leaves of that file itself is told by its
// checksum; then no checkpoint has begun that would need it.
const (
	undoFile       = DatabaseFile + ".undo"
	undoHeaders    = 3 * 4096 // of DuckDB's file
	undoBlock      = 256 << 10
	undoBlockEntry = 8 + undoBlock
)

// undo keeps what the next checkpoint may write over.
type undo struct {
	dir string
	// file is open as long as DuckDB's: closing it would take DuckDB's lock on
	// the file away, which is the process's.
	file    *os.File
	headers []byte // that the kept blocks belong to
}

func openUndo(dir string) (*undo, error) {
	file, err := os.Open(filepath.Join(dir, DatabaseFile))
	if err != nil {
		return nil, err
	}
	return &undo{dir: dir, file: file}, nil
}

func (u *undo) close() error {
	if u == nil {
		return nil
	}
	return u.file.Close()
}

// keep is called after each commit. It does something when that, or what was
// before it, has made a checkpoint.
func (u *undo) keep(ctx context.Context, q querier) error {
	headers := make([]byte, undoHeaders)
	if _, err := u.file.ReadAt(headers, 0); err != nil {
		return fmt.Errorf("read the database's headers: %w", err)
	}
	if bytes.Equal(headers, u.headers) {
		return nil
	}
	blocks, err := openMetadata(ctx, q)
	if err == nil {
		err = u.write(headers, blocks)
	}
	if err != nil {
		return fmt.Errorf("keep what a checkpoint may write over: %w", err)
	}
	u.headers = headers
	return nil
}

// openMetadata returns the blocks of metadata that have room for more.
func openMetadata(ctx context.Context, q querier) ([]int64, error) {
	rows, err := q.QueryContext(ctx, "SELECT block_id FROM pragma_metadata_info() WHERE free_blocks > 0 ORDER BY block_id")
	if err != nil {
		return nil, err
	}
	var blocks []int64
	err = each(rows, func() error {
		var number int64
		err := rows.Scan(&number)
		blocks = append(blocks, number)
		return err
	})
	return blocks, err
}

func (u *undo) write(headers []byte, blocks []int64) (err error) {
	file, err := os.OpenFile(filepath.Join(u.dir, undoFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err == nil {
			err = syncDir(u.dir)
		}
	}()
	sum := crc32.New(castagnoli)
	out := io.MultiWriter(file, sum)
	if _, err := out.Write(headers); err != nil {
		return err
	}
	entry := make([]byte, undoBlockEntry)
	for _, number := range blocks {
		binary.LittleEndian.PutUint64(entry, uint64(number))
		switch _, err := u.file.ReadAt(entry[8:], undoHeaders+number*undoBlock); {
		case errors.Is(err, io.EOF):
			continue // no checkpoint has written it yet
		case err != nil:
			return err
		}
		if _, err := out.Write(entry); err != nil {
			return err
		}
	}
	if err := binary.Write(file, binary.LittleEndian, sum.Sum32()); err != nil {
		return err
	}
	return file.Sync()
}

// undoCheckpoint takes back what an incomplete checkpoint wrote over, before
// DuckDB opens the file. Its log still has what the checkpoint was to fold in.
func undoCheckpoint(dir string, log logr.Logger) error {
	kept, err := os.ReadFile(filepath.Join(dir, undoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if end := len(kept) - 4; end < undoHeaders || crc32.Checksum(kept[:end], castagnoli) != binary.LittleEndian.Uint32(kept[end:]) {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(dir, DatabaseFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	headers := make([]byte, undoHeaders)
	if _, err := file.ReadAt(headers, 0); err != nil || !bytes.Equal(headers, kept[:undoHeaders]) {
		return nil // complete, or another database
	}
	undone := 0
	for entry := kept[undoHeaders:]; len(entry) >= undoBlockEntry; entry = entry[undoBlockEntry:] {
		offset := undoHeaders + int64(binary.LittleEndian.Uint64(entry))*undoBlock
		now := make([]byte, undoBlock)
		if _, err := file.ReadAt(now, offset); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if bytes.Equal(now, entry[8:undoBlockEntry]) {
			continue
		}
		if _, err := file.WriteAt(entry[8:undoBlockEntry], offset); err != nil {
			return err
		}
		undone++
	}
	if undone == 0 {
		return nil
	}
	log.Info("Took back what an incomplete checkpoint had written over", "blocks", undone)
	return file.Sync()
}
