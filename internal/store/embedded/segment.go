package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A segment file holds the raw events of a day as a sequence of frames:
//
//	magic "ASG1", packed size, unpacked size, CRC-32C of the 12 bytes before
//	and the packed bytes; all little-endian uint32; then the packed bytes (zstd)
//
// A frame holds the raws of one batch, or of a part of a large one, end to
// end. Only rows say where each event is, and only committed rows count.
const (
	frameMagic  = 0x31475341 // "ASG1"
	frameHeader = 16
	// frameTarget is the unpacked size at which a frame ends: larger ones pack
	// little better, and reading one event unpacks its frame.
	frameTarget = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// One encoder and one decoder serve every goroutine: their stateless methods
// are safe for that.
var (
	packer = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false)))
	// 1 GiB is more than any event that a collector accepts.
	unpacker = must(zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<30)))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// rawBuffers holds what frames are put together in.
var rawBuffers = sync.Pool{New: func() any { return new(make([]byte, 0, frameTarget)) }}

// packFrame appends a frame of the raws to dst.
func packFrame(dst, raws []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameHeader)...)
	dst = packer.EncodeAll(raws, dst)
	header, packed := dst[start:start+frameHeader], dst[start+frameHeader:]
	binary.LittleEndian.PutUint32(header[0:], frameMagic)
	binary.LittleEndian.PutUint32(header[4:], uint32(len(packed)))
	binary.LittleEndian.PutUint32(header[8:], uint32(len(raws)))
	binary.LittleEndian.PutUint32(header[12:], frameSum(header, packed))
	return dst
}

func frameSum(header, packed []byte) uint32 {
	return crc32.Update(crc32.Checksum(header[:12], castagnoli), castagnoli, packed)
}

// errDamaged means that a segment does not hold what was written.
var errDamaged = errors.New("raw segment is damaged")

// readFrame returns the raws of the frame at an offset.
func readFrame(r io.ReaderAt, offset int64) ([]byte, error) {
	header := make([]byte, frameHeader)
	if _, err := r.ReadAt(header, offset); err != nil {
		return nil, fmt.Errorf("%w at offset %d: %w", errDamaged, offset, err)
	}
	if binary.LittleEndian.Uint32(header) != frameMagic {
		return nil, fmt.Errorf("%w at offset %d: no frame", errDamaged, offset)
	}
	size := int64(binary.LittleEndian.Uint32(header[4:]))
	// A damaged size must not become an allocation of gigabytes.
	packed, err := io.ReadAll(io.NewSectionReader(r, offset+frameHeader, size))
	if err != nil {
		return nil, fmt.Errorf("read raw segment: %w", err)
	}
	if int64(len(packed)) != size || frameSum(header, packed) != binary.LittleEndian.Uint32(header[12:]) {
		return nil, fmt.Errorf("%w at offset %d: checksum differs", errDamaged, offset)
	}
	raws, err := unpacker.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w at offset %d: %w", errDamaged, offset, err)
	}
	return raws, nil
}

func segmentPath(dir string, day int) string {
	return filepath.Join(dir, "raw", dayStart(day).Format(time.DateOnly)+".seg")
}

// readRaw returns an event's raw. A segment that retention removed since the
// row was read makes the event not found.
func (s *Store) readRaw(day int, at place) ([]byte, error) {
	if at.size == 0 {
		return nil, nil
	}
	file, err := os.Open(segmentPath(s.opts.Dir, day))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raws, err := readFrame(file, at.frame)
	if err != nil {
		return nil, err
	}
	if int64(at.start)+int64(at.size) > int64(len(raws)) {
		return nil, fmt.Errorf("%w at offset %d: frame is too short", errDamaged, at.frame)
	}
	return raws[at.start : at.start+at.size : at.start+at.size], nil
}

// segment is a day's file as the committer sees it.
type segment struct {
	file *os.File
	size int64 // committed; the next frame goes here
}

// dayEvents are the events of a batch that belong to one day, with their raws
// packed. Packing happens in the caller's goroutine, beside the committer.
type dayEvents struct {
	day    int
	events []*audit.Event
	places []place // frame is an index of frames here
	frames [][]byte
	chunks []*chunk // the rows, if they were worth it and there was room
	// imported events have an IngestedAt already.
	imported bool
}

// pack fills places and frames.
func (d *dayEvents) pack() {
	d.places = make([]place, len(d.events))
	buffer := rawBuffers.Get().(*[]byte)
	raws := (*buffer)[:0]
	defer func() {
		if cap(raws) <= 2*frameTarget { // an exceptional event's memory goes
			*buffer = raws
		}
		rawBuffers.Put(buffer)
	}()
	flush := func() {
		if len(raws) > 0 {
			d.frames = append(d.frames, packFrame(make([]byte, 0, frameHeader+len(raws)/6), raws))
			raws = raws[:0]
		}
	}
	for i, e := range d.events {
		if len(raws) > 0 && len(raws)+len(e.Raw) > frameTarget {
			flush()
		}
		d.places[i] = place{frame: int64(len(d.frames)), start: int32(len(raws)), size: int32(len(e.Raw))}
		raws = append(raws, e.Raw...)
	}
	flush()
}

// write puts frames at the end of the committed part. They count once a
// commit says so.
func (g *segment) write(frames []byte) error {
	_, err := g.file.WriteAt(frames, g.size)
	return err
}

// cut removes what no commit refers to.
func (g *segment) cut() error {
	return g.file.Truncate(g.size)
}

// openSegment opens a day's file and cuts it to its committed size.
func openSegment(dir string, day int, size int64) (*segment, error) {
	path := segmentPath(dir, day)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open raw segment: %w", err)
	}
	g := &segment{file: file, size: size}
	// A file that lost bytes grows here: its rows stay, their raws report the
	// damage, and new frames don't take the old ones' places.
	err = g.cut()
	if err == nil {
		// Whoever made it may have come no further.
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open raw segment: %w", err), file.Close())
	}
	return g, nil
}
