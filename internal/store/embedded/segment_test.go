package embedded

import (
	"bytes"
	"errors"
	"testing"
)

// What was packed is read back; what anything else wrote, or one wrong byte
// made of it, is found out.
func FuzzFrame(f *testing.F) {
	f.Add([]byte(`{"a":1}{"b":2}`), []byte("before"), uint16(9), byte(1))
	f.Add([]byte{}, []byte{}, uint16(0), byte(0x80))
	f.Add(bytes.Repeat([]byte("x"), 5000), packFrame(nil, []byte("other")), uint16(20), byte(0xff))
	f.Fuzz(func(t *testing.T, raws, before []byte, at uint16, flip byte) {
		segment := packFrame(bytes.Clone(before), raws)
		got, err := readFrame(bytes.NewReader(segment), int64(len(before)))
		if err != nil || !bytes.Equal(got, raws) {
			t.Fatalf("read %d bytes, %v; packed %d", len(got), err, len(raws))
		}
		if damaged := len(before) + int(at)%(len(segment)-len(before)); flip != 0 {
			segment[damaged] ^= flip
			if _, err := readFrame(bytes.NewReader(segment), int64(len(before))); !errors.Is(err, errDamaged) {
				t.Errorf("a wrong byte at %d of the frame is not found: %v", damaged-len(before), err)
			}
		}
		// Garbage may be refused or not be a frame at all, but never crashes.
		_, _ = readFrame(bytes.NewReader(before), 0)
	})
}
