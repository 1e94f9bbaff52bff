package postgres

import (
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// blobTarget is the unpacked size at which a blob ends: larger ones pack
// little better, and reading one event unpacks its blob.
const blobTarget = 1 << 20

// One encoder and one decoder serve every goroutine: their stateless methods
// are safe for that.
var (
	packer = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest)))
	// 1 GiB is more than any event that a collector accepts.
	unpacker = must(zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<30)))
)

// blob is the raws of a batch and day, or of a part of them, end to end.
type blob struct {
	day    dayNumber
	packed []byte
}

// rawBuffers holds what blobs are put together in.
var rawBuffers = sync.Pool{New: func() any { return new(make([]byte, 0, blobTarget)) }}

// add appends the rows and blobs of a day's events.
func (j *job) add(day dayNumber, events []*audit.Event) {
	buffer := rawBuffers.Get().(*[]byte)
	raws := (*buffer)[:0]
	defer func() {
		if cap(raws) <= 2*blobTarget { // an exceptional event's memory goes
			*buffer = raws
		}
		rawBuffers.Put(buffer)
	}()
	flush := func() {
		if len(raws) > 0 {
			j.blobs = append(j.blobs, blob{day: day, packed: packer.EncodeAll(raws, make([]byte, 0, len(raws)/6))})
			raws = raws[:0]
		}
	}
	for _, e := range events {
		if len(raws) > 0 && len(raws)+len(e.Raw) > blobTarget {
			flush()
		}
		at := place{blob: len(j.blobs), start: len(raws), size: len(e.Raw)}
		raws = append(raws, e.Raw...)
		j.rows = append(j.rows, encodeRow(e, day, at))
	}
	flush()
}
