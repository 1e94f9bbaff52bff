package embedded

import (
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

const positionVersion = 1

// encode writes, as uvarints, the version, since and the number of days, then
// of each day its distance from the one before and the number of its rows, and
// the mark of the last of them.
func (p tailPosition) encode() []byte {
	b := binary.AppendUvarint([]byte{positionVersion}, uint64(p.since))
	b = binary.AppendUvarint(b, uint64(len(p.days)))
	before := p.since - 1
	for _, day := range slices.Sorted(maps.Keys(p.days)) {
		b = binary.AppendUvarint(b, uint64(day-before))
		b = binary.AppendUvarint(b, uint64(p.days[day].rows))
		last := p.days[day].last
		b = append(b, last[:]...)
		before = day
	}
	return b
}

// maxDay and maxRows are more than there can be.
const (
	maxDay  = 1 << 24
	maxRows = 1 << 48
)

// decodePosition reads what encode wrote; anything else is store.ErrPosition.
func decodePosition(b []byte) (tailPosition, error) {
	if len(b) == 0 || b[0] != positionVersion {
		return tailPosition{}, store.ErrPosition
	}
	b = b[1:]
	bad := false
	number := func(limit uint64) int64 {
		n, size := binary.Uvarint(b)
		// The shortest form alone, so that each position has one.
		if size <= 0 || n > limit || size > 1 && b[size-1] == 0 {
			bad = true
			return 0
		}
		b = b[size:]
		return int64(n)
	}
	p := tailPosition{since: int(number(maxDay)), days: map[int]arrived{}}
	day := p.since - 1
	for n := number(maxDay); n > 0 && !bad; n-- {
		distance := int(number(maxDay))
		of := arrived{rows: number(maxRows)}
		day += distance
		if bad || distance == 0 || of.rows == 0 || day > maxDay || len(b) < len(of.last) {
			return tailPosition{}, store.ErrPosition
		}
		of.last = mark(b[:len(of.last)])
		b = b[len(of.last):]
		p.days[day] = of
	}
	if bad || len(b) > 0 {
		return tailPosition{}, store.ErrPosition
	}
	return p, nil
}
