package query

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// Cursor is where a page of an answer starts. It holds the resolved window, so
// that a later page speaks of the same time, and the filter's hash, so that it
// can't be used with another. It holds no scope: that is checked anew.
type Cursor struct {
	Position Position
	Window   Window
	// FilterHash is Filter.Hash of the filter it belongs to.
	FilterHash string
}

// ErrCursor means that a cursor was altered, cut off or made for another filter.
var ErrCursor = errors.New("cursor: does not belong to this filter; begin with the first page")

const (
	cursorVersion = 1
	cursorLength  = 1 + 3*8 + 16 + 16
)

var cursorEncoding = base64.RawURLEncoding.Strict()

// The years that answers may speak of: RFC 3339 writes four digits.
const (
	minYear = 1
	maxYear = 9999
)

// Writable reports whether RFC 3339 can write a time. Answers write their
// window, and encoders fail on one that can't be.
func Writable(t time.Time) bool {
	year := t.UTC().Year()
	return minYear <= year && year <= maxYear
}

// Encode writes the cursor for a URL.
func (c Cursor) Encode() string {
	b := make([]byte, 0, cursorLength)
	b = append(b, cursorVersion)
	for _, t := range []time.Time{c.Position.OccurredAt, c.Window.From, c.Window.To} {
		b = binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()))
	}
	b = append(b, c.Position.ID[:]...)
	hash, err := hex.DecodeString(c.FilterHash)
	if err != nil || len(hash) != 16 {
		panic("query: a cursor's FilterHash must come from Filter.Hash")
	}
	return cursorEncoding.EncodeToString(append(b, hash...))
}

// DecodeCursor reads what Encode wrote for the filter; anything else is ErrCursor.
func DecodeCursor(s string, f Filter) (Cursor, error) {
	// The decoder passes over line breaks, which no cursor has.
	b, err := cursorEncoding.DecodeString(s)
	if err != nil || len(s) != cursorEncoding.EncodedLen(cursorLength) || len(b) != cursorLength || b[0] != cursorVersion {
		return Cursor{}, ErrCursor
	}
	var times [3]time.Time
	for i := range times {
		times[i] = time.UnixMicro(int64(binary.BigEndian.Uint64(b[1+8*i:]))).UTC()
		if !Writable(times[i]) {
			return Cursor{}, ErrCursor
		}
	}
	c := Cursor{
		Position:   Position{OccurredAt: times[0], ID: audit.ID(b[25:41])},
		Window:     Window{From: times[1], To: times[2]},
		FilterHash: hex.EncodeToString(b[41:]),
	}
	inside := !c.Position.OccurredAt.Before(c.Window.From) && c.Position.OccurredAt.Before(c.Window.To)
	if c.FilterHash != f.Hash() || !inside {
		return Cursor{}, ErrCursor
	}
	return c, nil
}
