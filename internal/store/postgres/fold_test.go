package postgres

import (
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
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
		lines[i] = fold(lines[i])
	}
	if d := cmp.Diff(lines, got); d != "" {
		t.Errorf("audit_fold (-want +got):\n%s", d)
	}
}
