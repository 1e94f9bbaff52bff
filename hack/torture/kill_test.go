package torture

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// rounds is how often a fault strikes: few with go test, ROUNDS with make torture.
func rounds(t *testing.T, few int) int {
	t.Helper()
	wanted := os.Getenv("TORTURE_ROUNDS")
	if wanted == "" {
		return few
	}
	n, err := strconv.Atoi(wanted)
	if err != nil || n < 1 {
		t.Fatalf("TORTURE_ROUNDS is %q; give a number from 1 on", wanted)
	}
	return n
}

// roundsPerStore is after how many rounds a new store begins: recovery must
// work with a young store as with an old one.
const roundsPerStore = 25

// moment is how long the load lasts before a fault strikes.
func moment(chance *rand.Rand) time.Duration {
	return 400*time.Millisecond + time.Duration(chance.Int64N(int64(800*time.Millisecond)))
}

// TestKill kills the manager in the middle of the load, at any time.
func TestKill(t *testing.T) {
	w := inWorld(t)
	r := scenario(t, "kill -9")
	chance := rand.New(rand.NewPCG(1, 0))
	var l *ledger
	var s *sender
	for round := range rounds(t, 25) {
		if round%roundsPerStore == 0 {
			l = newLedger(t, folder(filepath.Join(t.TempDir(), "store")))
			s = newSender(w, "honest", uint64(1000+round))
		}
		m := w.mustStart(t, l.storage)
		stop := s.start(t)
		rate := s.loadFor(t, moment(chance))
		if err := m.kill(); err != nil {
			t.Fatal(err)
		}
		stop()
		r.before(t, rate)
		l.note(t, s.source.name, s.settled())
		v := l.compare(t)
		t.Logf("round %d: killed at %.0f events/s: %v", round+1, rate, v)
		r.round(t, l, v)
		if t.Failed() {
			return
		}
	}
}

// TestTerminate ends the manager under load as Kubernetes does: it answers
// what it has begun, commits it, and ends by itself.
func TestTerminate(t *testing.T) {
	w := inWorld(t)
	r := scenario(t, "SIGTERM")
	chance := rand.New(rand.NewPCG(2, 0))
	l := newLedger(t, folder(filepath.Join(t.TempDir(), "store")))
	s := newSender(w, "honest", 2)
	var slowest time.Duration
	for range 3 {
		m := w.mustStart(t, l.storage)
		stop := s.start(t)
		rate := s.loadFor(t, moment(chance))
		// A Pod has 30 s.
		code, took, err := m.terminate(30 * time.Second)
		stop()
		if err != nil {
			t.Fatal(err)
		}
		r.before(t, rate)
		l.note(t, s.source.name, s.settled())
		v := l.compare(t)
		t.Logf("terminated at %.0f events/s, ended after %v with code %d: %v", rate, took.Round(time.Millisecond), code, v)
		r.round(t, l, v)
		if code != 0 {
			t.Errorf("exit code %d\n%s", code, m.tail())
		}
		slowest = max(slowest, took)
		r.note = "ended within " + slowest.Round(time.Millisecond).String()
	}
	if len(s.wrong) > 0 {
		t.Errorf("wrong answers: %q", s.wrong)
	}
}
