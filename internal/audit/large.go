package audit

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// large is an item beyond the bound, as it streams by. What the server wrote is
// held as a whole, and of bodies what the bound allows.
type large struct {
	condenser
	begun bool
	// The item may be an event that is wrapped as a string.
	wrapped bool
	pending []byte // an escape of the wrapping, not complete
	ended   bool
}

func newLarge(key Key, most int) *large {
	return &large{condenser: condenser{key: key, extent: extent{text: heldText, container: heldContainer, body: most, total: heldTotal}}}
}

// held is how much memory the item takes, in bytes.
func (l *large) held() int64 { return int64(cap(l.out)) }

func (l *large) write(p []byte) {
	if !l.begun && len(p) > 0 {
		l.begun = true
		if l.wrapped = p[0] == '"'; l.wrapped {
			p = p[1:]
		}
	}
	if !l.wrapped {
		l.condenser.write(p)
		return
	}
	for len(p) > 0 && !l.ended {
		if len(l.pending) > 0 {
			l.pending = append(l.pending, p[0])
			p = p[1:]
			l.unwrap()
			continue
		}
		n := textLength(p)
		l.condenser.write(p[:n])
		if p = p[n:]; len(p) > 0 {
			if l.ended = p[0] == '"'; !l.ended {
				l.pending = append(l.pending, p[0])
			}
			p = p[1:]
		}
	}
}

// unwrap writes what an escape stands for, once it is complete.
func (l *large) unwrap() {
	const escapes, stand = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	e := l.pending
	if e[1] != 'u' {
		for i := range len(escapes) {
			if escapes[i] == e[1] {
				l.condenser.write([]byte{stand[i]})
			}
		}
		l.pending = e[:0]
		return
	}
	if len(e) < 6 {
		return
	}
	first := escaped(e)
	if utf16.IsSurrogate(first) && first < 0xDC00 {
		if len(e) < 7 || e[6] == '\\' && (len(e) < 8 || e[7] == 'u' && len(e) < 12) {
			return
		}
		if len(e) == 12 {
			l.condenser.write(utf8.AppendRune(nil, utf16.DecodeRune(first, escaped(e[6:]))))
			l.pending = e[:0]
			return
		}
		rest := append([]byte(nil), e[6:]...)
		l.condenser.write(utf8.AppendRune(nil, utf8.RuneError))
		l.pending = e[:0]
		l.write(rest)
		return
	}
	l.condenser.write(utf8.AppendRune(nil, first))
	l.pending = e[:0]
}

func escaped(e []byte) rune {
	code, err := strconv.ParseUint(string(e[2:6]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(code)
}
