package embedded

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"
)

// ErrNoBackup means that what was read is not a backup as it was written: it
// was cut off, changed, or is something else.
var ErrNoBackup = errors.New("no whole backup")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrNoBackup, fmt.Errorf(format, args...))
}

// archiveReader reads an archive and checks all of it.
type archiveReader struct {
	header Header

	in      io.Reader // the archive, counted by read
	tar     *tar.Reader
	again   *archiveWriter // writes what was read into written
	read    crcWriter
	written crcWriter

	last  string // name
	files int    // begun
	bytes int64  // of these
	taken int64  // bytes that are read
}

// openArchive reads the header.
func openArchive(r io.Reader) (*archiveReader, error) {
	a := &archiveReader{}
	a.in = io.TeeReader(r, &a.read)
	a.tar = tar.NewReader(a.in)
	entry, err := a.entry()
	if err != nil {
		return nil, err
	}
	if entry.Name != headerName || entry.Size > maxHeader {
		return nil, damaged("it begins with %q, not with %s", entry.Name, headerName)
	}
	data, err := io.ReadAll(a.tar)
	if err != nil {
		return nil, a.failed(err)
	}
	if err := json.Unmarshal(data, &a.header); err != nil || a.header.Archive < 1 || a.header.Format < 1 {
		return nil, damaged("%s is not what a backup begins with", headerName)
	}
	if a.header.Archive > archiveVersion {
		return nil, fmt.Errorf("the backup has layout %d, written by version %s; this version reads layouts up to %d: use version %[2]s or newer",
			a.header.Archive, orUnknown(a.header.Version), archiveVersion)
	}
	if err := checkFormat("the backup", format{a.header.Format, a.header.Version}); err != nil {
		return nil, err
	}
	if err := a.header.checkDays(); err != nil {
		return nil, err
	}
	a.again, err = newArchiveWriter(&a.written, &a.header)
	if err != nil || a.read != a.written {
		return nil, damaged("%s was changed", headerName)
	}
	return a, nil
}

// checkDays makes sure that days are dates, in order: they name files and tables.
func (h *Header) checkDays() error {
	last := ""
	for _, day := range h.Days {
		if _, err := time.Parse(time.DateOnly, day.Day); err != nil || day.Day <= last {
			return damaged("%s names %q as a day after %q; days are written yyyy-mm-dd, in order", headerName, day.Day, last)
		}
		last = day.Day
	}
	return nil
}

// next gives the next file to take, which returns where its content goes, and
// closes that. It returns io.EOF once the whole archive has proved to be what
// was written.
func (a *archiveReader) next(take func(name string) (io.WriteCloser, error)) error {
	entry, err := a.entry()
	if err != nil {
		return err
	}
	if entry.Name == listingName {
		return a.end(entry.Size)
	}
	if !contentNames.MatchString(entry.Name) || entry.Name <= a.last || a.last == "" && entry.Name != DatabaseFile {
		return damaged("%q does not belong after %q", entry.Name, a.last)
	}
	if a.files == a.header.Files || entry.Size > a.header.Bytes-a.bytes {
		return damaged("it holds more than its header says: %d files of %d bytes", a.header.Files, a.header.Bytes)
	}
	a.last = entry.Name
	a.files++
	a.bytes += entry.Size
	to, err := take(entry.Name)
	if err != nil {
		return err
	}
	sink := &sink{to: to}
	err = a.again.add(entry.Name, entry.Size, io.TeeReader(a.tar, sink))
	if err != nil && sink.err == nil {
		err = a.failed(err)
	}
	return errors.Join(err, to.Close())
}

