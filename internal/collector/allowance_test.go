package collector

import (
	"fmt"
	"testing"
	"time"
)

func TestAllowance(t *testing.T) {
	now := time.Date(2026, 11, 30, 10, 59, 59, 0, time.UTC)
	a := newAllowance(100, func() time.Time { return now })
	take := func(source, identity string, bytes int, want bool) {
		t.Helper()
		if got := a.take(source, identity, bytes); got != want {
			t.Errorf("%d bytes of %q from %s: %t, want %t", bytes, identity, source, got, want)
		}
	}
	take("s", "alice", 60, true)
	take("s", "alice", 41, false) // which is not counted
	take("s", "alice", 40, true)
	take("s", "alice", 1, false)
	take("s", "bob", 100, true)
	take("other", "alice", 100, true)
	now = now.Add(time.Second) // another hour
	take("s", "alice", 100, true)
	take("s", "alice", 1, false)
	now = now.Add(-24 * time.Hour) // a clock that goes back
	take("s", "alice", 100, true)

	// However many identities there are, they are counted in bounded memory.
	now = now.Add(48 * time.Hour)
	for i := range maxIdentities {
		take("s", fmt.Sprint("user-", i), 100, true)
	}
	take("s", "one more", 60, true)
	take("s", "another one", 60, false)
	take("s", "user-1", 1, false)
	if n := len(a.sources["s"]); n > maxIdentities+1 {
		t.Errorf("%d identities are counted", n)
	}
	if newAllowance(0, nil).perHour != DefaultRawBytesPerHour {
		t.Error("no default")
	}
}
