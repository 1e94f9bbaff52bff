package embedded

import (
	"context"
	"database/sql"
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// De-duplication: an event's day is a function of its content, as its ID is,
// so an ID can only be stored in its own day. Each day that takes events has a
// Bloom filter of its IDs in memory; what the filter may hold is looked up.

// maxFilterIDs is for how many IDs there is room in all filters together, unless
// one day alone needs more: 3 bytes each, so about 100 MB. A filter that was let
// go is built again when its day takes events.
const maxFilterIDs = 32 << 20

// filters are the days' filters. The committer changes them, readers ask.
type filters struct {
	mu   sync.RWMutex
	days map[int]*bloom
	used map[int]int // when a day last took events, for eviction
	tick int
	// begun has what was committed to a day while its filter is made elsewhere.
	begun map[int]*bloom
}

func (f *filters) init() {
	f.days, f.used, f.begun = map[int]*bloom{}, map[int]int{}, map[int]*bloom{}
}

// mayHold reports whether a day may hold an ID: true where no filter knows.
func (f *filters) mayHold(day int, id audit.ID) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	filter := f.days[day]
	return filter == nil || filter.mayHold(id)
}

// add records what was committed to a day.
func (f *filters) add(day int, ids []audit.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, filter := range []*bloom{f.days[day], f.begun[day]} {
		if filter == nil {
			continue
		}
		for _, id := range ids {
			filter.add(id)
		}
	}
}

// drop forgets a day.
func (f *filters) drop(day int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.days, day)
	delete(f.used, day)
	delete(f.begun, day)
}

// dropAll forgets everything, after a commit whose outcome isn't known.
func (f *filters) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.init()
}

// ensure makes sure that a day has a filter, building it from the day's rows.
func (f *filters) ensure(ctx context.Context, conn *sql.Conn, day int, exists bool) error {
	f.mu.Lock()
	f.tick++
	f.used[day] = f.tick
	have := f.days[day] != nil
	f.mu.Unlock()
	if have {
		return nil
	}
	filter := &bloom{}
	if exists {
		rows, err := conn.QueryContext(ctx, "SELECT id FROM "+tableOf(day))
		if err != nil {
			return err
		}
		var raw sql.RawBytes
		if err := each(rows, func() error {
			err := rows.Scan(&raw)
			if err == nil {
				filter.add(audit.ID(raw))
			}
			return err
		}); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.days[day] = filter
	for f.size() > maxFilterIDs && len(f.days) > 1 {
		oldest := day
		for d := range f.days {
			if f.used[d] < f.used[oldest] || f.used[d] == f.used[oldest] && d < oldest {
				oldest = d
			}
		}
		delete(f.days, oldest)
		delete(f.used, oldest)
	}
	return nil
}

// size is how many IDs the filters have room for.
func (f *filters) size() int {
	n := 0
	for _, filter := range f.days {
		n += filter.capacity()
	}
	return n
}

// A bloom filter in blocks of one cache line: 24 bits and 8 probes for an ID,
// about one false positive in 10,000. It grows by adding a layer of twice the
// size, so no ID need be read again.
type bloom struct {
	layers []bloomLayer
}

// capacity is how many IDs it has memory for.
func (b *bloom) capacity() int {
	n := 0
	for _, layer := range b.layers {
		n += layer.capacity
	}
	return n
}

type bloomLayer struct {
	blocks   [][8]uint64
	room     int // IDs that it still takes
	capacity int
}

const (
	firstLayer  = 1 << 14 // IDs
	bitsPerID   = 24
	probesPerID = 8
)

func (b *bloom) add(id audit.ID) {
	if n := len(b.layers); n == 0 || b.layers[n-1].room == 0 {
		capacity := firstLayer
		if n > 0 {
			capacity = 2 * b.layers[n-1].capacity
		}
		b.layers = append(b.layers, bloomLayer{
			blocks: make([][8]uint64, capacity*bitsPerID/512), room: capacity, capacity: capacity,
		})
	}
	layer := &b.layers[len(b.layers)-1]
	layer.room--
	place, probes := bloomHash(id)
	block := layer.block(place)
	for range probesPerID {
		block[probes>>6&7] |= 1 << (probes & 63)
		probes = bits.RotateLeft64(probes, 9) * 0x9e3779b97f4a7c15
	}
}

func (b *bloom) mayHold(id audit.ID) bool {
	place, first := bloomHash(id)
layers:
	for i := range b.layers {
		block, probes := b.layers[i].block(place), first
		for range probesPerID {
			if block[probes>>6&7]&(1<<(probes&63)) == 0 {
				continue layers
			}
			probes = bits.RotateLeft64(probes, 9) * 0x9e3779b97f4a7c15
		}
		return true
	}
	return false
}

func (l *bloomLayer) block(place uint64) *[8]uint64 {
	high, _ := bits.Mul64(place, uint64(len(l.blocks)))
	return &l.blocks[high]
}

// bloomHash mixes both halves, so that IDs that are no hashes spread, too.
func bloomHash(id audit.ID) (place, probes uint64) {
	a, b := binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint64(id[8:])
	return mix(a ^ mix(b)), mix(b + mix(a+0x9e3779b97f4a7c15))
}

func mix(x uint64) uint64 { // the finalizer of MurmurHash3
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// storedIDs returns which of the events a day's table holds. The bounds on
// time let DuckDB skip the row groups of other hours.
func storedIDs(ctx context.Context, conn *sql.Conn, day int, events []*audit.Event) (map[audit.ID]bool, error) {
	first, last := events[0].OccurredAt, events[0].OccurredAt
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = uuidText(e.ID[:])
		if e.OccurredAt.Before(first) {
			first = e.OccurredAt
		}
		if e.OccurredAt.After(last) {
			last = e.OccurredAt
		}
	}
	rows, err := conn.QueryContext(ctx, "SELECT id FROM "+tableOf(day)+
		" WHERE occurred_at BETWEEN $1 AND $2 AND id IN (SELECT unnest($3::VARCHAR[])::UUID)",
		first.UnixMicro(), last.UnixMicro(), ids)
	if err != nil {
		return nil, err
	}
	stored := map[audit.ID]bool{}
	err = each(rows, func() error {
		var id []byte
		err := rows.Scan(&id)
		if err == nil {
			stored[audit.ID(id)] = true
		}
		return err
	})
	return stored, err
}
