package redact

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// maxEmbedded is how many objects are looked for in a text that have no end or
// are no JSON. After them the rest is read as a text alone.
const maxEmbedded = 32

// embedded redacts objects of JSON that stand within a text.
func (f *finder) embedded() {
	tries := 0
	for i := 0; i < len(f.text) && tries < maxEmbedded; i++ {
		open := bytes.IndexByte(f.text[i:], '{')
		if open < 0 {
			return
		}
		if i += open; !opensObject(f.text, i) {
			continue
		}
		end := objectEnd(f.text, i)
		if end < 0 || !jsontext.Value(f.text[i:end]).IsValid(lax...) {
			tries++
			continue
		}
		f.object(i, end)
		i = end - 1
	}
}

func (f *finder) object(from, to int) {
	defer f.leave()
	if !f.enter() {
		f.take(from, to)
		return
	}
	// Also where nothing is taken out: its names and quotes are no settings.
	out, redacted := f.json(f.text[from:to], place{})
	if !redacted {
		out = f.text[from:to]
	}
	f.cuts = append(f.cuts, cut{from: from, to: to, by: out})
}

// opensObject reports whether an object with members begins at a place.
func opensObject(text []byte, i int) bool {
	i++
	for n := 0; i < len(text) && n < maxSpaces && class[text[i]]&isSpace != 0; n++ {
		i++
	}
	return i < len(text) && text[i] == '"'
}

// objectEnd returns where the object ends that begins at a place; -1 where it
// has no end.
func objectEnd(text []byte, i int) int {
	for depth := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			end, _ := stringEnd(text, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// escapes takes out words with escapes in which a secret stands when they are
// read: password%3Dx, and what is left of JSON, \u0026sig=x.
func (f *finder) escapes() {
	for i := 0; i < len(f.text); i++ {
		if !isEscape(f.text, i) {
			continue
		}
		ends := endsEscaped
		if f.text[i] == '\\' {
			ends = endsArgument
		}
		from, to := i, i
		for from > 0 && !ends(f.text[from-1]) && i-from < maxEscaped {
			from--
		}
		for to < len(f.text) && !ends(f.text[to]) {
			to++
		}
		if f.hidesSecret(f.text[from:to]) {
			f.take(from, to)
		}
		i = to
	}
}

// maxEscaped is how far before its first escape a word is read.
const maxEscaped = 256

// hidesSecret reports whether a word holds a secret when its escapes are read.
func (f *finder) hidesSecret(word []byte) bool {
	text := unescaped(word)
	if !suspicious(text) {
		return false
	}
	defer f.leave()
	if !f.enter() {
		return true
	}
	_, changed := f.redactor.text(text)
	return changed
}

func endsArgument(c byte) bool { return class[c]&(isSpace|isQuote) != 0 }

func endsEscaped(c byte) bool {
	return class[c]&(isSpace|isQuote|isSetter|isSeparate) != 0 || c == '/' || c == '?' || c == '#' || c == '@' || c == ',' || c == '(' || c == ')'
}

// isEscape reports whether an escape of ASCII begins at a place: %3D or \u003d.
func isEscape(text []byte, i int) bool {
	switch text[i] {
	case '%':
		i++
	case '\\':
		if !hasPrefixAt(text, i, "\\u00") {
			return false
		}
		i += len("\\u00")
	default:
		return false
	}
	return i+1 < len(text) && '2' <= text[i] && text[i] <= '7' && isHex(text[i+1])
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// unescaped returns a word with its escapes read.
func unescaped(word []byte) []byte {
	out := make([]byte, 0, len(word))
	for i := 0; i < len(word); i++ {
		c := word[i]
		if isEscape(word, i) {
			if c == '\\' {
				i += len("u00")
			}
			c = hexValue(word[i+1])<<4 | hexValue(word[i+2])
			i += 2
		}
		out = append(out, c)
	}
	return out
}
