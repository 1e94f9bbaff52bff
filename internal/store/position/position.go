// Package position writes where a live tail goes on, for a URL. A position says
// how much a store has taken, of everybody's: so it is sealed, and who holds it
// learns nothing from it and can make none.
package position

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Codec seals and opens the positions of one store.
type Codec struct {
	aead   cipher.AEAD
	nonces []byte // key
}

// New returns the codec of a store by what only the store knows. The same
// secret opens what it has sealed, in another process too.
func New(secret []byte) *Codec {
	key := func(of string) []byte {
		k, err := hkdf.Key(sha256.New, secret, nil, "audit tail position: "+of, 32)
		if err != nil {
			panic(err) // the length is a constant
		}
		return k
	}
	block, err := aes.NewCipher(key("seal"))
	if err != nil {
		panic(err) // the key's length is a constant
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the block is that of AES
	}
	return &Codec{aead, key("nonce")}
}

// maxLength bounds what is looked at.
const maxLength = 16 << 10

// Strict: one text for each position.
var encoding = base64.RawURLEncoding.Strict()

// Seal writes a position. The same one gives the same text, which says no more
// than that nothing has come.
func (c *Codec) Seal(plain []byte) string {
	mac := hmac.New(sha256.New, c.nonces)
	mac.Write(plain)
	nonce := mac.Sum(nil)[:c.aead.NonceSize()]
	return encoding.EncodeToString(c.aead.Seal(nonce, nonce, plain, nil))
}

// Open reads what Seal wrote; anything else is store.ErrPosition.
func (c *Codec) Open(s string) ([]byte, error) {
	if len(s) > maxLength {
		return nil, store.ErrPosition
	}
	sealed, err := encoding.DecodeString(s)
	// The decoder passes over line breaks, which no position has.
	if err != nil || len(s) != encoding.EncodedLen(len(sealed)) || len(sealed) < c.aead.NonceSize() {
		return nil, store.ErrPosition
	}
	size := c.aead.NonceSize()
	plain, err := c.aead.Open(nil, sealed[:size], sealed[size:], nil)
	if err != nil {
		return nil, store.ErrPosition
	}
	return plain, nil
}
