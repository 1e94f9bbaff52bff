package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/porter-dev/audit-operator/internal/store"
)

// tailPosition is how far a tail has read each day from a first one on. A day
// that isn't there has had no row.
type tailPosition struct {
	since int
	days  map[int]arrived
}

// writtenPosition is a position as it is sealed. How long it is follows from
// what was asked and from the clock alone: a day has its place whether it has
// rows or not, and of old ones there is one digest. Where that no longer holds,
// it can't be told what has come, and the tail begins anew.
type writtenPosition struct {
	since, first int       // first is that of days
	older        [8]byte   // of the days from since to first
	days         []arrived // one after the other
}

const (
	positionVersion = 2
	positionHead    = 1 + 4 + 4 + 8
	positionDay     = 5 + len(mark{})
	// mostDays have a place of their own.
	mostDays = 450
	// maxDay is more than there can be.
	maxDay = 1 << 24
)

// written returns the position as it is sealed when a day is the last that
// events may be of.
func (p tailPosition) written(last int) writtenPosition {
	for day := range p.days {
		last = max(last, day)
	}
	w := writtenPosition{since: p.since, first: max(p.since, last-mostDays+1)}
	w.older = digestOf(p.days, w.since, w.first)
	for day := w.first; day <= last; day++ {
		w.days = append(w.days, p.days[day])
	}
	return w
}

// read returns the position in a store with these rows.
func (w writtenPosition) read(now map[int]arrived) (tailPosition, error) {
	if digestOf(now, w.since, w.first) != w.older {
		return tailPosition{}, store.ErrPosition
	}
	p := tailPosition{w.since, map[int]arrived{}}
	for day, is := range now {
		if day >= w.since && day < w.first {
			p.days[day] = is
		}
	}
	for i, seen := range w.days {
		if seen.rows > 0 {
			p.days[w.first+i] = seen
		}
	}
	return p, nil
}

// digestOf is one of the days from one to another, without it.
func digestOf(days map[int]arrived, from, to int) (digest [8]byte) {
	var b []byte
	for _, day := range slices.Sorted(maps.Keys(days)) {
		if of := days[day]; day >= from && day < to {
			b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, uint32(day)), uint64(of.rows))
			b = append(b, of.last[:]...)
		}
	}
	if len(b) > 0 {
		sum := sha256.Sum256(b)
		copy(digest[:], sum[:])
	}
	return digest
}

// encode writes the version, since, first and the digest, then of each day the
// number of its rows and the mark of the last of them.
func (w writtenPosition) encode() []byte {
	b := append(make([]byte, 0, positionHead+len(w.days)*positionDay), positionVersion)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(w.since)), uint32(w.first))
	b = append(b, w.older[:]...)
	for _, day := range w.days {
		b = append(b, byte(day.rows>>32))
		b = binary.BigEndian.AppendUint32(b, uint32(day.rows))
		b = append(b, day.last[:]...)
	}
	return b
}

// decodePosition reads what encode wrote; anything else is store.ErrPosition.
func decodePosition(b []byte) (writtenPosition, error) {
	if len(b) < positionHead || b[0] != positionVersion || (len(b)-positionHead)%positionDay != 0 {
		return writtenPosition{}, store.ErrPosition
	}
	w := writtenPosition{since: int(binary.BigEndian.Uint32(b[1:])), first: int(binary.BigEndian.Uint32(b[5:])), older: [8]byte(b[9:])}
	b = b[positionHead:]
	if w.since > w.first || w.first > maxDay || len(b) > mostDays*positionDay {
		return writtenPosition{}, store.ErrPosition
	}
	for ; len(b) > 0; b = b[positionDay:] {
		of := arrived{rows: int64(b[0])<<32 | int64(binary.BigEndian.Uint32(b[1:])), last: mark(b[5:])}
		if of.rows == 0 && of.last != (mark{}) {
			return writtenPosition{}, store.ErrPosition
		}
		w.days = append(w.days, of)
	}
	return w, nil
}