// end compares the listing, and the archive with what would be written.
func (a *archiveReader) end(size int64) error {
	if a.files != a.header.Files || a.bytes != a.header.Bytes {
		return damaged("it holds %d files of %d bytes, and its header says %d of %d", a.files, a.bytes, a.header.Files, a.header.Bytes)
	}
	want := a.again.listing.Bytes()
	got, err := io.ReadAll(io.LimitReader(a.tar, int64(len(want))+1))
	if err != nil {
		return a.failed(err)
	}
	if size != int64(len(want)) || !bytes.Equal(got, want) {
		return damaged("%s", difference(got, want))
	}
	if err := a.again.finish(); err != nil {
		return err
	}
	// Two empty blocks end a tar archive; nothing may follow them.
	if _, err := a.tar.Next(); err == nil {
		return damaged("something follows %s", listingName)
	} else if !errors.Is(err, io.EOF) {
		return a.failed(err)
	}
	if _, err := io.CopyN(io.Discard, a.in, 1); err != nil && !errors.Is(err, io.EOF) {
		return a.failed(err)
	}
	if a.read.n < a.written.n {
		return a.failed(io.ErrUnexpectedEOF)
	}
	if a.read != a.written {
		return damaged("its end or its padding was changed, or something follows it")
	}
	return io.EOF
}

// readAll reads the rest of the archive. Each file's content goes to what
// create returns for its name.
func (a *archiveReader) readAll(progress func(done, total int64), create func(name string) (io.WriteCloser, error)) (Restored, error) {
	restored := Restored{Header: a.header}
	sizes := map[string]int64{} // of segments whose frames are whole
	for {
		var to content
		err := a.next(func(name string) (io.WriteCloser, error) {
			file, err := create(name)
			to = content{WriteCloser: file, archive: a, progress: progress, isSegment: strings.HasPrefix(name, "raw/")}
			return &to, err
		})
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Restored{}, err
		}
		if to.isSegment && to.frames.whole() {
			sizes[a.last] = to.size
		}
	}
	for _, day := range a.header.Days {
		if name := segmentName(day.Day); sizes[name] != day.RawBytes {
			restored.Damaged = append(restored.Damaged, name)
		}
	}
	return restored, nil
}

// content is where a file of an archive goes.
type content struct {
	io.WriteCloser
	archive   *archiveReader
	progress  func(done, total int64)
	size      int64
	isSegment bool
	frames    frameChecker
}

func (c *content) Write(p []byte) (int, error) {
	n, err := c.WriteCloser.Write(p)
	if c.isSegment {
		c.frames.add(p[:n])
	}
	c.size += int64(n)
	c.archive.taken += int64(n)
	if c.progress != nil {
		c.progress(c.archive.taken, c.archive.header.Bytes)
	}
	return n, err
}

// difference says which file a listing does not match.
func difference(got, want []byte) string {
	listed := bytes.Split(got, []byte("\n"))
	for i, line := range bytes.Split(want, []byte("\n")) {
		if i >= len(listed) || !bytes.Equal(listed[i], line) {
			if len(line) > 2*sha256.Size {
				return fmt.Sprintf("the checksum of %s differs", line[2*sha256.Size+2:])
			}
			break
		}
	}
	return listingName + " was changed"
}

// entry reads the header of a file.
func (a *archiveReader) entry() (*tar.Header, error) {
	entry, err := a.tar.Next()
	if err != nil {
		return nil, a.failed(err)
	}
	// Sparse files and the like could pretend to be large.
	if entry.Typeflag != tar.TypeReg || len(entry.PAXRecords) > 0 {
		return nil, damaged("%q is not a plain file", entry.Name)
	}
	return entry, nil
}

// failed says what a failure to read means.
func (a *archiveReader) failed(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return damaged("it was cut off after %d bytes", a.read.n)
	case errors.Is(err, tar.ErrHeader):
		return damaged("what stands at byte %d is not of a tar archive", a.read.n)
	}
	return fmt.Errorf("read the backup: %w", err)
}

// sink remembers that it was the writing that failed.
type sink struct {
	to  io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.err = err
	return n, err
}

// crcWriter sums up what is written. Two that are equal were, up to chance,
// written the same.
type crcWriter struct {
	sum uint32
	n   int64
}

func (c *crcWriter) Write(p []byte) (int, error) {
	c.sum = crc32.Update(c.sum, castagnoli, p)
	c.n += int64(len(p))
	return len(p), nil
}
