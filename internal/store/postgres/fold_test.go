package postgres

import (
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// TestFold compares how the database and the program fold characters. Where a
// new version of Go knows new ones, a migration has to replace audit_fold.
func TestFold(t *testing.T) {
	s := openAt(t, newDatabase(t))
	const length = 1000
	var lines []string
	var line []rune
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if unicode.IsGraphic(r) || unicode.ToLower(r) != r {
			line = append(line, r)
		}
		if len(line) == length || r == unicode.MaxRune {
			lines, line = append(lines, string(line)), nil
		}
	}
	lines = append(lines, "Checkout/ÄÖÜ", "ASCII Only", "")
	got := ask[[]string](t, s, "SELECT array_agg(audit_fold(line) ORDER BY n) FROM unnest($1::text[]) WITH ORDINALITY AS l (line, n)", lines)
	for i := range lines {
		if got := isFolded(lines[i]); got != (fold(lines[i]) == lines[i]) {
			t.Errorf("isFolded(%q) = %t", lines[i], got)
		}
		lines[i] = fold(lines[i])
	}
	if d := cmp.Diff(lines, got); d != "" {
		t.Errorf("audit_fold (-want +got):\n%s", d)
	}
}

// TestFoldedRows checks what tells a search that it need not fold a row.
func TestFoldedRows(t *testing.T) {
	s := openAt(t, newDatabase(t))
	texts := []string{"", "/api/v1/pods", "/api/v1/Pods", "ä", "Ä", "\u212a", "nul\x00", "NUL\x00", "\xff"}
	var events []audit.Event
	for i, path := range texts {
		for j, name := range texts {
			e := plain(i*len(texts)+j, testNow)
			e.Path, e.ResourceName = path, name
			events = append(events, e)
		}
	}
	mustAppend(t, s, store.Appended{Stored: len(events)}, events...)
	const wrong = "SELECT count(*) FROM audit_rows WHERE folded <> (audit_fold(path) = path AND audit_fold(resource_name) = resource_name)"
	if n := ask[int](t, s, wrong); n > 0 {
		t.Errorf("folded is wrong in %d rows", n)
	}
	if n := ask[int](t, s, "SELECT count(DISTINCT folded) FROM audit_rows"); n != 2 {
		t.Errorf("folded has %d values, want both", n)
	}
}
