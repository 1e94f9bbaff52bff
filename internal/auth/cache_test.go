package auth

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestCacheIsBounded(t *testing.T) {
	now := time.Now()
	c := newCache[int](func() time.Time { return now }, time.Second, 8, ErrForbidden)
	for i := range 100 {
		var key [32]byte
		binary.BigEndian.PutUint64(key[:], uint64(i))
		if v, err := c.get(key, func() (int, error) { return i, nil }); v != i || err != nil {
			t.Fatalf("get = %d, %v; want %d", v, err, i)
		}
		if len(c.entries) > 8 {
			t.Fatalf("%d answers are kept, want at most 8", len(c.entries))
		}
	}
	now = now.Add(time.Second)
	if _, err := c.get([32]byte{1, 2}, func() (int, error) { return 0, nil }); err != nil || len(c.entries) != 1 {
		t.Errorf("%d answers are kept after all were over, want 1; %v", len(c.entries), err)
	}
}
