package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

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
