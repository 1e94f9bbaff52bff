package audittest

import (
	"bytes"
	"encoding/hex"
)

// Body is the body of a POST that can be made new: its items get other audit
// IDs, which costs next to nothing, so that a load comes from the receiver and
// not from making it.
type Body struct {
	bytes []byte
	ids   []int // where the audit IDs begin
	next  uint32
}

// NewBody takes what List or Generator.Batch returned. Bodies of one text must
// have different salts.
func NewBody(list []byte, salt byte) *Body {
	b := &Body{bytes: bytes.Clone(list), next: uint32(salt) << 24}
	member := []byte(`"auditID":"`)
	for at := 0; ; {
		i := bytes.Index(b.bytes[at:], member)
		if i < 0 {
			return b
		}
		at += i + len(member)
		b.ids = append(b.ids, at)
	}
}

// Items is how many items the body has.
func (b *Body) Items() int { return len(b.ids) }

// Renew makes every item another event than before and returns the body, which
// is the Body's own. It can be done sixteen million times.
func (b *Body) Renew() []byte {
	b.next++
	number := [4]byte{byte(b.next >> 24), byte(b.next >> 16), byte(b.next >> 8), byte(b.next)}
	for _, at := range b.ids {
		hex.Encode(b.bytes[at:at+8], number[:])
	}
	return b.bytes
}
