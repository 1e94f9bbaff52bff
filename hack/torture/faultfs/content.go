package faultfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// pageSize is the unit in which the cut keeps data or loses it.
const pageSize = 4096

// content is a file's data: as it reads now, and enough of what it was at its
// last fsync to go back there.
type content struct {
	data    []byte
	durable int64 // the size at the last fsync
	changed map[int64]*page
}

// page is one that was changed since the last fsync.
type page struct {
	before []byte // what the disk holds; nil for nothing
	// lost marks a page whose fsync failed: the kernel takes it for written
	// then, so only writing it again makes the next fsync write it.
	lost bool
}

func newContent(data []byte) content {
	return content{data: data, durable: int64(len(data)), changed: map[int64]*page{}}
}

func (c *content) write(b []byte, offset int64) {
	if end := offset + int64(len(b)); end > int64(len(c.data)) {
		c.truncate(end)
	}
	c.touch(offset, offset+int64(len(b)))
	copy(c.data[offset:], b)
}

func (c *content) truncate(size int64) {
	length := int64(len(c.data))
	if size < length {
		c.touch(size, length)
		c.data = c.data[:size]
		return
	}
	c.touch(length, size)
	c.data = append(c.data, make([]byte, size-length)...)
}

// touch notes that the bytes [from, to) are about to change.
func (c *content) touch(from, to int64) {
	for n := from / pageSize; n*pageSize < to; n++ {
		if p := c.changed[n]; p != nil {
			p.lost = false
			continue
		}
		p := &page{}
		if start, end := n*pageSize, min((n+1)*pageSize, c.durable, int64(len(c.data))); start < end {
			p.before = append(p.before, c.data[start:end]...)
		}
		c.changed[n] = p
	}
}

// sync makes everything durable but what a failed fsync lost.
func (c *content) sync() {
	c.durable = int64(len(c.data))
	for n, p := range c.changed {
		if !p.lost || n*pageSize >= c.durable {
			delete(c.changed, n)
		}
	}
}

// syncFailed is what a failed fsync does: nothing is durable, and nothing that
// was written before it ever will be.
func (c *content) syncFailed() {
	for _, p := range c.changed {
		p.lost = true
	}
}

// survivor returns what a power cut leaves: what was synced, and with a source
// of chance any of the pages and sizes that were not.
func (c *content) survivor(chance *rand.Rand) []byte {
	size, odds := c.durable, 0.0
	if chance != nil {
		odds = float64(chance.IntN(5)) / 4
		if chance.IntN(2) == 0 {
			size = int64(len(c.data))
		}
	}
	left := make([]byte, size)
	copy(left, c.data)
	for _, n := range slices.Sorted(maps.Keys(c.changed)) { // sorted, for a seed to mean something
		p := c.changed[n]
		start, end := n*pageSize, min((n+1)*pageSize, size)
		if start >= end || !p.lost && odds > 0 && chance.Float64() < odds && start < int64(len(c.data)) {
			continue
		}
		clear(left[start:end])
		copy(left[start:end], p.before)
	}
	return left
}
