package store

import (
	"context"
	"time"
)

// MaxEndedSessions is how many sessions of one owner are remembered one by one.
// When more are ended before they expire, all that their owner began until the
// last of them are over. MaxEnded is how many are remembered in all; beyond it
// every session is over.
const (
	MaxEndedSessions = 64
	MaxEnded         = 100_000
)

// SessionID names a session, an owner of sessions, or an epoch of them.
type SessionID [16]byte

// Session is a session of a browser, as far as a store knows of it. Who it is
// stands in the browser's cookie.
type Session struct {
	ID    SessionID
	Owner SessionID // the same for all sessions of a user
	// Epoch is the store's, as SessionEpoch returned it when the session began.
	Epoch SessionID
	// Began and Expires are in whole seconds. What is remembered of the session is
	// forgotten when it has expired.
	Began, Expires time.Time
}

// Sessions remembers which sessions were ended before they expired.
type Sessions interface {
	// SessionEpoch returns what sessions that begin now are of. A store that was
	// restored, or fell back to an earlier state, has another one: it may have
	// forgotten who signed out, so that no session from before is good.
	SessionEpoch(ctx context.Context) (SessionID, error)
	// EndSession ends a session, and returns after that is durable; from then on
	// SessionEnded is true of it at every replica.
	EndSession(ctx context.Context, s Session) error
	// SessionEnded reports whether a session was ended, or is of another epoch.
	// Without an answer the session is not good.
	SessionEnded(ctx context.Context, s Session) (bool, error)
}
