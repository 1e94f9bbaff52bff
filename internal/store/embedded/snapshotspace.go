package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Extensions of a snapshot's files. Bodies of before they were compressed stay
// as they are.
const (
	manifestFile = ".json"
	packedBody   = ".ndjson.zst"
	plainBody    = ".ndjson"
)

// snapshotWindow bounds the memory that packing and unpacking a body takes.
const snapshotWindow = 1 << 20

// space accounts for what snapshots take: those that are kept, and those that
// are being written.
type space struct {
	quota   store.SnapshotQuota
	reserve uint64                 // of the volume, which only events may use
	free    func() (uint64, error) // of the volume

	mu         sync.Mutex
	used       map[snapshotPlace]int64
	namespaced int64
	whole      int64
}

// add accounts for bytes, unless they pass a bound.
func (s *space) add(of store.SnapshotSpace, bytes int64) error {
	if err := s.checkReserve(of); err != nil {
		return err
	}
	place := snapshotPlace{of.Cluster, of.Namespace}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(place, bytes)
	usage := store.SnapshotUsage{Namespace: s.used[place], Namespaced: s.namespaced, Whole: s.whole}
	if err := s.quota.Check(of, usage); err != nil {
		s.count(place, -bytes)
		return err
	}
	return nil
}

// checkReserve fails when the volume has no more space than what is reserved.
func (s *space) checkReserve(of store.SnapshotSpace) error {
	if s.reserve == 0 || of.Unmetered {
		return nil
	}
	free, err := s.free()
	if err != nil {
		return fmt.Errorf("%w: %w", errVolume, err)
	}
	if free <= s.reserve {
		return fmt.Errorf("%w: %d bytes are free", store.ErrReserved, free)
	}
	return nil
}

// keep accounts for bytes whatever the bounds; negative ones are free again.
func (s *space) keep(place snapshotPlace, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(place, bytes)
}

func (s *space) count(place snapshotPlace, bytes int64) {
	if s.used == nil {
		s.used = map[snapshotPlace]int64{}
	}
	if s.used[place] += bytes; s.used[place] == 0 {
		delete(s.used, place)
	}
	if place.namespace != "" {
		s.namespaced += bytes
	}
	s.whole += bytes
}

// total is what all snapshots take.
func (s *space) total() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole
}

// meter accounts for what one snapshot takes while it is being written.
type meter struct {
	io.Writer
	space *space
	of    store.SnapshotSpace
	bytes int64
}

// Write implements io.Writer. What passes a bound is not written.
func (m *meter) Write(p []byte) (int, error) {
	if err := m.charge(int64(len(p))); err != nil {
		return 0, err
	}
	return m.Writer.Write(p)
}

func (m *meter) charge(bytes int64) error {
	if err := m.space.add(m.of, bytes); err != nil {
		return err
	}
	m.bytes += bytes
	return nil
}

// release gives back what was accounted for.
func (m *meter) release() {
	m.space.keep(snapshotPlace{m.of.Cluster, m.of.Namespace}, -m.bytes)
}

// packTo compresses what write writes. An error of w is an error of the next
// write, which ends a body that has no room.
func packTo(w io.Writer, write func(io.Writer) error) error {
	packer, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(snapshotWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	if err := write(packer); err != nil {
		_ = packer.Close() // what it writes is of no use
		return err
	}
	return packer.Close()
}

// unpacked reads a compressed body.
type unpacked struct {
	*zstd.Decoder
	file *os.File
}

// Read implements io.Reader.
func (u unpacked) Read(p []byte) (int, error) {
	n, err := u.Decoder.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read a snapshot: it %w: %w", store.ErrDamaged, err)
	}
	return n, err
}

// WriteTo would pass by Read.
func (u unpacked) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{u}) }

// Close implements io.Closer.
func (u unpacked) Close() error {
	u.Decoder.Close()
	return u.file.Close()
}

// open opens a body, or returns an error that is fs.ErrNotExist.
func (n *snapshots) open(id string) (io.ReadCloser, error) {
	file, err := os.Open(n.path(id, packedBody))
	if errors.Is(err, fs.ErrNotExist) {
		return openPlain(n.path(id, plainBody))
	}
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(snapshotWindow))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return unpacked{decoder, file}, nil
}

func openPlain(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return file, nil
}

// bodyOf is the extension of a snapshot's body.
func (n *snapshots) bodyOf(id string) string {
	if _, err := os.Lstat(n.path(id, packedBody)); errors.Is(err, fs.ErrNotExist) {
		return plainBody
	}
	return packedBody
}

// sizeOf is what a snapshot's files take.
func (n *snapshots) sizeOf(id string) int64 {
	size := int64(store.SnapshotOverhead)
	for _, extension := range []string{manifestFile, packedBody, plainBody} {
		if info, err := os.Stat(n.path(id, extension)); err == nil {
			size += info.Size()
		}
	}
	return size
}
