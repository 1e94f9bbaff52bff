package embedded

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// A backup is a tar archive of these files, in this order, and nothing else:
//
//	backup.json            a Header
//	events.duckdb          the typed rows
//	raw/<yyyy-mm-dd>.seg   by day
//	snapshots/<id>.json    by ID, each followed by
//	snapshots/<id>.ndjson.zst    or <id>.ndjson, of before bodies were compressed
//	SHA256SUMS             of the files above, as sha256sum -c reads it
//
// The same content always gives the same bytes. So a reader writes what it has
// read once more and compares: no byte, not even of padding, can differ.
const (
	headerName  = "backup.json"
	listingName = "SHA256SUMS"
)

// archiveVersion is the version of this layout.
const archiveVersion = 1

// maxHeader bounds what is read of a header: about 60 bytes a day.
const maxHeader = 16 << 20

// Header says what a backup holds.
type Header struct {
	Archive int       `json:"archive"` // version of the archive's layout
	Format  int       `json:"format"`  // of the store
	Version string    `json:"version"` // of the product that made it
	AsOf    time.Time `json:"asOf"`    // everything acknowledged before is in it

	Events      int64       `json:"events"`
	Days        []DayHeader `json:"days"`
	Sources     int64       `json:"sources"`
	Quarantined int64       `json:"quarantined"`
	Snapshots   int64       `json:"snapshots"`

	// Files and Bytes are those of the content, apart from this header and
	// the listing.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// DayHeader is what a backup holds of one day.
type DayHeader struct {
	Day      string `json:"day"` // yyyy-mm-dd
	Events   int64  `json:"events"`
	RawBytes int64  `json:"rawBytes"` // that the day's rows refer to
}

func (h *Header) encode() []byte {
	data, err := json.MarshalIndent(h, "", "  ")
	if err != nil { // a year beyond 9999
		return nil
	}
	return append(data, '\n')
}

// archiveSize is the size in an archive of a file: a block of header, and the
// content in whole blocks.
func archiveSize(content int64) int64 { return 512 + (content+511)/512*512 }

// archiveEnd is the size of what ends a tar archive.
const archiveEnd = 2 * 512

// listingLine is the size of a file's line in the listing.
func listingLine(name string) int64 { return int64(2*sha256.Size + len("  \n") + len(name)) }

var contentNames = regexp.MustCompile(`^(events\.duckdb|raw/[0-9]{4}-[0-9]{2}-[0-9]{2}\.seg|snapshots/[0-9a-f]{32}\.(json|ndjson|ndjson\.zst))$`)

// archiveWriter writes an archive.
type archiveWriter struct {
	tar     *tar.Writer
	asOf    time.Time
	listing bytes.Buffer
}

// newArchiveWriter writes the header.
func newArchiveWriter(w io.Writer, header *Header) (*archiveWriter, error) {
	a := &archiveWriter{tar: tar.NewWriter(w), asOf: header.AsOf}
	data := header.encode()
	return a, a.add(headerName, int64(len(data)), bytes.NewReader(data))
}

// add writes a file of exactly size bytes.
func (a *archiveWriter) add(name string, size int64, content io.Reader) error {
	sum := sha256.New()
	if err := a.entry(name, size, io.TeeReader(content, sum)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(&a.listing, "%x  %s\n", sum.Sum(nil), name)
	return nil
}

func (a *archiveWriter) entry(name string, size int64, content io.Reader) error {
	if err := a.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o640, ModTime: a.asOf.Truncate(time.Second),
		Format: tar.FormatGNU, // takes any size in one block of header
	}); err != nil {
		return err
	}
	copied, err := io.Copy(a.tar, io.LimitReader(content, size))
	if err == nil && copied < size {
		err = fmt.Errorf("has %d bytes of %d: %w", copied, size, io.ErrUnexpectedEOF)
	}
	return err
}

// finish writes the listing and the end.
func (a *archiveWriter) finish() error {
	listing := a.listing.Bytes()
	return errors.Join(a.entry(listingName, int64(len(listing)), bytes.NewReader(listing)), a.tar.Close())
}
