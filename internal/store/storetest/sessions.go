package storetest

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// sessionOf is a session of an owner that began a while after the tests did.
func sessionOf(b *bench, t *testing.T, owner string, n int) store.Session {
	t.Helper()
	epoch, err := b.SessionEpoch(t.Context())
	if err != nil {
		t.Fatalf("SessionEpoch: %v", err)
	}
	hash := func(text string) store.SessionID {
		sum := sha256.Sum256([]byte(text))
		return store.SessionID(sum[:16])
	}
	began := start.Truncate(time.Second).Add(time.Duration(n) * time.Second)
	return store.Session{ID: hash(fmt.Sprint(owner, n)), Owner: hash(owner), Epoch: epoch, Began: began, Expires: began.Add(8 * time.Hour)}
}

func (b *bench) end(t *testing.T, s store.Session) {
	t.Helper()
	if err := b.EndSession(t.Context(), s); err != nil {
		t.Fatalf("EndSession: %v", err)
	}
}

func (b *bench) ended(t *testing.T, what string, want bool, s store.Session) {
	t.Helper()
	if got, err := b.SessionEnded(t.Context(), s); err != nil || got != want {
		t.Errorf("%s: SessionEnded = %t, %v; want %t", what, got, err, want)
	}
}

// testSessions checks that a session that was ended is over, also after the
// store was opened again, and no other is.
func testSessions(t *testing.T, b *bench) {
	one, two, other := sessionOf(b, t, "alice", 1), sessionOf(b, t, "alice", 2), sessionOf(b, t, "bob", 1)
	same := other
	same.ID = one.ID // another's session is not ended by who guesses its ID
	b.ended(t, "before", false, one)
	b.end(t, one)
	b.end(t, one)
	for _, when := range []string{"afterwards", "opened again"} {
		b.ended(t, when, true, one)
		b.ended(t, when+", another of the same owner", false, two)
		b.ended(t, when+", of another owner", false, other)
		b.ended(t, when+", of another owner with this ID", false, same)
		b.reopen(t)
	}
	// What has expired is forgotten when the next is ended, and not before.
	b.clock.advance(8*time.Hour + time.Minute)
	b.ended(t, "expired", true, one)
	b.end(t, sessionOf(b, t, "bob", 9*3600))
	b.ended(t, "forgotten", false, one)
	foreign := two
	foreign.Epoch[3]++
	b.ended(t, "of another epoch", true, foreign)
	foreign.Epoch = store.SessionID{}
	b.ended(t, "of no epoch", true, foreign)
}

// testManySessions checks that what is remembered of one owner has a bound, at
// which sessions end rather than come to life again.
func testManySessions(t *testing.T, b *bench) {
	at := func(n int) store.Session { return sessionOf(b, t, "alice", n) }
	for n := store.MaxEndedSessions; n > 0; n-- {
		b.end(t, at(2*n))
	}
	b.ended(t, "at the bound, one that goes on", false, at(3))
	b.end(t, at(1))
	last := 2 * store.MaxEndedSessions
	for n := 1; n <= last; n++ {
		b.ended(t, fmt.Sprint("beyond the bound, number ", n), true, at(n))
	}
	b.ended(t, "one that began later", false, at(last+1))
	b.ended(t, "another owner's", false, sessionOf(b, t, "bob", 1))
	// And so again.
	for n := range store.MaxEndedSessions + 1 {
		b.end(t, at(last+10+n))
	}
	b.reopen(t)
	b.ended(t, "beyond it twice", true, at(last+5))
	b.ended(t, "the last", true, at(last+10+store.MaxEndedSessions))
	b.ended(t, "one after the last", false, at(last+11+store.MaxEndedSessions))
}
