package embedded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFormat opens directories that say of themselves what they hold.
func TestFormat(t *testing.T) {
	for name, tt := range map[string]struct {
		content  string // of the format's file; empty for none
		database string
		want     string // in the error; empty for none
	}{
		"new":                 {},
		"of before":           {content: ""},
		"this one":            {content: `{"format":4,"version":"v1"}`},
		"opened by a newer":   {content: `{"format":1,"version":"v9"}`},
		"a newer format":      {content: `{"format":5,"version":"v9"}`, want: "has format 5, written by version v9; this version reads formats up to 4: use version v9 or newer"},
		"damaged":             {content: `{"format":`, want: formatFile + " is damaged"},
		"no format":           {content: `{}`, want: formatFile + " is damaged"},
		"a database of later": {content: `{"format":1,"version":"v9"}`, database: "not of this engine", want: "last opened by version v9 and this is v1"},
		"a damaged database":  {content: `{"format":1,"version":"v1"}`, database: "not of this engine", want: "open"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range map[string]string{formatFile: tt.content, DatabaseFile: tt.database} {
				if content != "" {
					if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			s, err := Open(t.Context(), Options{Dir: dir, Version: "v1"})
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("Open = %v, want that it says %q", err, tt.want)
				}
				if got := readFiles(t, dir)[formatFile]; got != tt.content {
					t.Errorf("a refused directory now says %q", got)
				}
				// It is not locked.
				if lock, err := lockDirectory(dir); err != nil {
					t.Error(err)
				} else {
					lock.Close()
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			closed(t, s)
			if got := strings.TrimSpace(readFiles(t, dir)[formatFile]); got != `{"format":4,"version":"v1"}` {
				t.Errorf("the directory says %q", got)
			}
		})
	}
}

// TestLeftovers checks that opening removes what a crash left of a backup.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	closed(t, mustOpen(t, Options{Dir: dir}))
	left := filepath.Join(dir, "tmp", "backup-1", "raw")
	if err := os.MkdirAll(left, 0o750); err != nil {
		t.Fatal(err)
	}
	closed(t, mustOpen(t, Options{Dir: dir}))
	if _, err := os.Lstat(filepath.Dir(left)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", filepath.Dir(left), err)
	}
}
