package export

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What clients wrote comes into a cell so that no program takes it for more
// than text:
//
//   - A control character, a line break or a mark of direction is written as
//     \uXXXX, so that a row is one line and what is shown is what is there. A
//     backslash that such an escape would begin with is written as \u005c.
//   - Where a spreadsheet could begin to read a formula, which is at the start of
//     a cell and after a semicolon (which many take for the end of one), an
//     apostrophe is put before what could be one, and before an apostrophe.
//
// DecodeCell takes both away again.

// EncodeCell returns text as a cell of a CSV file has it. Of invalid UTF-8 each
// run becomes U+FFFD.
func EncodeCell(text string) string {
	if isPlain(text) {
		return text
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	var b strings.Builder
	begins := true // a cell could begin here
	for i, c := range text {
		if begins && needsApostrophe(text[i:]) {
			b.WriteByte('\'')
		}
		begins = c == ';'
		if isHidden(c) || c == '\\' && escapeLength(text[i:]) > 0 {
			writeEscape(&b, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// DecodeCell returns the text that EncodeCell wrote.
func DecodeCell(cell string) string {
	var b strings.Builder
	begins := true
	for i := 0; i < len(cell); {
		c, size := utf8.DecodeRuneInString(cell[i:])
		if begins && c == '\'' {
			begins = false
			i += size
			continue
		}
		begins = c == ';'
		if n := escapeLength(cell[i:]); n > 0 {
			code, _ := strconv.ParseUint(cell[i+2:i+n], 16, 32) // four digits, as was seen
			b.WriteRune(rune(code))
			i += n
			continue
		}
		b.WriteString(cell[i : i+size])
		i += size
	}
	return b.String()
}

// isPlain reports whether it is plain to see that nothing in a text needs care.
// Most are names and paths.
func isPlain(text string) bool {
	if text == "" {
		return true
	}
	switch text[0] {
	case ' ', '"', '\'', '=', '+', '-', '@':
		return false
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '\\' || c == ';' {
			return false
		}
	}
	return true
}

// needsApostrophe reports whether a cell that began so could be a formula, or
// is to be told apart from one that got its apostrophe here.
func needsApostrophe(rest string) bool {
	if strings.HasPrefix(rest, "'") {
		return true
	}
	rest = strings.TrimLeftFunc(rest, isPassedOver)
	first, _ := utf8.DecodeRuneInString(rest)
	return slices.Contains(formulaStarts, first)
}

// formulaStarts begin a formula in a spreadsheet, the wide ones where it is set
// to East Asian writing.
var formulaStarts = []rune{'=', '+', '-', '@', '＝', '＋', '－', '＠'}

// isPassedOver reports whether a program may drop the character before it reads
// a cell. What isHidden is written otherwise, but counts: programs may undo it.
func isPassedOver(c rune) bool {
	return c == '"' || unicode.IsSpace(c) || isHidden(c) || unicode.Is(unicode.Cf, c)
}

// isHidden reports whether a character acts instead of being shown.
func isHidden(c rune) bool {
	switch {
	case unicode.IsControl(c): // NUL, tab and line breaks among them
	case c == '\u2028' || c == '\u2029' || c == '\uFEFF':
	case unicode.Is(unicode.Bidi_Control, c):
	default:
		return false
	}
	return true
}

func writeEscape(b *strings.Builder, c rune) {
	digits := strconv.FormatInt(int64(c), 16)
	b.WriteString(`\u` + strings.Repeat("0", 4-len(digits)) + digits)
}

// escapeLength returns the length of the escape that a text begins with; 0
// where there is none.
func escapeLength(text string) int {
	const length = len(`\u0000`)
	if len(text) < length || text[:2] != `\u` {
		return 0
	}
	for _, c := range []byte(text[2:length]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return 0
		}
	}
	return length
}
