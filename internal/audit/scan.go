package audit

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"sync"
)

// scanner finds where JSON values begin and end in a stream, and holds no more
// than one of them, up to a bound. It looks at brackets and strings alone;
// whether a value is valid JSON is the parser's to say. It does not recurse, so
// no nesting is too deep for it.
type scanner struct {
	r   *bufio.Reader
	max int
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
	sum   hash.Hash // of an oversized value
}

func (s *span) add(b []byte, bound int) {
	s.size += int64(len(b))
	if s.sum == nil && len(s.bytes)+len(b) <= bound {
		s.bytes = append(s.bytes, b...)
		return
	}
	if s.sum == nil {
		s.sum = sha256.New()
		s.sum.Write(s.bytes)
		s.bytes = nil
	}
	s.sum.Write(b)
}

func (s *span) sha256() [32]byte {
	if s.sum == nil {
		return sha256.Sum256(s.bytes)
	}
	return [32]byte(s.sum.Sum(nil))
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
			skip = 1
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
// returns io.ErrUnexpectedEOF where the stream ends within it.
func (s *scanner) value(into *span) error {
	var depth int
	var inString, escaped, begun bool
	for {
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
			c := chunk[end]
			switch {
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
			begun = true
			end++
		}
		s.take(into, end)
		if done {
			return nil
		}
	}
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
	into.add(s.buffered()[:n], s.max)
	s.discard(n)
}

// skip consumes one byte if it is the wanted one.
func (s *scanner) skip(want byte) bool {
	b, err := s.next()
	if err != nil || b != want {
		return false
	}
	s.discard(1)
	return true
}

// rest consumes everything that is left.
func (s *scanner) rest(into *span) error {
	for {
		if _, err := s.r.Peek(1); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		s.take(into, s.r.Buffered())
	}
}

// cutOff is the error of a stream that ends where it may not.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return errBroken
	}
	return err
}
