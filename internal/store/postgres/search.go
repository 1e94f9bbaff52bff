package postgres

import (
	"strings"
	"unicode"

	"github.com/porter-dev/audit-operator/internal/store"
)

// needle is what a search looks for, folded and bound: as it is and as a
// pattern of LIKE.
type needle struct{ text, pattern string }

func (c *where) newNeedle(search string) *needle {
	text := fold(store.Text(search))
	return &needle{c.bind(text) + "::text", c.bind("%" + likeEscaper.Replace(text) + "%")}
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// in is the condition that a text holds the needle.
func (n *needle) in(column string) string { return "audit_fold(" + column + ") LIKE " + n.pattern }

// inRow is the condition that the search finds a row, whose actor it finds
// under another one. What is folded already, as nearly all is, is first looked
// through as it is, which takes a third of the time.
func (n *needle) inRow(actor string) string {
	terms := []string{actor}
	for _, column := range []string{"r.path", "r.resource_name"} {
		terms = append(terms, "CASE WHEN r.folded THEN position("+n.text+" IN "+column+") > 0 ELSE TRUE END AND "+n.in(column))
	}
	return "(" + strings.Join(terms, " OR ") + ")"
}

// fold does what audit_fold does in the database.
func fold(s string) string { return strings.Map(unicode.ToLower, s) }

func isFolded(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z':
			return false
		case c >= 0x80:
			return fold(s) == s
		}
	}
	return true
}
