package embedded

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

func epochOf(t *testing.T, s *Store) store.SessionID {
	t.Helper()
	epoch, err := s.SessionEpoch(t.Context())
	if err != nil || epoch == (store.SessionID{}) {
		t.Fatalf("SessionEpoch = %x, %v", epoch, err)
	}
	return epoch
}

// A store that was restored knows nothing of who signed out after its backup, so
// no session from before it is good.
func TestRestoreEndsSessions(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	defer closed(t, s)
	epoch := epochOf(t, s)
	again := restored(t, backUp(t, s))
	if epochOf(t, again) == epoch {
		t.Error("sessions go on after a restore")
	}
	if ended, err := again.SessionEnded(t.Context(), store.Session{ID: store.SessionID{1}, Owner: store.SessionID{2}, Epoch: epoch}); err != nil || !ended {
		t.Errorf("SessionEnded after a restore = %t, %v", ended, err)
	}
}

// A list that can't be read, or is gone, ends all sessions.
func TestSessionsThatCantBeRead(t *testing.T) {
	dir := t.TempDir()
	for name, spoil := range map[string]func(path string) error{
		"gone":       os.Remove,
		"empty":      func(path string) error { return os.Truncate(path, 0) },
		"cut off":    func(path string) error { return os.Truncate(path, 20) },
		"of no time": func(path string) error { return os.WriteFile(path, []byte("{}"), 0o600) },
	} {
		s := mustOpen(t, Options{Dir: dir})
		epoch := epochOf(t, s)
		closed(t, s)
		s = mustOpen(t, Options{Dir: dir})
		if epochOf(t, s) != epoch {
			t.Errorf("%s: sessions end when a store is opened again", name)
		}
		closed(t, s)
		if err := spoil(filepath.Join(dir, sessionsFile)); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, Options{Dir: dir})
		if epochOf(t, s) == epoch {
			t.Errorf("%s: sessions go on", name)
		}
		closed(t, s)
	}
}

// Where too many are remembered in all, every session ends.
func TestTooManySessions(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	defer closed(t, s)
	s.sessions.of = 3
	epoch := epochOf(t, s)
	for n := byte(1); n <= 4; n++ {
		one := store.Session{ID: store.SessionID{n}, Owner: store.SessionID{n}, Epoch: epoch, Began: time.Now(), Expires: time.Now().Add(time.Hour)}
		if err := s.EndSession(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		if kept := epochOf(t, s) == epoch; kept != (n <= 3) {
			t.Errorf("after %d of 3 the epoch is the same: %t", n, kept)
		}
		if ended, err := s.SessionEnded(t.Context(), one); err != nil || !ended {
			t.Errorf("number %d: SessionEnded = %t, %v", n, ended, err)
		}
	}
}
