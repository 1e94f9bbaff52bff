package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// ErrBackupRunning means that another backup of the store has not ended.
var ErrBackupRunning = errors.New("another backup is being made")

// errNoRoom ends a backup before it takes the space that events need.
var errNoRoom = errors.New("the volume has too little space for a copy of the database")

// Backup is a copy of a store as of one commit, to be written with Stream. It
// takes space in the store's directory until it is closed.
type Backup struct {
	Header Header

	store *Store
	dir   string
	files []backupFile
	// snapshots of the point, with when they were taken: an ID alone may be
	// another's by the time that it is linked.
	snapshots map[string]time.Time
}

// backupFile is a file of a backup. Only its first size bytes are: a segment
// goes on growing.
type backupFile struct {
	name string
	size int64
}

// Backup copies the store as of one commit: everything that was acknowledged
// before the call is in the copy, and nothing half. Events are taken meanwhile.
// Of the snapshots, one that is deleted meanwhile may be left out.
// The copy needs room for one more events.duckdb; the other files are linked.
// Close waits for the backup to be closed.
func (s *Store) Backup(ctx context.Context) (_ *Backup, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up the store: %w", err)
		}
	}()
	if err := s.calls.Enter(); err != nil {
		return nil, err
	}
	if !s.backups.TryLock() {
		s.calls.Leave()
		return nil, ErrBackupRunning
	}
	b := &Backup{store: s, Header: Header{Archive: archiveVersion, Format: formatVersion, Version: s.opts.Version}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if err := s.checkRoom(); err != nil {
		return nil, err
	}
	if err := b.makeDirectory(); err != nil {
		return nil, err
	}
	if err := b.copyDatabase(ctx); err != nil {
		return nil, err
	}
	return b, b.measure()
}

func (b *Backup) makeDirectory() (err error) {
	if b.dir, err = os.MkdirTemp(filepath.Join(b.store.opts.Dir, "tmp"), "backup-*"); err != nil {
		return err
	}
	for _, name := range []string{"raw", "snapshots"} {
		if err := os.Mkdir(filepath.Join(b.dir, name), 0o750); err != nil {
			return err
		}
	}
	return nil
}

// Close removes the copy.
func (b *Backup) Close() error {
	if b.store == nil {
		return nil
	}
	var err error
	if b.dir != "" {
		err = os.RemoveAll(b.dir)
	}
	b.store.backups.Unlock()
	b.store.calls.Leave()
	b.store = nil
	return err
}

// copyDatabase fixes the commit that the backup is of and copies the rows. The
// copy is a database that is attached to the open one, so that one transaction
// reads all of it; its file lies in the only folder that statements may use.
func (b *Backup) copyDatabase(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		// The driver reports an interrupted statement in its own words.
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	p, err := b.pin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	defer context.AfterFunc(p.db.ended, func() {
		cancel(errReopening)
	})()
	defer b.store.watchRoom(cancel)()
	if err := b.linkSnapshots(ctx); err != nil {
		return err
	}
	return p.copyTables(ctx, &b.Header)
}

// pin has the committer fix the point, so that no commit and no retention comes
// between the transaction and the links.
func (b *Backup) pin(ctx context.Context) (p *point, err error) {
	j := &job{run: func() { p, err = b.fixPoint(ctx) }}
	if withdrawn := b.store.commit(ctx, j); withdrawn != nil {
		return nil, withdrawn
	}
	return p, err
}

// fixPoint begins the transaction that reads the database, links the files that
// retention may remove from here on, and notes the snapshots: there may be too
// many of them to link while commits wait.
func (b *Backup) fixPoint(ctx context.Context) (_ *point, err error) {
	s := b.store
	if err := s.restore(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	p, err := s.openPoint(ctx, filepath.Join(b.dir, DatabaseFile))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.end())
		}
	}()
	b.Header.AsOf = s.now()
	// As the first statement, this fixes what the transaction sees.
	if b.Header.Days, err = readDays(ctx, p.conn); err != nil {
		return nil, err
	}
	for _, day := range b.Header.Days {
		if day.RawBytes > 0 {
			if err := b.link(segmentName(day.Day), day.RawBytes); err != nil {
				return nil, err
			}
		}
	}
	b.snapshots = b.store.snapshots.taken()
	return p, nil
}

