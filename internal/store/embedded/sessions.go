package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// sessionsFile holds the ended sessions. It is in no backup: a store that is
// restored has none, and so another epoch. It is apart from the database, so
// that who reads events keeps nobody from signing out.
const sessionsFile = "sessions.json"

// sessions are the ended sessions of a store, all in memory.
type sessions struct {
	path      string
	now       func() time.Time
	ofOne, of int // store.MaxEndedSessions and store.MaxEnded

	mu sync.RWMutex
	sessionState
}

// sessionState is what the file holds.
type sessionState struct {
	Epoch store.SessionID
	// Ended are the ended sessions by owner.
	Ended map[string]endedSessions
}

// endedSessions are those of one owner.
type endedSessions struct {
	// Each session by its ID.
	Each map[string]endedSession
	// Until is of those that are not remembered one by one: when the last of them
	// began, and when the last expires; zero for none.
	Until endedSession
}

// endedSession has times in Unix seconds.
type endedSession struct{ Began, Expires int64 }

// with is what covers both.
func (e endedSession) with(other endedSession) endedSession {
	return endedSession{max(e.Began, other.Began), max(e.Expires, other.Expires)}
}

// openSessions reads what was ended. What can't be read ends all.
func (s *Store) openSessions() error {
	n := &s.sessions
	n.path, n.now, n.ofOne, n.of = filepath.Join(s.opts.Dir, sessionsFile), s.now, store.MaxEndedSessions, store.MaxEnded
	data, err := os.ReadFile(n.path)
	if err == nil {
		err = json.Unmarshal(data, &n.sessionState)
	}
	if err == nil && n.Epoch != (store.SessionID{}) {
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		s.log.Info("Ended all sessions: the list of those that were signed out can't be read", "file", n.path)
	}
	return n.save(newSessionState())
}

func newSessionState() sessionState {
	state := sessionState{Ended: map[string]endedSessions{}}
	_, _ = rand.Read(state.Epoch[:])
	return state
}

// save makes a state durable, and then the one that holds.
func (n *sessions) save(state sessionState) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := writeSynced(n.path+".tmp", data); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(n.path+".tmp", n.path), syncDir(filepath.Dir(n.path))); err != nil {
		return err
	}
	n.sessionState = state
	return nil
}

// SessionEpoch implements store.Sessions.
func (s *Store) SessionEpoch(context.Context) (store.SessionID, error) {
	if err := s.calls.Enter(); err != nil {
		return store.SessionID{}, err
	}
	defer s.calls.Leave()
	s.sessions.mu.RLock()
	defer s.sessions.mu.RUnlock()
	return s.sessions.Epoch, nil
}

// SessionEnded implements store.Sessions.
func (s *Store) SessionEnded(_ context.Context, one store.Session) (bool, error) {
	if err := s.calls.Enter(); err != nil {
		return false, err
	}
	defer s.calls.Leave()
	s.sessions.mu.RLock()
	defer s.sessions.mu.RUnlock()
	return s.sessions.ended(one), nil
}

func (n *sessionState) ended(one store.Session) bool {
	of := n.Ended[hex.EncodeToString(one.Owner[:])]
	_, ended := of.Each[hex.EncodeToString(one.ID[:])]
	return one.Epoch != n.Epoch || ended || of.Until.Expires > 0 && one.Began.Unix() <= of.Until.Began
}

// EndSession implements store.Sessions.
func (s *Store) EndSession(_ context.Context, one store.Session) error {
	if err := s.calls.Enter(); err != nil {
		return err
	}
	defer s.calls.Leave()
	n := &s.sessions
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended(one) {
		return nil
	}
	if err := n.save(n.with(one)); err != nil {
		return fmt.Errorf("end a session: %w: %w", store.ErrUnavailable, err)
	}
	return nil
}

// with is the state with one more ended session, and without those that have
// expired.
func (n *sessions) with(one store.Session) sessionState {
	state := sessionState{Epoch: n.Epoch, Ended: map[string]endedSessions{}}
	now, count := n.now().Unix(), 1
	for owner, was := range n.Ended {
		left := endedSessions{Each: map[string]endedSession{}}
		for id, e := range was.Each {
			if e.Expires > now {
				left.Each[id] = e
			}
		}
		if was.Until.Expires > now {
			left.Until = was.Until
		}
		if len(left.Each) > 0 || left.Until.Expires > 0 {
			state.Ended[owner] = left
			count += max(1, len(left.Each))
		}
	}
	if count > n.of {
		return newSessionState()
	}
	owner := hex.EncodeToString(one.Owner[:])
	of := state.Ended[owner]
	if of.Each == nil {
		of.Each = map[string]endedSession{}
	}
	of.Each[hex.EncodeToString(one.ID[:])] = endedSession{one.Began.Unix(), one.Expires.Unix()}
	if len(of.Each) > n.ofOne {
		for _, e := range of.Each {
			of.Until = of.Until.with(e)
		}
		of.Each = nil
	}
	state.Ended[owner] = of
	return state
}
