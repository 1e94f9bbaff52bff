package postgres

import (
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Where too many are remembered in all, every session ends, at every replica.
func TestTooManySessions(t *testing.T) {
	url := newDatabase(t)
	s, replica := mustOpen(t, Options{URL: url}), mustOpen(t, Options{URL: url})
	s.endedMost = 3
	epoch, err := s.SessionEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := byte(1); n <= 4; n++ {
		one := store.Session{ID: store.SessionID{n}, Owner: store.SessionID{n}, Epoch: epoch, Began: time.Now(), Expires: time.Now().Add(time.Hour)}
		if err := s.EndSession(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*Store{"here": s, "at another replica": replica} {
			if now, err := s.SessionEpoch(t.Context()); err != nil || (now == epoch) != (n <= 3) {
				t.Errorf("%s, after %d of 3: the epoch is the same: %t, %v", name, n, now == epoch, err)
			}
			if ended, err := s.SessionEnded(t.Context(), one); err != nil || !ended {
				t.Errorf("%s, number %d: SessionEnded = %t, %v", name, n, ended, err)
			}
		}
	}
}
