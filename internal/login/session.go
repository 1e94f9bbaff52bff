package login

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/securecookie"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// Lifetime is how long sessions last unless Options say otherwise, MaxLifetime
	// how long at most.
	Lifetime    = 8 * time.Hour
	MaxLifetime = 24 * time.Hour
	// skew is how far the clocks of replicas, and of the identity provider, may be
	// apart.
	skew = 5 * time.Minute
	// valueMost leaves room for the name and attributes within the 4,096 bytes
	// that browsers keep of a cookie.
	valueMost = 3900
	// contentMost bounds what a value may unfold to.
	contentMost = 64 << 10
	// sessionVersion changes when what a session holds changes its meaning.
	sessionVersion = 2
)

// codec writes and reads the values of cookies, which only the operator can
// read. A value belongs to the cookie's name.
type codec struct{ cookies *securecookie.SecureCookie }

// newCodec returns a codec. Cookies end when the keys change.
func newCodec(hash, block []byte) codec {
	cookies := securecookie.New(hash, block)
	return codec{cookies.MaxAge(int(MaxLifetime / time.Second)).MaxLength(valueMost).SetSerializer(strict{})}
}

// encode returns the value of a cookie of that name, or ErrTooLong.
func (c codec) encode(name string, content any) (string, error) {
	if _, err := (strict{}).Serialize(content); err != nil {
		return "", err
	}
	value, err := c.cookies.Encode(name, content)
	if err != nil {
		return "", ErrTooLong // of what is left, only the length depends on the content
	}
	return value, nil
}

// decode reads what encode wrote, and returns false for a value that is forged,
// too old, of other keys or of another name.
func (c codec) decode(name, value string, content any) bool {
	return c.cookies.Decode(name, value, content) == nil
}

// strict makes compressed JSON and takes nothing but what it makes: no unknown,
// repeated or misspelt member, nothing that isn't UTF-8. Lengths tell nothing of
// a secret: a session holds a token or what others chose, never both, and what
// an attempt keeps secret beside the address to go on at is new each time.
type strict struct{}

func (strict) Serialize(content any) ([]byte, error) {
	plain, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func (strict) Deserialize(value []byte, content any) error {
	rest := bytes.NewReader(value)
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(rest), contentMost+1))
	switch {
	case err != nil:
		return fmt.Errorf("unfold a cookie: %w", err)
	case len(plain) > contentMost || rest.Len() > 0:
		return errors.New("unfold a cookie: it is too long")
	}
	return json.Unmarshal(plain, content, json.RejectUnknownMembers(true))
}

// session is what a session's cookie holds: a token, of which the API server is
// asked anew at each request, or who its owner has proved to be.
type session struct {
	Version int   `json:"v"`
	Means   Means `json:"means"` // Token or OIDC
	Began   int64 `json:"began"` // in Unix seconds, as Expires
	Expires int64 `json:"expires"`
	// ID is random, so that one session can be ended and no other, and Epoch the
	// store's when it began.
	ID    store.SessionID `json:"id"`
	Epoch store.SessionID `json:"epoch"`

	Token string `json:"token,omitempty"`

	Name   string   `json:"name,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// By names the configuration that the identity was made under, and ends with it.
	By string `json:"by,omitempty"`
}

func newSessionID() store.SessionID {
	var id store.SessionID
	_, _ = rand.Read(id[:]) // it never fails
	return id
}

// ofToken and ofIdentity return sessions that begin now.
func ofToken(token string, now time.Time, lifetime time.Duration) session {
	return session{Version: sessionVersion, ID: newSessionID(), Means: Token, Began: now.Unix(), Expires: now.Add(lifetime).Unix(), Token: token}
}

func ofIdentity(user auth.User, by string, now time.Time, lifetime time.Duration) session {
	return session{Version: sessionVersion, ID: newSessionID(), Means: OIDC, Began: now.Unix(), Expires: now.Add(lifetime).Unix(), Name: user.Name, Groups: user.Groups, By: by}
}

// stored is what the store knows of the session of a user.
func (s session) stored(user auth.User) store.Session {
	owner := sha256.Sum256([]byte("owner of sessions: " + user.Name))
	// The clocks of replicas may be apart.
	return store.Session{ID: s.ID, Owner: store.SessionID(owner[:16]), Epoch: s.Epoch, Began: time.Unix(s.Began, 0).UTC(), Expires: time.Unix(s.Expires, 0).Add(skew).UTC()}
}

// valid reports whether the session says one thing, and says it of now. It lasts
// no longer than sessions do today.
func (s session) valid(now time.Time, lifetime time.Duration) bool {
	began := time.Unix(s.Began, 0)
	if s.Version != sessionVersion || began.After(now.Add(skew)) || !now.Before(began.Add(lifetime)) || !now.Before(time.Unix(s.Expires, 0)) {
		return false
	}
	if s.ID == (store.SessionID{}) {
		return false
	}
	switch s.Means {
	case Token:
		return s.Token != "" && s.Name == "" && len(s.Groups) == 0 && s.By == ""
	case OIDC:
		return s.Token == "" && s.Name != "" && s.By != ""
	}
	return false
}
