// Package position writes where a live tail goes on, for a URL. A position says
// how much a store has taken, of everybody's. So it is sealed: who holds it can
// make none, and learns from it neither what it says nor whether another one
// says the same.
package position

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Codec seals and opens the positions of one store.
type Codec struct{ aead cipher.AEAD }

// New returns the codec of a store by what only the store knows. The same
// secret opens what it has sealed, in another process too.
func New(secret []byte) *Codec {
	key, err := hkdf.Key(sha256.New, secret, nil, "audit tail position", 32)
	if err != nil {
		panic(err) // the length is a constant
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key's length is a constant
	}
	// Two of 2^32 positions have the same nonce with a chance of 2^-32; a
	// thousand tails need months to ask for so many.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // the block is that of AES
	}
	return &Codec{aead}
}

const (
	// MaxPlain bounds what is sealed, so that an address has room for it.
	MaxPlain = 4 << 10
	// step is what lengths are filled up to, so that they say no more than the
	// kind of position.
	step     = 128
	overhead = 12 + 16 // nonce and tag
)

var (
	// Strict: one text for each position.
	encoding = base64.RawURLEncoding.Strict()
	// MaxLength is the length of the longest position, in characters.
	MaxLength = encoding.EncodedLen(filled(MaxPlain) + overhead)
)

// filled returns the length of what holds a position of a length, and says
// where it ends.
func filled(length int) int { return (2 + length + step - 1) / step * step }

// Seal writes a position, each time as another text. It panics for one longer
// than MaxPlain.
func (c *Codec) Seal(plain []byte) string {
	if len(plain) > MaxPlain {
		panic(fmt.Sprintf("position: %d bytes are more than fit", len(plain)))
	}
	b := make([]byte, filled(len(plain)))
	binary.BigEndian.PutUint16(b, uint16(len(plain)))
	copy(b[2:], plain)
	return encoding.EncodeToString(c.aead.Seal(nil, nil, b, nil))
}

// Open reads what Seal wrote; anything else is store.ErrPosition.
func (c *Codec) Open(s string) ([]byte, error) {
	if len(s) > MaxLength {
		return nil, store.ErrPosition
	}
	sealed, err := encoding.DecodeString(s)
	// The decoder passes over line breaks, which no position has.
	if err != nil || len(s) != encoding.EncodedLen(len(sealed)) {
		return nil, store.ErrPosition
	}
	b, err := c.aead.Open(nil, nil, sealed, nil)
	if err != nil || len(b) < 2 {
		return nil, store.ErrPosition
	}
	length := int(binary.BigEndian.Uint16(b))
	if len(b) != filled(length) {
		return nil, store.ErrPosition
	}
	return b[2 : 2+length], nil
}
