package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// TestTornLog takes pages out of the log, as a power cut does with the commit
// that nobody has synced, and as a failing disk does with any.
func TestTornLog(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "events.duckdb.wal")
	var ends []int64
	s := mustOpen(t, Options{Dir: dir})
	for m := newMaker(1); len(ends) < 3; {
		if _, err := s.Append(t.Context(), m.batch(50)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	whole, err := os.ReadFile(log) // closing would fold it into the database
	if err != nil {
		t.Fatal(err)
	}
	base := copyStore(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for name, tt := range map[string]struct {
		from, to int64 // zeros
		size     int64
		want     int // events; -1: the store does not open
	}{
		"whole":                         {0, 0, ends[2], 150},
		"end cut off":                   {0, 0, ends[2] - 100, 100},
		"last commit lacks its end":     {ends[2] - 30, ends[2], ends[2], 100},
		"last commit lacks a page":      {ends[1] + page, ends[1] + 2*page, ends[2], 100},
		"last commit lacks everything":  {ends[1], ends[2], ends[2], 100},
		"last commit lacks its start":   {ends[1], ends[1] + 100, ends[2], 100},
		"pages that were never written": {ends[1], ends[2], ends[2] + 3*page, 100},
		"a commit before it is damaged": {ends[0] + page, ends[0] + 2*page, ends[2], -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyStore(t, base)
			torn := make([]byte, tt.size)
			copy(torn, whole)
			clear(torn[tt.from:tt.to])
			if err := os.WriteFile(filepath.Join(dir, "events.duckdb.wal"), torn, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), Options{Dir: dir})
			if tt.want < 0 {
				if !errors.Is(err, errLogDamaged) {
					t.Errorf("Open = %v, want errLogDamaged", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			if err := s.Verify(t.Context(), func(audit.ID) error { found++; return nil }); err != nil || found != tt.want {
				t.Errorf("%d events, %v; want %d", found, err, tt.want)
			}
			if got, err := s.Append(t.Context(), newMaker(9).batch(10)); err != nil || got.Stored != 10 {
				t.Errorf("Append = %+v, %v", got, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// copyStore copies a store that nothing is being written to.
func copyStore(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// FuzzCutTornLog has the log fail anywhere: what is cut off never holds a
// commit that another follows, and nothing before that place is touched.
func FuzzCutTornLog(f *testing.F) {
	f.Add([]byte("entries"), walCommit, uint16(16))
	f.Add(append([]byte("entries"), walCommit...), append([]byte("more"), walCommit...), uint16(20))
	f.Add([]byte{}, []byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, before, after []byte, at uint16) {
		dir := t.TempDir()
		path := filepath.Join(dir, DatabaseFile+".wal")
		content := append(bytes.Clone(before), after...)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		failure := fmt.Errorf("Corrupt WAL file: entry at byte position %d computed checksum 1 does not match stored checksum 0", at)
		refused := cutTornLog(dir, failure, logr.Discard())
		left, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rest := content[min(max(int(at)-walEntryHeader, 0), len(content)):]
		switch commits := bytes.Count(rest, walCommit); {
		case refused != nil && !bytes.Equal(left, content):
			t.Errorf("changed, and yet: %v", refused)
		case refused == nil && (commits > 1 || commits == 1 && !bytes.HasSuffix(rest, walCommit)):
			t.Errorf("%d commits were cut off", commits)
		case refused == nil && !bytes.HasPrefix(append(bytes.Clone(content), make([]byte, 1<<16)...), left):
			t.Error("what was before is another")
		}
	})
}
