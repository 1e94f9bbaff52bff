package embedded

import (
	"encoding/binary"
	"sync"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// chunk is rows in DuckDB's own layout: a vector for each column. The layout
// is that of its C API (duckdb.h).
type chunk struct {
	data    mapping.DataChunk
	columns []vector
	rows    int
}

// vector is one column of a chunk.
type vector struct {
	vector mapping.Vector
	values unsafe.Pointer // one for each row, of the size of the column's type
	valid  unsafe.Pointer // a bit for each row; nil for columns without NULL
}

// chunkRows is how many rows a chunk holds.
var chunkRows = int(mapping.VectorSize())

// newChunk makes an empty chunk of the given columns. Those with an index in
// nullable may hold NULL.
func newChunk(types []mapping.Type, nullable ...int) *chunk {
	logical := make([]mapping.LogicalType, len(types))
	for i, t := range types {
		if t == mapping.TypeList { // the one list there is holds addresses
			child := mapping.CreateLogicalType(mapping.TypeUUID)
			logical[i] = mapping.CreateListType(child)
			mapping.DestroyLogicalType(&child)
		} else {
			logical[i] = mapping.CreateLogicalType(t)
		}
		defer mapping.DestroyLogicalType(&logical[i])
	}
	c := &chunk{data: mapping.CreateDataChunk(logical), columns: make([]vector, len(types))}
	c.attach(nullable)
	return c
}

// attach finds where the columns' values are.
func (c *chunk) attach(nullable []int) {
	for i := range c.columns {
		v := mapping.DataChunkGetVector(c.data, mapping.IdxT(i))
		c.columns[i] = vector{vector: v, values: mapping.VectorGetData(v)}
	}
	for _, i := range nullable {
		mapping.VectorEnsureValidityWritable(c.columns[i].vector)
		c.columns[i].valid = mapping.VectorGetValidity(c.columns[i].vector)
	}
}

// reset empties the chunk.
func (c *chunk) reset(nullable []int) {
	mapping.DataChunkReset(c.data)
	c.rows = 0
	c.attach(nullable)
}

func (c *chunk) free() { mapping.DestroyDataChunk(&c.data) }

func at[T any](v *vector, row int) *T {
	var zero T
	return (*T)(unsafe.Add(v.values, uintptr(row)*unsafe.Sizeof(zero)))
}

// text sets a text; DuckDB makes NULL of one that isn't valid UTF-8. Up to
// twelve bytes stand in the vector itself.
func (v *vector) text(row int, s string) {
	if len(s) > 12 {
		mapping.VectorAssignStringElement(v.vector, mapping.IdxT(row), s)
		return
	}
	inline := at[[16]byte](v, row)
	*inline = [16]byte{}
	binary.NativeEndian.PutUint32(inline[:], uint32(len(s)))
	copy(inline[4:], s)
}

// bytes sets a blob.
func (v *vector) bytes(row int, b []byte) { v.text(row, unsafe.String(unsafe.SliceData(b), len(b))) }

// hugeint is how DuckDB holds a UUID: with its first bit turned, so that signed
// numbers have the order of the bytes.
type hugeint struct {
	low  uint64
	high int64
}

func hugeintOf(b [16]byte) hugeint {
	return hugeint{low: binary.BigEndian.Uint64(b[8:]), high: int64(binary.BigEndian.Uint64(b[:8]) ^ 1<<63)}
}

func (v *vector) uuid(row int, b [16]byte) { *at[hugeint](v, row) = hugeintOf(b) }

func (v *vector) null(row int) {
	word := (*uint64)(unsafe.Add(v.valid, row/64*8))
	*word &^= 1 << (row % 64)
}

// uuids sets a list.
func (v *vector) uuids(row int, ids [][16]byte) {
	type entry struct{ offset, length uint64 }
	old := mapping.ListVectorGetSize(v.vector)
	size := old + mapping.IdxT(len(ids))
	mapping.ListVectorReserve(v.vector, size)
	mapping.ListVectorSetSize(v.vector, size)
	child := vector{values: mapping.VectorGetData(mapping.ListVectorGetChild(v.vector))}
	for i, id := range ids {
		child.uuid(int(old)+i, id)
	}
	*at[entry](v, row) = entry{uint64(old), uint64(len(ids))}
}

// addEvent adds a row; there must be room. Every text passes store.Text, because
// DuckDB does not look at short ones.
func (c *chunk) addEvent(e *audit.Event, place place) {
	row, column := c.rows, -1
	next := func() *vector { column++; return &c.columns[column] }
	texts := func(values ...string) {
		for _, s := range values {
			next().text(row, store.Text(s))
		}
	}
	next().uuid(row, e.ID)
	*at[int64](next(), row) = e.OccurredAt.UnixMicro()
	*at[int64](next(), row) = e.StageAt.UnixMicro()
	next() // ingested_at, see settle
	texts(e.Source, e.Cluster)
	uuid := next()
	if id, ok := parseUUID(e.AuditID); ok {
		uuid.uuid(row, id)
		texts("")
	} else {
		uuid.null(row)
		texts(e.AuditID)
	}
	texts(e.Level, e.Stage, e.Actor, e.ActorKind, e.ActedVia, e.CredentialID,
		e.Method, e.Verb, e.ResourceType, e.Action,
		e.APIGroup, e.APIVersion, e.Resource, e.Subresource, e.Namespace, e.ResourceName, e.Path)
	*at[int32](next(), row) = int32(e.StatusCode)
	*at[uint8](next(), row) = uint8(e.DryRun)
	texts(e.Client, e.UserAgent)
	last, more := next(), next()
	switch ips := packIPs(e.IPs); len(ips) {
	case 0:
		last.null(row)
		more.null(row)
	case 1:
		last.uuid(row, ips[0])
		more.null(row)
	default:
		last.uuid(row, ips[len(ips)-1])
		more.uuids(row, ips[:len(ips)-1])
	}
	next().uuid(row, [16]byte(e.RawSHA256[:16]))
	next().uuid(row, [16]byte(e.RawSHA256[16:]))
	*at[int64](next(), row) = place.frame
	*at[int32](next(), row) = place.start
	*at[int32](next(), row) = place.size
	*at[bool](next(), row) = e.Truncated
	*at[bool](next(), row) = e.Foreign
	texts(joinGroups(e.Groups), joinGroups(e.ActedViaGroups))
	c.rows++
}

// Columns whose values only the committer knows.
const (
	columnIngestedAt = 3
	columnRawFrame   = 33
)

// settle sets what was not known when the rows were added.
func (c *chunk) settle(row int, ingestedAt, frame int64) {
	*at[int64](&c.columns[columnIngestedAt], row) = ingestedAt
	*at[int64](&c.columns[columnRawFrame], row) = frame
}

// eventTypes are the types of columns, and eventNullable those that may be NULL.
var (
	eventTypes = func() []mapping.Type {
		const text, long, id = mapping.TypeVarchar, mapping.TypeBigInt, mapping.TypeUUID
		return []mapping.Type{
			id, long, long, long, text, text, id, text, text, text,
			text, text, text, text, text, text, text, text,
			text, text, text, text, text, text,
			text, mapping.TypeInteger, mapping.TypeUTinyInt, text, text, id, mapping.TypeList, id, id,
			long, mapping.TypeInteger, mapping.TypeInteger, mapping.TypeBoolean, mapping.TypeBoolean, text, text,
		}
	}()
	eventNullable = []int{6, 29, 30}
)

// maxChunks bounds the chunks that wait for the committer. Each takes up to a
// megabyte; batches beyond it are put into rows by the committer.
const maxChunks = 48

// chunkPool lends empty chunks of events.
type chunkPool struct {
	mu   sync.Mutex
	free []*chunk
	made int
}

// get returns an empty chunk, or nil when as many as may be are in use.
func (p *chunkPool) get() *chunk {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		return c
	}
	if p.made == maxChunks {
		return nil
	}
	p.made++
	return newChunk(eventTypes, eventNullable...)
}

// put takes chunks back.
func (p *chunkPool) put(chunks []*chunk) {
	for _, c := range chunks {
		c.reset(eventNullable)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, chunks...)
}

func (p *chunkPool) close() {
	for _, c := range p.free {
		c.free()
	}
	p.free = nil
}

// fewRows is up to how many rows are not worth a chunk of their own.
const fewRows = 64

// fill makes chunks of the events, if they are many and there is room.
func (d *dayEvents) fill(pool *chunkPool) {
	if len(d.events) <= fewRows {
		return
	}
	for start := 0; start < len(d.events); start += chunkRows {
		c := pool.get()
		if c == nil {
			pool.put(d.chunks)
			d.chunks = nil
			return
		}
		d.chunks = append(d.chunks, c)
		for i := start; i < min(start+chunkRows, len(d.events)); i++ {
			c.addEvent(d.events[i], d.places[i])
		}
	}
}

// release gives the job's chunks back; the committer is done with them.
func (j *job) release(pool *chunkPool) {
	for _, d := range j.days {
		pool.put(d.chunks)
	}
}
