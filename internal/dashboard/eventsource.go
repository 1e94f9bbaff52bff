package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shownSource is how much of an event's JSON a page shows, in bytes of it
// indented.
const shownSource = 64 << 10

// source is an event as received, ready to be shown.
type source struct {
	Tokens []token
	Raw    string // the address of all of it
	Size   int    // bytes as received
	Cut    bool   // only the beginning is shown
}

// token is a piece of JSON text, with the class of CSS that colours it.
type token struct{ Class, Text string }

// Classes of tokens.
const (
	tokenKey     = "k"
	tokenString  = "s"
	tokenNumber  = "n"
	tokenLiteral = "l"
)

func newSource(raw []byte, address string) source {
	text, cut := indent(raw), false
	if len(text) > shownSource {
		end := shownSource
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text, cut = text[:end], true
	}
	return source{Tokens: tokens(text), Raw: address, Size: len(raw), Cut: cut}
}

// maxIndents is the most bytes of line breaks and spaces that laying JSON out
// may add: deep in an event each line begins with thousands of spaces.
const maxIndents = 8 << 20

// indent lays JSON out. What can't be seen in a text, or turns it around, is
// written as JSON escapes, which mean the same.
func indent(raw []byte) string {
	var out bytes.Buffer
	text := raw
	if indents(raw) <= maxIndents {
		if err := json.Indent(&out, raw, "", "  "); err == nil {
			text = out.Bytes()
		}
	}
	// Escapes make it longer only.
	return escapeUnseen(string(text[:min(len(text), shownSource+utf8.UTFMax)]))
}

// indents returns about how many bytes laying JSON out adds.
func indents(raw []byte) int {
	n, depth, inText := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			depth++
			n += 2*depth + 1
		case c == '}' || c == ']':
			depth--
			n += 2*max(0, depth) + 1
		case c == ',':
			n += 2*depth + 1
		}
	}
	return n
}

func escapeUnseen(text string) string {
	if strings.IndexFunc(text, unseen) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !unseen(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// unseen reports whether a character has no shape of its own.
func unseen(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r))
}

// tokens splits JSON text for colouring. Together they are the text again,
// whatever it is.
func tokens(text string) []token {
	var out []token
	add := func(class, text string) {
		if n := len(out); class == "" && n > 0 && out[n-1].Class == "" {
			out[n-1].Text += text
			return
		}
		out = append(out, token{class, text})
	}
	for text != "" {
		var n int
		var class string
		switch c := text[0]; {
		case c == '"':
			n, class = stringEnd(text), tokenString
			if rest := strings.TrimLeft(text[n:], " "); strings.HasPrefix(rest, ":") {
				class = tokenKey
			}
		case c == '-' || '0' <= c && c <= '9':
			n, class = span(text, "+-.0123456789eE"), tokenNumber
		case 'a' <= c && c <= 'z':
			n, class = span(text, "abcdefghijklmnopqrstuvwxyz"), tokenLiteral
		default:
			if n = strings.IndexFunc(text, startsToken); n <= 0 {
				n = len(text)
			}
		}
		add(class, text[:n])
		text = text[n:]
	}
	return out
}

func startsToken(r rune) bool {
	return r == '"' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z'
}

// span is how many bytes of the beginning are of the given ones.
func span(text, of string) int {
	return len(text) - len(strings.TrimLeft(text, of))
}

// stringEnd is where the string that text begins with ends, or the text.
func stringEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
