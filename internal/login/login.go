// Package login says who sends a request: the owner of its bearer token, or of
// the session that a browser signed in to. It keeps sessions in cookies that
// every replica can read.
package login

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
)

// ErrTooLong means that a token does not fit into a browser's cookie.
var ErrTooLong = errors.New("the token is too long for a cookie")

// Options of New.
type Options struct {
	Auth *auth.Auth
	// HashKey has 32 or 64 bytes, BlockKey 32. They protect the cookies; sessions
	// end when they change.
	HashKey, BlockKey []byte
	// Secure says that browsers reach the pages by HTTPS; cookies then go no
	// other way.
	Secure bool
}

// Login knows who callers are. It is safe for concurrent use.
type Login struct {
	opts    Options
	cookies codec
}

// New returns a Login. It fails when an option is missing or a key has the
// wrong length.
func New(opts Options) (*Login, error) {
	switch {
	case opts.Auth == nil:
		return nil, errors.New("login: Auth is required")
	case len(opts.HashKey) != 32 && len(opts.HashKey) != 64:
		return nil, fmt.Errorf("login: the session's hash key must have 32 or 64 bytes, not %d", len(opts.HashKey))
	case len(opts.BlockKey) != 32:
		return nil, fmt.Errorf("login: the session's block key must have 32 bytes, not %d", len(opts.BlockKey))
	}
	return &Login{opts: opts, cookies: newCodec(opts.HashKey, opts.BlockKey)}, nil
}

// Means is how a caller says who it is.
type Means string

// The means. None is a request that says nothing.
const (
	None    Means = ""
	Bearer  Means = "bearer"  // a token in the Authorization header
	Session Means = "session" // a cookie
)

// Caller returns who sends a request. Its errors are those of
// auth.Authenticate; the means is returned with them too.
func (l *Login) Caller(r *http.Request) (auth.User, Means, error) {
	if token, ok := auth.BearerToken(r); ok {
		user, err := l.opts.Auth.Authenticate(r.Context(), token)
		return user, Bearer, err
	}
	cookie, err := r.Cookie(l.cookieName())
	if err != nil {
		return auth.User{}, None, auth.ErrUnauthenticated
	}
	token, _ := l.cookies.decode(l.cookieName(), cookie.Value)
	user, err := l.opts.Auth.Authenticate(r.Context(), token)
	return user, Session, err
}

// WithToken begins a session of a token's owner and returns who that is. Its
// errors are those of auth.Authenticate, and ErrTooLong.
func (l *Login) WithToken(w http.ResponseWriter, r *http.Request, token string) (auth.User, error) {
	user, err := l.opts.Auth.Authenticate(r.Context(), token)
	if err != nil {
		return auth.User{}, err
	}
	value, err := l.cookies.encode(l.cookieName(), token)
	if err != nil {
		return auth.User{}, ErrTooLong // the only one that depends on the token
	}
	l.setCookie(w, value, int(lasts/time.Second))
	return user, nil
}

// End ends the browser's session.
func (l *Login) End(w http.ResponseWriter) { l.setCookie(w, "", -1) }

func (l *Login) cookieName() string {
	if l.opts.Secure {
		return "__Host-audit-session"
	}
	return "audit-session"
}

func (l *Login) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: l.cookieName(), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: l.opts.Secure, SameSite: http.SameSiteLaxMode,
	})
}
