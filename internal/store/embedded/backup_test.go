package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/store"
)

// TestBackup compares everything that a restored store holds with the one that
// was backed up, and sends it the same events again.
func TestBackup(t *testing.T) {
	s := filled(t, 200)
	want := readEverything(t, s, "bench")
	archive := backUp(t, s)
	nothingLeft(t, s)
	again := restored(t, archive)
	equal(t, want, readEverything(t, again, "bench"))
	if again.Key() != s.Key() {
		t.Error("the restored store hashes under another key")
	}
	if len(want.Events) != 600 || len(want.Quarantined) != 3 || len(want.Files) != 3+4 {
		t.Fatalf("the test's own store holds %d events, %d items and %d files", len(want.Events), len(want.Quarantined), len(want.Files))
	}
	batch := store.Batch{Source: "bench", ReceivedAt: time.Now()}
	for _, e := range want.Events {
		batch.Events = append(batch.Events, e)
	}
	if got, err := again.Append(t.Context(), batch); err != nil || got.Duplicate != 600 {
		t.Errorf("the same events again = %+v, %v; want all to be duplicates", got, err)
	}
	// A backup of it is as good.
	if _, err := VerifyBackup(t.Context(), bytes.NewReader(backUp(t, again)), nil); err != nil {
		t.Error(err)
	}
}

// TestBackupEmpty backs up a store that never took anything.
func TestBackupEmpty(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	defer closed(t, s)
	again := restored(t, backUp(t, s))
	if got := readEverything(t, again); len(got.Events)+len(got.Sources)+len(got.Files) != 0 {
		t.Errorf("it holds %+v", got)
	}
}

