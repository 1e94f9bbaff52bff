package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/porter-dev/audit-operator/internal/store"
)

// A snapshot's body is kept in parts of this size, each packed by itself, so
// that neither writing nor reading it takes more memory.
const partSize = 1 << 20

// looseBodyAge is when a body that no snapshot names can be removed: nobody
// takes so long to write one, or to read one whose snapshot was deleted. Until
// then it counts as taken space, or who deletes and asks again could fill the
// disk.
const looseBodyAge = 10 * time.Minute

// errBodyRemoved means that a body was removed before a snapshot named it.
var errBodyRemoved = errors.New("it took so long that its body was removed")

// One encoder and one decoder serve every goroutine: their stateless methods
// are safe for that. Each frame carries a checksum.
var (
	partPacker   = must(zstd.NewWriter(nil))
	partUnpacker = must(zstd.NewReader(nil, zstd.WithDecoderMaxMemory(partSize)))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// bodyWriter stores what is written to it as a body that no snapshot names.
type bodyWriter struct {
	ctx    context.Context
	store  *Store
	space  store.SnapshotSpace
	number int64
	parts  int
	filled []byte // the part that is not full yet
}

func (s *Store) newBody(ctx context.Context, space store.SnapshotSpace) (*bodyWriter, error) {
	w := &bodyWriter{ctx: ctx, store: s, space: space, filled: make([]byte, 0, partSize)}
	return w, s.call(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "INSERT INTO audit_loose_bodies (since, cluster, namespace) VALUES (now(), $1, $2) RETURNING body",
			store.Text(space.Cluster), store.Text(space.Namespace)).Scan(&w.number)
	})
}

func (w *bodyWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n := min(len(p)-written, partSize-len(w.filled))
		w.filled = append(w.filled, p[written:written+n]...)
		written += n
		if len(w.filled) == partSize {
			if err := w.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// flush stores the last part.
func (w *bodyWriter) flush() error {
	if len(w.filled) == 0 {
		return nil
	}
	packed := partPacker.EncodeAll(w.filled, nil)
	if err := w.store.call(w.ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, w.store.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO audit_snapshot_parts (body, part, data) VALUES ($1, $2, $3)", w.number, w.parts, packed); err != nil {
				return err
			}
			return w.charge(ctx, tx, int64(len(packed)))
		})
	}); err != nil {
		return err
	}
	w.parts++
	w.filled = w.filled[:0]
	return nil
}

// removeLoose removes the parts of the loose bodies that a condition selects.
const removeLoose = `WITH gone AS (DELETE FROM audit_loose_bodies WHERE %s RETURNING body)
	DELETE FROM audit_snapshot_parts p USING gone WHERE p.body = gone.body`

// discard removes the body, unless a snapshot names it after all: an answer
// may have been lost. What can't be removed now is removed later.
func (w *bodyWriter) discard() {
	err := w.store.call(context.WithoutCancel(w.ctx), func(ctx context.Context) error {
		_, err := w.store.pool.Exec(ctx, fmt.Sprintf(removeLoose, "body = $1"), w.number)
		return err
	})
	if err != nil {
		w.store.log.Error(err, "Could not remove what a failed snapshot has left; tried again later")
	}
}

// removeLooseBodies removes what deleted and failed snapshots have left.
func (s *Store) removeLooseBodies(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, fmt.Sprintf(removeLoose, "since < now() - $1::interval"), looseBodyAge)
	return err
}

// bodyReader reads a body. It fetches a part when it needs it, so a slow reader
// holds no connection.
type bodyReader struct {
	ctx    context.Context
	store  *Store
	number int64
	next   int // part to fetch
	parts  int
	left   []byte // of the part before
}

func (r *bodyReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.next == r.parts {
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, fmt.Errorf("read part %d of a snapshot: %w", r.next, err)
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *bodyReader) fetch() error {
	var packed []byte
	err := r.store.call(r.ctx, func(ctx context.Context) error {
		return r.store.pool.QueryRow(ctx, "SELECT data FROM audit_snapshot_parts WHERE body = $1 AND part = $2", r.number, r.next).Scan(&packed)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return errors.New("it was deleted long ago")
	}
	if err != nil {
		return err
	}
	if r.left, err = partUnpacker.DecodeAll(packed, nil); err != nil {
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	r.next++
	return nil
}

// Close forgets the body; nothing is held at the server.
func (r *bodyReader) Close() error {
	r.next, r.left = r.parts, nil
	return nil
}
