package audit

import (
	"encoding/binary"
	"math/bits"

	"github.com/go-json-experiment/json/jsontext"
)

// lexer reads JSON in place, as far as it is of the kind that API servers
// write. Whatever is rarer than that (or no JSON at all) it refuses, for the
// general parser to judge; so it may be strict, and need not be complete. It
// does not recurse.
type lexer struct {
	in []byte
	at int
	// exact says that what was read so far is, byte by byte, what this package
	// would write of it.
	exact   bool
	room    room
	scratch []byte
}

// peek skips white space and returns the byte that follows; 0 at the end.
func (l *lexer) peek() byte {
	for l.at < len(l.in) {
		switch c := l.in[l.at]; c {
		case ' ', '\t', '\r', '\n':
			l.at++
			l.exact = false
		default:
			return c
		}
	}
	return 0
}

// take consumes the byte if it is the next one.
func (l *lexer) take(c byte) bool {
	if l.peek() != c {
		return false
	}
	l.at++
	return true
}

// more reports whether an object or array, whose n members or elements were
// read, has another one; otherwise its closing bracket is consumed.
func (l *lexer) more(n int, closing byte) (another, ok bool) {
	if l.take(closing) {
		return false, true
	}
	return true, n == 0 || l.take(',')
}

// token consumes a string and returns it with its quotes. It is plain when
// what stands between them is the text itself, in printable ASCII.
func (l *lexer) token() (token []byte, plain, ok bool) {
	if !l.take('"') {
		return nil, false, false
	}
	begin := l.at - 1
	if l.at += plainLength(l.in[l.at:]); l.at < len(l.in) && l.in[l.at] == '"' {
		l.at++
		return l.in[begin:l.at], true, true
	}
	for l.at < len(l.in) {
		switch l.in[l.at] {
		case '"':
			l.at++
			return l.in[begin:l.at], false, true
		case '\\':
			l.at++
		}
		l.at++
	}
	return nil, false, false
}

// text consumes a string and returns what it says.
func (l *lexer) text() (text string, ok bool) {
	token, plain, ok := l.token()
	switch {
	case !ok:
		return "", false
	case plain:
		return l.room.text(unquoted(token)), true
	}
	if decoded, ok := appendUnescaped(l.scratch[:0], unquoted(token)); ok {
		l.scratch = decoded
		return l.room.text(decoded), true
	}
	decoded, err := jsontext.AppendUnquote(l.scratch[:0], token)
	l.scratch = decoded
	if err != nil {
		return "", false
	}
	text = l.room.text(decoded)
	if l.exact {
		// The text was valid UTF-8, so it can be quoted.
		l.scratch, _ = jsontext.AppendQuote(l.scratch[:0], text)
		l.exact = string(l.scratch) == string(token)
	}
	return text, true
}

// appendUnescaped decodes what stands between quotes if it is ASCII and its
// only escapes are of quotes and backslashes, which can't be written otherwise.
func appendUnescaped(b, text []byte) (_ []byte, ok bool) {
	for {
		n := plainLength(text)
		b = append(b, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			return b, true
		}
		if len(text) < 2 || text[0] != '\\' || text[1] != '"' && text[1] != '\\' {
			return b, false
		}
		b = append(b, text[1])
		text = text[2:]
	}
}

func unquoted(token []byte) []byte {
	if len(token) < 2 {
		return nil
	}
	return token[1 : len(token)-1]
}

// value consumes a value, in which others nest at most so deep, and returns it.
// Only its end is certain: what it holds is still to be validated.
func (l *lexer) value(maxDepth int) (value []byte, ok bool) {
	l.peek()
	begin, depth := l.at, 0
	for l.at < len(l.in) {
		switch l.in[l.at] {
		case '"':
			if _, _, ok := l.token(); !ok {
				return nil, false
			}
			if depth == 0 {
				return l.in[begin:l.at], true
			}
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return nil, false
			}
		case '}', ']':
			if depth == 0 {
				return l.in[begin:l.at], l.at > begin
			}
			if depth--; depth == 0 {
				l.at++
				return l.in[begin:l.at], true
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return l.in[begin:l.at], l.at > begin
			}
		}
		l.at++
	}
	return nil, false
}

// plainLength is how many bytes from the beginning are printable ASCII other
// than the quotation mark and the backslash. It looks at eight of them at once.
func plainLength(b []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		v := binary.LittleEndian.Uint64(b[n:])
		quote, backslash := v^(ones*'"'), v^(ones*'\\')
		// Of the bytes where one of these has the high bit, the lowest is the
		// first that is not plain. Beyond ASCII one of them keeps it.
		odd := ((v - ones*' ') | (quote - ones) | (backslash - ones)) & high
		if odd != 0 {
			return n + bits.TrailingZeros64(odd)/8
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] < 0x80 && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}