// TestBackupUnderLoad makes backups while several writers append: all that was
// acknowledged before is in each, and no batch by half.
func TestBackupUnderLoad(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	defer closed(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var writers errgroup.Group
	var mu sync.Mutex
	var sent, acknowledged []store.Batch
	more := make(chan struct{}) // given after each batch that was acknowledged
	for i := range 4 {
		writers.Go(func() error {
			for m := newMaker(uint64(i)); ctx.Err() == nil; {
				batch := m.batch(50)
				mu.Lock()
				sent = append(sent, batch)
				mu.Unlock()
				if _, err := s.Append(context.Background(), batch); err != nil {
					return err
				}
				mu.Lock()
				acknowledged = append(acknowledged, batch)
				mu.Unlock()
				select {
				case more <- struct{}{}:
				case <-ctx.Done():
				}
			}
			return nil
		})
	}
	const rounds = 3
	var archives [rounds][]byte
	var before [rounds]int // acknowledged
	for round := range rounds {
		for range 20 {
			<-more
		}
		mu.Lock()
		before[round] = len(acknowledged)
		mu.Unlock()
		made := make(chan *Backup, 1)
		go func() {
			b, err := s.Backup(ctx)
			if err != nil {
				t.Error(err)
			}
			made <- b
		}()
		for b := (*Backup)(nil); b == nil && !t.Failed(); { // the writers go on
			select {
			case <-more:
			case b = <-made:
				archives[round] = streamed(t, b)
			}
		}
	}
	stop()
	if err := writers.Wait(); err != nil {
		t.Fatal(err)
	}
	for round, archive := range archives {
		got := readEverything(t, restored(t, archive))
		for _, batch := range acknowledged[:before[round]] {
			if held := countHeld(got, batch); held != len(batch.Events) {
				t.Errorf("backup %d holds %d events of a batch of %d that was acknowledged before", round, held, len(batch.Events))
			}
		}
		for _, batch := range sent {
			if held := countHeld(got, batch); held != 0 && held != len(batch.Events) {
				t.Errorf("backup %d holds %d events of a batch of %d", round, held, len(batch.Events))
			}
		}
		if n := got.Sources[0].Stored; n != int64(len(got.Events)) {
			t.Errorf("the totals say %d events and there are %d", n, len(got.Events))
		}
	}
}

func countHeld(got everything, batch store.Batch) (held int) {
	for _, e := range batch.Events {
		if stored, ok := got.Events[e.ID]; ok && bytes.Equal(stored.Raw, e.Raw) {
			held++
		}
	}
	return held
}

// TestBackupDuringChange changes everything that can change between the moment
// that a backup is of and the copying.
func TestBackupDuringChange(t *testing.T) {
	s := filled(t, 50)
	want := readEverything(t, s, "bench")
	b, p := pinned(t, s)
	if dropped, err := s.Retain(t.Context(), noon(1)); err != nil || len(dropped) != 3 {
		t.Fatalf("Retain = %v, %v", dropped, err)
	}
	for days := range 2 { // to a day that was just dropped, too
		if _, err := s.Append(t.Context(), newMakerAt(9, noon(-days).Add(-12*time.Hour)).batch(40)); err != nil {
			t.Fatal(err)
		}
	}
	saveSnapshot(t, s, strings.Repeat("f", 32), "later")
	if err := b.linkSnapshots(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteSnapshot(t.Context(), strings.Repeat("0", 31)+"1"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.copyTables(t.Context(), &b.Header), p.end(), b.measure()); err != nil {
		t.Fatal(err)
	}
	equal(t, want, readEverything(t, restored(t, streamed(t, b)), "bench"))
	nothingLeft(t, s)
}

// pinned is a backup whose point is fixed and of which nothing is copied.
func pinned(t *testing.T, s *Store) (*Backup, *point) {
	t.Helper()
	b := &Backup{store: s, Header: Header{Archive: 1, Format: 1}}
	s.backups.Lock()
	if err := errors.Join(s.calls.Enter(), b.makeDirectory()); err != nil {
		t.Fatal(err)
	}
	p, err := b.pin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b, p
}

// TestBackupDuringDelete deletes snapshots of the point before they are linked:
// they are left out whole, and nothing that came later stands in for them.
func TestBackupDuringDelete(t *testing.T) {
	s := filled(t, 1)
	kept, deleted, again := strings.Repeat("0", 32), strings.Repeat("0", 31)+"1", strings.Repeat("a", 32)
	saveSnapshot(t, s, again, "first")
	b, p := pinned(t, s)
	if linked := readFiles(t, filepath.Join(b.dir, "snapshots")); len(linked) > 0 {
		t.Errorf("commits waited until %d files were linked", len(linked))
	}
	for _, id := range []string{deleted, again} {
		if err := s.DeleteSnapshot(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveSnapshot(t.Context(), again, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
		_, err := io.WriteString(w, "second")
		return store.Manifest{ID: again, TakenAt: time.Now()}, err
	}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.linkSnapshots(t.Context()), p.copyTables(t.Context(), &b.Header), p.end(), b.measure()); err != nil {
		t.Fatal(err)
	}
	if b.Header.Snapshots != 1 {
		t.Errorf("the header says %d snapshots, want 1", b.Header.Snapshots)
	}
	files := readFiles(t, filepath.Join(restored(t, streamed(t, b)).opts.Dir, "snapshots"))
	if _, ok := files[kept+".ndjson.zst"]; !ok || len(files) != 2 {
		t.Errorf("the backup holds %v, want the two of %s", slices.Collect(maps.Keys(files)), kept)
	}
	nothingLeft(t, s)
}

// TestBackupCancelled cancels backups at different moments.
func TestBackupCancelled(t *testing.T) {
	s := filled(t, 20_000)
	cancelled := 0
	for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond, time.Minute} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		b, err := s.Backup(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			cancelled++
		case err != nil:
			t.Errorf("cancelled after %s: %v", after, err)
		default:
			cancel()
			if err := b.Stream(ctx, io.Discard); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a cancelled stream ends with %v", err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
		cancel()
		nothingLeft(t, s)
	}
	if cancelled < 2 || cancelled == 6 {
		t.Errorf("%d of 6 were cancelled", cancelled)
	}
}

// TestBackupOnlyOne refuses a second backup, and lets Close wait for the first.
func TestBackupOnlyOne(t *testing.T) {
	s := filled(t, 1)
	b, err := s.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context()); !errors.Is(err, ErrBackupRunning) {
		t.Errorf("a second backup = %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Close() }()
	for s.calls.Enter() == nil { // until Close has begun
		s.calls.Leave()
	}
	if _, err := VerifyBackup(t.Context(), bytes.NewReader(streamed(t, b)), nil); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestBackupRoom fills the volume before a backup and during one.
func TestBackupRoom(t *testing.T) {
	s := filled(t, 1)
	s.opts.MinFree = 1 << 60 // nobody else reads it now
	if _, err := s.Backup(t.Context()); !errors.Is(err, errNoRoom) || !strings.Contains(err.Error(), "MiB are free") {
		t.Errorf("a backup without room = %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer s.watchRoom(cancel)()
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, errNoRoom) {
		t.Errorf("without room while it is made: %v", err)
	}
	nothingLeft(t, s)
	if err := child(t, "backup-full", t.TempDir(), "").Run(); err != nil {
		t.Errorf("a backup on a full volume: %v", err)
	}
}

// backUpFull runs into a limit on the size of files, in a process of its own.
func backUpFull(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		return err
	}
	m := newMaker(1)
	if _, err := s.Append(ctx, m.batch(30_000)); err != nil {
		return err
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: old.Max}); err != nil {
		return err
	}
	if _, err := s.Backup(ctx); err == nil {
		return errors.New("a backup of several MB fits into 1 MiB")
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if got, err := s.Append(ctx, m.batch(400)); err != nil || got.Stored != 400 {
		return fmt.Errorf("Append after a backup that failed = %+v, %w", got, err)
	}
	b, err := s.Backup(ctx)
	if err != nil {
		return fmt.Errorf("a backup after there is space again: %w", err)
	}
	if b.Header.Events != 30_400 {
		return fmt.Errorf("the backup holds %d events", b.Header.Events)
	}
	return errors.Join(b.Close(), s.Close())
}

// TestReach checks what statements can reach: no file but the database's own,
// and those of the folder in which backups are made.
func TestReach(t *testing.T) {
	s := filled(t, 1)
	elsewhere := filepath.Join(t.TempDir(), "other.duckdb")
	for _, statement := range []string{
		"ATTACH '" + elsewhere + "'",
		"ATTACH '" + filepath.Join(s.opts.Dir, "other.duckdb") + "'",
		"ATTACH '" + filepath.Join(s.opts.Dir, "tmp", "..", "other.duckdb") + "'",
		"SELECT * FROM read_text('/etc/passwd')",
		"SELECT * FROM read_text('" + filepath.Join(s.opts.Dir, formatFile) + "')",
		"SELECT * FROM glob('/etc/*')",
		"COPY days TO '" + elsewhere + "'",
		"SET allowed_directories = ['/']",
		"LOAD httpfs",
	} {
		if _, err := s.db.sql.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: no error", statement)
		}
	}
}