// linkSnapshots links those of the point that are still there.
func (b *Backup) linkSnapshots(ctx context.Context) error {
	for id, takenAt := range b.snapshots {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.linkSnapshot(id, takenAt); err != nil {
			return err
		}
	}
	return nil
}

// linkSnapshot holds the lock for one snapshot alone, which those who read and
// save others hardly notice.
func (b *Backup) linkSnapshot(id string, takenAt time.Time) error {
	n := &b.store.snapshots
	n.mu.RLock()
	defer n.mu.RUnlock()
	if m, ok := n.all[id]; !ok || !m.TakenAt.Equal(takenAt) {
		return nil // deleted, and perhaps taken anew
	}
	for _, extension := range []string{manifestFile, n.bodyOf(id)} {
		if err := b.link("snapshots/"+id+extension, -1); err != nil {
			return err
		}
	}
	b.Header.Snapshots++
	return nil
}

// segmentName is the name in an archive of a day's segment.
func segmentName(day string) string { return "raw/" + day + ".seg" }

// link adds a file of the store to the backup, up to a size that is not
// negative. A store that lost files, or ends of them, can still be backed up.
func (b *Backup) link(name string, size int64) error {
	linked := filepath.Join(b.dir, name)
	err := os.Link(filepath.Join(b.store.opts.Dir, name), linked)
	if errors.Is(err, fs.ErrNotExist) {
		b.store.log.Error(err, "A file of the store is lost; the backup is made without it")
		return nil
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(linked)
	if err != nil {
		return err
	}
	if size < 0 || size > info.Size() {
		size = info.Size()
	}
	b.files = append(b.files, backupFile{name, size})
	return nil
}

// measure completes the header.
func (b *Backup) measure() error {
	info, err := os.Stat(filepath.Join(b.dir, DatabaseFile))
	if err != nil {
		return err
	}
	b.files = append(b.files, backupFile{DatabaseFile, info.Size()})
	slices.SortFunc(b.files, func(x, y backupFile) int { return cmp.Compare(x.name, y.name) })
	b.Header.Files = len(b.files)
	for _, file := range b.files {
		b.Header.Bytes += file.size
	}
	return nil
}

// Size is the number of bytes that Stream writes.
func (b *Backup) Size() int64 {
	size := archiveSize(int64(len(b.Header.encode())))
	listing := listingLine(headerName)
	for _, file := range b.files {
		size += archiveSize(file.size)
		listing += listingLine(file.name)
	}
	return size + archiveSize(listing) + archiveEnd
}

// Stream writes the archive.
func (b *Backup) Stream(ctx context.Context, w io.Writer) error {
	a, err := newArchiveWriter(w, &b.Header)
	if err != nil {
		return fmt.Errorf("write a backup: %w", err)
	}
	for _, file := range b.files {
		if err := b.stream(ctx, a, file); err != nil {
			return fmt.Errorf("write a backup: %w", err)
		}
	}
	if err := a.finish(); err != nil {
		return fmt.Errorf("write a backup: %w", err)
	}
	return nil
}

func (b *Backup) stream(ctx context.Context, a *archiveWriter, file backupFile) error {
	content, err := os.Open(filepath.Join(b.dir, file.name))
	if err != nil {
		return err
	}
	defer content.Close()
	return a.add(file.name, file.size, contextReader{ctx, content})
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	if err != nil && r.ctx.Err() != nil { // what it was waiting for is gone
		err = r.ctx.Err()
	}
	return n, err
}
