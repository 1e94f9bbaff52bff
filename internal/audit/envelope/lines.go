package envelope

import (
	"bufio"
	"bytes"
	"io"
)

// trimText takes away a byte-order mark and white space.
func trimText(text []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(text), []byte("\ufeff")))
}

// maxPrefix is more than the longest prefix of a line.
const maxPrefix = 64

// PrefixLength is the length of what container runtimes (CRI) and exports of
// CloudWatch write before each line: a time, and the stream with a mark. It is 0
// where there is none.
func PrefixLength(line []byte) int {
	n, _ := linePrefix(line)
	return n
}

// linePrefix also reports whether the line goes on in the next one.
func linePrefix(line []byte) (n int, partial bool) {
	if len(line) > maxPrefix {
		line = line[:maxPrefix]
	}
	const least = len("2006-01-02T15:04:05Z ")
	n = bytes.IndexByte(line, ' ') + 1
	if n < least || line[4] != '-' || line[7] != '-' || line[10] != 'T' || line[13] != ':' || line[16] != ':' || line[0] < '0' || line[0] > '9' {
		return 0, false
	}
	rest := line[n:]
	for _, stream := range []string{"stdout ", "stderr "} {
		tags, ok := bytes.CutPrefix(rest, []byte(stream))
		if !ok {
			continue
		}
		end := bytes.IndexByte(tags, ' ')
		if end < 1 || tags[0] != 'F' && tags[0] != 'P' {
			return 0, false
		}
		return n + len(stream) + end + 1, tags[0] == 'P'
	}
	if len(rest) == 0 || rest[0] != '{' && rest[0] != '[' {
		return 0, false
	}
	return n, false
}

// Lines takes the prefixes away from lines that have one, and joins lines that
// the runtime has cut.
type Lines struct {
	r       *bufio.Reader
	fresh   bool // a line begins here
	partial bool // the line goes on in the next one
}

// NewLines returns a reader of lines; one begins where the reader stands.
func NewLines(r *bufio.Reader) *Lines { return &Lines{r: r, fresh: true} }

// Read implements io.Reader.
func (l *Lines) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if _, err := l.r.Peek(1); err != nil {
			return 0, err
		}
		if l.fresh {
			ahead, err := l.r.Peek(maxPrefix)
			if err != nil && err != io.EOF {
				return 0, err
			}
			n, partial := linePrefix(ahead)
			_, _ = l.r.Discard(n) // they are buffered
			l.fresh, l.partial = false, partial
			if n > 0 {
				continue
			}
		}
		chunk, _ := l.r.Peek(min(l.r.Buffered(), len(p)))
		end := bytes.IndexByte(chunk, '\n')
		if end < 0 {
			n := copy(p, chunk)
			_, _ = l.r.Discard(n)
			return n, nil
		}
		n := copy(p, chunk[:end+1])
		_, _ = l.r.Discard(n)
		l.fresh = true
		if l.partial {
			n--
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, nil
}
