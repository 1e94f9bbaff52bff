package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// backUp returns a backup's bytes and checks that they are as many as it said.
func backUp(t *testing.T, s *Store) []byte {
	t.Helper()
	b, err := s.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return streamed(t, b)
}

func streamed(t *testing.T, b *Backup) []byte {
	t.Helper()
	var archive bytes.Buffer
	size := b.Size()
	if err := errors.Join(b.Stream(t.Context(), &archive), b.Close()); err != nil {
		t.Fatal(err)
	}
	if size != int64(archive.Len()) {
		t.Errorf("the backup has %d bytes and said %d", archive.Len(), size)
	}
	return archive.Bytes()
}

// restored opens what a backup restores to.
func restored(t *testing.T, archive []byte) *Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	got, err := Restore(t.Context(), bytes.NewReader(archive), Options{Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Damaged) > 0 {
		t.Errorf("the restore calls %v damaged", got.Damaged)
	}
	s := mustOpen(t, Options{Dir: dir})
	t.Cleanup(func() { closed(t, s) })
	return s
}

// everything is what a store holds, raws included.
type everything struct {
	Events      map[audit.ID]audit.Event
	Sources     []store.SourceStats
	Quarantined []audit.Quarantined
	Files       map[string]string // segments and snapshots
}

func readEverything(t *testing.T, s *Store, sources ...string) everything {
	t.Helper()
	all := everything{Events: map[audit.ID]audit.Event{}, Files: map[string]string{}}
	eachStored(t, s, func(e *audit.Event) { all.Events[e.ID] = *e })
	var err error
	if all.Sources, err = s.Sources(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		items, err := storetest.Quarantined(t.Context(), s, source)
		if err != nil {
			t.Fatal(err)
		}
		all.Quarantined = append(all.Quarantined, items...)
	}
	for _, dir := range []string{"raw", "snapshots"} {
		for name, content := range readFiles(t, filepath.Join(s.opts.Dir, dir)) {
			all.Files[filepath.Join(dir, name)] = content
		}
	}
	return all
}

// eachStored calls fn for every stored event, raw included. It unpacks each
// frame once.
func eachStored(t *testing.T, s *Store, fn func(*audit.Event)) {
	t.Helper()
	err := s.read(t.Context(), "store.test", func(ctx context.Context, tx *readTx) error {
		for _, day := range tx.days {
			raws := map[int64][]byte{}
			rows, err := tx.QueryContext(ctx, "SELECT "+columns+" FROM "+tableOf(day))
			if err != nil {
				return err
			}
			if err := each(rows, func() error {
				var e audit.Event
				var at place
				if err := scanRow(rows, &e, &at); err != nil {
					return err
				}
				if raws[at.frame] == nil {
					file, err := os.Open(segmentPath(s.opts.Dir, day))
					if err != nil {
						return err
					}
					defer file.Close()
					if raws[at.frame], err = readFrame(file, at.frame); err != nil {
						return err
					}
				}
				e.Raw = raws[at.frame][at.start : at.start+at.size]
				fn(&e)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func equal(t *testing.T, want, got everything) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(audit.ID{}), cmp.Comparer(func(a, b interface{ AsSlice() []byte }) bool {
		return bytes.Equal(a.AsSlice(), b.AsSlice())
	})); d != "" {
		t.Errorf("the restored store differs (-want +got):\n%.4000s", d)
	}
}

// filled is a store with events of three days, items in quarantine, snapshots.
func filled(t *testing.T, perDay int) *Store {
	t.Helper()
	s := mustOpen(t, Options{Dir: t.TempDir(), Version: "v1"})
	t.Cleanup(func() { closed(t, s) })
	for days := range 3 {
		batch := newMakerAt(uint64(days), noon(-1-days)).batch(perDay)
		batch.Quarantined = []audit.Quarantined{{Reason: fmt.Sprint("reason ", days), Size: 3, Redacted: []byte("{}\x00\xff")}}
		if _, err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	for i, body := range []string{"", strings.Repeat("{\"a\":\"\x00\xff\"}\r\n", 1000)} {
		saveSnapshot(t, s, fmt.Sprintf("%032x", i), body)
	}
	return s
}

// noon of a day, counted from today.
func noon(days int) time.Time {
	return time.Now().UTC().Truncate(24*time.Hour).Add(12*time.Hour).AddDate(0, 0, days)
}

func saveSnapshot(t *testing.T, s *Store, id, body string) {
	t.Helper()
	if err := s.SaveSnapshot(t.Context(), id, store.SnapshotSpace{Namespace: "shop"}, func(w io.Writer) (store.Manifest, error) {
		_, err := io.WriteString(w, body)
		return store.Manifest{ID: id, Namespace: "shop", CountsByType: map[string]int64{"application": 2}}, err
	}); err != nil {
		t.Fatal(err)
	}
}

func nothingLeft(t *testing.T, s *Store) {
	t.Helper()
	if left := readFiles(t, filepath.Join(s.opts.Dir, "tmp")); len(left) > 0 {
		t.Errorf("tmp still holds %d files", len(left))
	}
	var databases int
	if err := s.db.sql.QueryRowContext(t.Context(), "SELECT count(*) FROM duckdb_databases() WHERE NOT internal").Scan(&databases); err != nil || databases != 1 {
		t.Errorf("%d databases are attached (%v), want one", databases, err)
	}
}
