package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
)

// Key is the secret of a store under which texts are hashed that must not be
// guessed: whoever reads a plain hash can try texts until one fits. It is
// never shown or logged, and a copy of a store has the same.
type Key [32]byte

// hashSize is how many bytes of HMAC-SHA-256 a keyed hash keeps.
const hashSize = 16

// Hash returns the first 128 bits of HMAC-SHA-256 of a text under the key.
func (k Key) Hash(text []byte) [hashSize]byte {
	h := k.hasher()
	h.Write(text)
	return sumOf(h)
}

// hasher computes Hash of what is written to it, for sumOf.
func (k Key) hasher() hash.Hash { return hmac.New(sha256.New, k[:]) }

func sumOf(h hash.Hash) [hashSize]byte {
	var space [sha256.Size]byte
	return [hashSize]byte(h.Sum(space[:0]))
}

// String hides the key from whatever prints it.
func (k Key) String() string { return "audit.Key" }

// GoString hides the key from %#v.
func (k Key) GoString() string { return k.String() }
