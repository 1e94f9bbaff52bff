package audit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// MaxInflation is how many times its size a compressed delivery, or part of one,
// may become. Audit logs become some ten times theirs. What becomes no more than
// the bound of one event may be compressed better.
const MaxInflation = 100

// ErrInflation means that a delivery became too large as it was inflated. What
// came before was emitted.
var ErrInflation = errors.New("the body inflates to more than 100 times its size")

// errGzip means that the compressed bytes are broken.
var errGzip = errors.New("the gzip stream is broken")

// wire counts what arrives of a delivery, and what all that is compressed within
// it becomes.
type wire struct{ arrived, inflated int64 }

// counter counts what is read.
type counter struct {
	r io.Reader
	n *int64
	// err is the reader's, so that it is told from one of what reads it. It stays:
	// who looks ahead may not heed it, and a request's body says EOF the next time.
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	*c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// inflater reads gzip, of one member or several, and ends where that becomes
// more than it may.
type inflater struct {
	z    *gzip.Reader
	in   *bufio.Reader
	from *counter
	base int64 // what the counter had when it began, without what was buffered
	free int64 // what needs no ratio
	out  int64
	wire *wire
}

func isGzip(r *bufio.Reader) bool {
	magic, _ := r.Peek(2)
	return bytes.Equal(magic, []byte{0x1F, 0x8B})
}

// newInflater reads the header.
func newInflater(in *bufio.Reader, from *counter, w *wire, free int) (*inflater, error) {
	f := &inflater{in: in, from: from, wire: w, free: int64(free)}
	f.base = *from.n - int64(in.Buffered())
	f.z = inflaters.Get().(*gzip.Reader)
	err := f.z.Reset(in)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return f, f.problem(err)
}

var inflaters = sync.Pool{New: func() any { return new(gzip.Reader) }}

func (f *inflater) release() { inflaters.Put(f.z) }

// Read implements io.Reader.
func (f *inflater) Read(p []byte) (int, error) {
	n, err := f.z.Read(p)
	f.out += int64(n)
	f.wire.inflated += int64(n)
	consumed := *f.from.n - int64(f.in.Buffered()) - f.base
	if f.out > max(f.free, MaxInflation*consumed) || f.wire.inflated > max(f.free, MaxInflation*f.wire.arrived) {
		return 0, ErrInflation
	}
	return n, f.problem(err)
}

// problem tells what is wrong with the bytes from what is wrong with their
// arrival.
func (f *inflater) problem(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case f.from.err != nil && !errors.Is(f.from.err, io.EOF):
		return f.from.err
	}
	return errGzip
}
