package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Restored says what was in a backup.
type Restored struct {
	Header Header
	// Damaged names the segments that were damaged in the store that the
	// backup was made of. The backup holds them as they were.
	Damaged []string
}

// VerifyBackup reads a backup to its end and proves that it is whole and unchanged.
// When progress is set, it hears of every step.
func VerifyBackup(ctx context.Context, r io.Reader, progress func(done, total int64)) (Restored, error) {
	a, err := openArchive(contextReader{ctx, r})
	if err != nil {
		return Restored{}, fmt.Errorf("verify the backup: %w", err)
	}
	restored, err := a.readAll(progress, func(string) (io.WriteCloser, error) { return nowhere{io.Discard}, nil })
	if err != nil {
		return Restored{}, fmt.Errorf("verify the backup: %w", err)
	}
	return restored, nil
}

// nowhere is closed without effect.
type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

// Restore makes a store of a backup, in a directory that is absent or empty.
// The directory counts as a store only once all of it is proved and durable;
// an attempt that failed leaves nothing, and one that was killed leaves what
// Open refuses and the next attempt removes.
func Restore(ctx context.Context, r io.Reader, opts Options, progress func(done, total int64)) (_ Restored, err error) {
	opts.setDefaults()
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore into %s: %w", opts.Dir, err)
		}
	}()
	// What isn't a backup is refused before anything is touched.
	a, err := openArchive(contextReader{ctx, r})
	if err != nil {
		return Restored{}, err
	}
	made, err := claimDirectory(opts.Dir)
	if err != nil {
		return Restored{}, err
	}
	lock, err := lockDirectory(opts.Dir)
	if err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	defer func() {
		if err != nil {
			err = errors.Join(err, removeRestored(opts.Dir, made))
		}
	}()
	if err := beginRestore(opts.Dir, a.header.Bytes); err != nil {
		return Restored{}, err
	}
	restored, err := a.readAll(progress, func(name string) (io.WriteCloser, error) {
		return createSynced(filepath.Join(opts.Dir, name))
	})
	if err != nil {
		return Restored{}, err
	}
	if err := checkDatabase(ctx, opts, &restored.Header); err != nil {
		return Restored{}, err
	}
	return restored, endRestore(opts)
}

// claimDirectory makes sure that a directory may be restored into, and reports
// whether it had to be made.
func claimDirectory(dir string) (made bool, err error) {
	if strings.Contains(dir, "?") {
		return false, errors.New("the path must not contain a question mark")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return false, err
	}
	if err := os.Mkdir(dir, 0o750); err == nil {
		return true, nil
	} else if !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	return false, checkEmpty(dir)
}

// checkEmpty also takes what a volume begins with, what another manager's lock
// leaves, and what is left of a restore that was killed.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	if slices.Contains(names, restoringFile) {
		return nil
	}
	for _, name := range names {
		switch name {
		case DatabaseFile, formatFile:
			return errors.New("a store is there already; move it away, or give an empty directory")
		case "lock", "lost+found":
		default:
			return fmt.Errorf("the directory is not empty, it holds %s; give an empty one", name)
		}
	}
	return nil
}

// beginRestore marks a locked directory as half a store and clears it.
func beginRestore(dir string, need int64) error {
	if err := checkEmpty(dir); err != nil { // a manager may have been faster
		return err
	}
	if err := errors.Join(writeSynced(filepath.Join(dir, restoringFile), nil), syncDir(dir)); err != nil {
		return err
	}
	if err := removeContent(dir); err != nil {
		return err
	}
	free, err := freeSpace(dir)
	if err != nil {
		return err
	}
	if free < uint64(need) {
		return fmt.Errorf("the volume has %d MiB free, and the backup holds %d MiB", free>>20, need>>20)
	}
	for _, name := range []string{"raw", "snapshots", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o750); err != nil {
			return err
		}
	}
	return nil
}

// endRestore makes a store of a directory that holds all of it.
func endRestore(opts Options) error {
	for _, name := range []string{"raw", "snapshots"} {
		if err := syncDir(filepath.Join(opts.Dir, name)); err != nil {
			return err
		}
	}
	if err := writeFormat(opts.Dir, format{}, opts.Version); err != nil {
		return err
	}
	if err := errors.Join(os.Remove(filepath.Join(opts.Dir, restoringFile)), syncDir(opts.Dir)); err != nil {
		return err
	}
	// What is above a volume may not be ours to read.
	if err := syncDir(filepath.Dir(opts.Dir)); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// removeRestored takes back what a failed restore wrote, the mark last.
func removeRestored(dir string, made bool) error {
	if made {
		return os.RemoveAll(dir)
	}
	if _, err := os.Lstat(filepath.Join(dir, restoringFile)); err != nil {
		return nil // it had not begun
	}
	return errors.Join(removeContent(dir), os.Remove(filepath.Join(dir, restoringFile)))
}

func removeContent(dir string) error {
	var errs []error
	for _, name := range []string{DatabaseFile, DatabaseFile + ".wal", undoFile, formatFile, formatFile + ".tmp", "raw", "snapshots", "tmp"} {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

// syncedFile is durable once it is closed.
type syncedFile struct{ *os.File }

func createSynced(path string) (syncedFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	return syncedFile{file}, err
}

func (f syncedFile) Close() error { return errors.Join(f.Sync(), f.File.Close()) }

// checkDatabase compares the restored rows with what the header says.
func checkDatabase(ctx context.Context, opts Options, header *Header) error {
	ctx = context.WithoutCancel(ctx) // there is no transaction
	db, err := openDatabase(ctx, opts)
	if err != nil {
		return explainDowngrade(err, format{Version: header.Version}, opts.Version)
	}
	if err := errors.Join(checkCounts(ctx, db, header), checkSizes(ctx, db, header)); err != nil {
		return errors.Join(damaged("its database does not hold what its header says: %w", err), db.close())
	}
	return db.close()
}

func checkCounts(ctx context.Context, db *database, header *Header) error {
	tables := map[string]int64{"days": int64(len(header.Days)), "sources": header.Sources, "quarantine": header.Quarantined}
	for _, day := range header.Days {
		tables[tableOfDate(day.Day)] = day.Events
	}
	for table, want := range tables {
		var got int64
		err := db.sql.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&got)
		if err == nil && got != want {
			err = fmt.Errorf("it has %d rows and should have %d", got, want)
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	return nil
}

// checkSizes compares how much of its segment each day refers to.
func checkSizes(ctx context.Context, db *database, header *Header) error {
	days, err := readDays(ctx, db.sql)
	if err != nil {
		return err
	}
	for i, day := range header.Days {
		if i >= len(days) || days[i].Day != day.Day || days[i].RawBytes != day.RawBytes {
			return fmt.Errorf("table days: it does not have %s with %d bytes of raw events", day.Day, day.RawBytes)
		}
	}
	return nil
}
