package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// digest is SHA-256 over the ID and the raw form's SHA-256 of a day's events,
// in ascending order of (occurredAt, ID).
type digest struct{ hash.Hash }

func newDigest() *digest { return &digest{sha256.New()} }

func (d *digest) add(id audit.ID, raw [32]byte) {
	_, _ = d.Write(id[:]) // a hash's Write returns no error
	_, _ = d.Write(raw[:])
}

func (d *digest) String() string { return digestText(d.Hash) }

// digestText writes a digest as snapshots do.
func digestText(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }
