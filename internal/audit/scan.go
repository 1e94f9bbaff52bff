package audit

import (
	"bufio"
	"bytes"
	"errors"
	"hash"
	"io"
	"slices"
	"sync"
)

// scanner finds where JSON values begin and end in a stream, and holds no more
// than one of them, up to a bound. It looks at brackets and strings alone;
// whether a value is valid JSON is the parser's to say. It does not recurse, so
// no nesting is too deep for it.
type scanner struct {
	r   *bufio.Reader
	max int
	key Key
	// hold is told how much is held of a value beyond the bound.
	hold   func(bytes int64) error
	failed error // what it said
	// fresh says that a line begins here.
	fresh bool
	// inflated says that what arrives is less than what is read.
	inflated bool
}

var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

func newBuffer(r io.Reader) *bufio.Reader {
	b := buffers.Get().(*bufio.Reader)
	b.Reset(r)
	return b
}

func releaseBuffer(b *bufio.Reader) {
	b.Reset(nil)
	buffers.Put(b)
}

// errBroken means that the stream is not JSON where a value was expected.
var errBroken = errors.New("not JSON")

// span is one value as it was received.
type span struct {
	bytes []byte // nil when it is larger than the bound
	size  int64
	// Of a value beyond the bound there are its hash and what the server wrote.
	sum   hash.Hash
	large *large
	// most is the bound of one that may be more than an event; 0 for others.
	most int
}

// add goes on with the value.
func (s *scanner) add(to *span, b []byte) {
	s.fresh = s.fresh && len(b) == 0
	to.size += int64(len(b))
	if to.sum == nil && len(to.bytes)+len(b) <= max(s.max, to.most) {
		to.bytes = append(to.bytes, b...)
		if s.hold != nil && (s.inflated || len(to.bytes) > s.max) && s.failed == nil {
			s.failed = s.hold(int64(len(to.bytes)))
		}
		return
	}
	if to.sum == nil {
		to.sum, to.large = s.key.hasher(), newLarge(s.key, s.max)
		to.sum.Write(to.bytes)
		to.large.write(to.bytes)
		to.bytes = nil
	}
	to.sum.Write(b)
	to.large.write(b)
	if s.hold != nil && s.failed == nil {
		s.failed = s.hold(to.large.held())
	}
}

// hash is keyed, since a short item, or one of known parts, could be guessed by
// a plain one.
func (s *span) hash(key Key) [32]byte {
	sum := s.sum
	if sum == nil {
		sum = key.hasher()
		sum.Write(s.bytes)
	}
	return [32]byte(sum.Sum(nil))
}

// next skips white space and a byte-order mark, and returns the first byte of
// what follows without consuming it.
func (s *scanner) next() (byte, error) {
	for {
		b, err := s.r.Peek(1)
		if err != nil {
			return 0, err
		}
		skip := 0
		switch b[0] {
		case ' ', '\t', '\r', '\n':
			skip, s.fresh = 1, b[0] == '\n'
		case 0xEF:
			if mark, err := s.r.Peek(3); err == nil && string(mark) == "\ufeff" {
				skip = 3
			}
		}
		if skip == 0 {
			return b[0], nil
		}
		if _, err := s.r.Discard(skip); err != nil {
			return 0, err
		}
	}
}

// value adds the value that begins at the stream's place to the span. It
// returns errBroken where the stream ends within it, or where another line
// begins that no value can go on with.
func (s *scanner) value(into *span) error {
	var depth int
	var inString, escaped, begun bool
	var last byte // outside of strings, other than white space
	for {
		if s.failed != nil {
			return s.failed
		}
		// A chunk is what is buffered, so that bytes are looked at in place.
		if _, err := s.r.Peek(1); err != nil {
			if err == io.EOF && begun && depth == 0 && !inString {
				return nil // a bare word ends with the stream
			}
			return cutOff(err)
		}
		chunk := s.buffered()
		end, done := 0, false
		for end < len(chunk) && !done {
			if inString && !escaped {
				end += plainLength(chunk[end:])
				for len(chunk)-end >= 6 && chunk[end] == '\\' && chunk[end+1] == 'u' && plainLength(chunk[end+2:end+6]) == 4 {
					end += 6
				}
				if end == len(chunk) {
					break
				}
			}
			c := chunk[end]
			switch {
			case c == '\n' && (depth > 0 || inString):
				s.take(into, end)
				if s.lineBegins(inString, last) {
					return errBroken
				}
				chunk, end = s.buffered(), 0
				escaped = false
			case escaped:
				escaped = false
			case inString:
				switch c {
				case '\\':
					escaped = true
				case '"':
					inString = false
					done = depth == 0
				}
			case c == '"':
				inString = true
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				if depth == 0 {
					// It closes what the value stands in.
					s.take(into, end)
					return nonEmpty(begun)
				}
				depth--
				done = depth == 0
			case depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'):
				s.take(into, end)
				return nonEmpty(begun)
			}
			if !inString && c > ' ' {
				last = c
			}
			begun = true
			end++
		}
		s.take(into, end)
		if done {
			return nil
		}
	}
}

