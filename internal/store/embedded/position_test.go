package embedded

import (
	"bytes"
	"errors"
	"testing"

	"github.com/porter-dev/audit-operator/internal/store"
)

func FuzzDecodePosition(f *testing.F) {
	f.Add(tailPosition{}.encode())
	f.Add(tailPosition{since: 20_000, days: map[int]arrived{20_000: {1, mark{1}}, 20_001: {1 << 40, mark{2, 3, 4, 5}}, 20_400: {300, mark{}}}}.encode())
	f.Add([]byte{positionVersion, 0x80, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePosition(b)
		if err != nil {
			if !errors.Is(err, store.ErrPosition) {
				t.Errorf("decodePosition = %v", err)
			}
			return
		}
		if again := p.encode(); !bytes.Equal(again, b) {
			t.Errorf("%x is read as %+v, which is written as %x", b, p, again)
		}
	})
}
