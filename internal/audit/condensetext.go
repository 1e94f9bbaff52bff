package audit

import (
	"strconv"
	"unicode/utf8"
)

// textLength is how many bytes from the beginning of a text's rest are neither
// its end nor an escape.
func textLength(p []byte) int {
	n := plainLength(p)
	for n < len(p) && p[n] != '"' && p[n] != '\\' {
		n++
		n += plainLength(p[n:])
	}
	return n
}

// plainEscapes writes what escapes of printable ASCII stand for, as many as
// follow each other: API servers write &, < and > so.
func (c *condenser) plainEscapes(p []byte) []byte {
	var space [512]byte
	text := space[:0]
	for len(p) >= 6 && string(p[:4]) == `\u00` {
		b := hexDigit[p[4]]<<4 | hexDigit[p[5]]
		if hexDigit[p[4]] > 7 || hexDigit[p[5]] > 15 || b < ' ' || b >= 0x7f || b == '"' || b == '\\' {
			break
		}
		if text = append(text, b); len(text) == cap(text) {
			c.keep(text)
			text = space[:0]
		}
		p = p[6:]
	}
	c.keep(text)
	return p
}

// hexDigit has the value of each hexadecimal digit, and 255 for what is none.
var hexDigit = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for i := range 16 {
		values["0123456789abcdef"[i]], values["0123456789ABCDEF"[i]] = byte(i), byte(i)
	}
	return values
}()

// unescape gathers an escape and writes it, shorter if it can be.
func (c *condenser) unescape(p []byte) []byte {
	whole := 2
	if len(c.escape) > 1 && c.escape[1] == 'u' || len(c.escape) == 1 && p[0] == 'u' {
		whole = 6
	}
	n := min(whole-len(c.escape), len(p))
	c.escape = append(c.escape, p[:n]...)
	if len(c.escape) < whole {
		return p[n:]
	}
	written := c.escape
	if whole == 6 {
		if code, err := strconv.ParseUint(string(written[2:]), 16, 16); err == nil && code >= ' ' && code < 0x7f && code != '"' && code != '\\' {
			written = []byte{byte(code)}
		}
	} else if written[1] == '/' {
		written = written[1:]
	}
	c.keep(written)
	c.escape = c.escape[:0]
	return p[n:]
}

// most is a bound, or the least one when much is kept already.
func (c *condenser) most(bound int) int {
	if len(c.out)-c.bodies > c.total {
		return min(bound, leastKept)
	}
	return bound
}

// wholeLength is how many of the first bytes of an encoded text hold no half
// escape and no half character.
func wholeLength(text []byte, most int) int {
	n := 0
	for n < len(text) {
		size := 1
		switch {
		case text[n] == '\\' && n+1 < len(text) && text[n+1] == 'u':
			size = 6
		case text[n] == '\\':
			size = 2
		case text[n] >= utf8.RuneSelf:
			if _, size = utf8.DecodeRune(text[n:]); !utf8.FullRune(text[n:]) {
				return n
			}
		}
		if n+size > most {
			break
		}
		n += size
	}
	return min(n, len(text))
}

func (c *condenser) closeText() {
	if c.text.hash != nil {
		c.cut = true
		c.out = append(c.out, c.text.mark(cutShort)...)
		c.text = digest{}
	}
	c.leaf = noLeaf
	c.put('"')
	c.last = '"'
}

func (c *condenser) endLeaf() {
	if c.leaf != inWord {
		return
	}
	if c.text.hash != nil {
		c.cut = true
		c.out = append(c.out[:c.begin], quoted(c.text.mark(leftOut))...)
		c.text = digest{}
	}
	c.leaf, c.last = noLeaf, 'w'
}