// lineBegins reports whether the line feed that comes next ends a broken value:
// an object begins the next line where the value can't go on with one, or it
// begins as an event or a list of them does.
func (s *scanner) lineBegins(inString bool, last byte) bool {
	ahead, _ := s.r.Peek(lookAhead)
	if len(ahead) < 2 || ahead[1] != '{' && ahead[1] != '[' {
		return false
	}
	if inString || last != '[' && last != ',' && last != ':' {
		return true
	}
	return beginsItem(ahead[1:])
}

// beginsItem reports whether what follows begins as an event does, or a list.
func beginsItem(ahead []byte) bool {
	return hasPrefix(bytes.TrimLeft(ahead, "[{ \t"), itemNames)
}

// beginsEvent reports whether an object comes next that begins as events do, and
// as nothing else does.
func (s *scanner) beginsEvent() bool {
	ahead, _ := s.r.Peek(lookAhead)
	return hasPrefix(bytes.TrimLeft(ahead, "{ \t"), eventBeginnings)
}

// beginsList reports whether a line begins here, as a list does.
func (s *scanner) beginsList() bool {
	ahead, _ := s.r.Peek(lookAhead)
	return s.fresh && len(ahead) > 0 && (ahead[0] == '[' && beginsItem(ahead) || hasPrefix(bytes.TrimLeft(ahead, "{ \t"), listNames))
}

const lookAhead = 64 // more than the longest of the names

// Members by which lists, and lists and events, are known.
var (
	listNames = []string{`"items":`, `"metadata":`, `"kind":"EventList"`}
	itemNames = func() []string {
		names := slices.Clone(listNames)
		for _, f := range eventFields {
			names = append(names, f.name)
		}
		return names
	}()
	eventBeginnings = func() []string {
		names := []string{`"kind":"Event",`}
		for _, f := range eventFields {
			if f.name != `"kind":` && f.name != `"apiVersion":` {
				names = append(names, f.name)
			}
		}
		return names
	}()
)

func hasPrefix(b []byte, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return bytes.HasPrefix(b, []byte(p)) })
}

func nonEmpty(begun bool) error {
	if !begun {
		return errBroken
	}
	return nil
}

// buffered is what was read of the stream and not consumed.
func (s *scanner) buffered() []byte {
	chunk, _ := s.r.Peek(s.r.Buffered())
	return chunk
}

func (s *scanner) discard(n int) { _, _ = s.r.Discard(n) } // n bytes are buffered

func (s *scanner) take(into *span, n int) {
	s.add(into, s.buffered()[:n])
	s.discard(n)
}

// skip consumes one byte if it is the wanted one.
func (s *scanner) skip(want byte) bool {
	b, err := s.next()
	if err != nil || b != want {
		return false
	}
	s.discard(1)
	s.fresh = false
	return true
}

// line consumes what is left up to a line that may begin a value, or to the
// end. At the end it returns io.EOF.
func (s *scanner) line(into *span) error {
	for {
		if s.failed != nil {
			return s.failed
		}
		b, err := s.r.Peek(1)
		if err != nil {
			return err
		}
		if s.fresh && (b[0] == '{' || b[0] == '[') {
			return nil
		}
		chunk := s.buffered()
		if end := bytes.IndexByte(chunk, '\n'); end >= 0 {
			s.take(into, end)
			s.discard(1)
			s.fresh = true
			continue
		}
		s.take(into, len(chunk))
	}
}

// cutOff is the error of a stream that ends where it may not.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return errBroken
	}
	return err
}
