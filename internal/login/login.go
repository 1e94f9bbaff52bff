// Package login says who sends a request: the user that a trusted proxy names,
// the owner of a bearer token, or of the session that a browser signed in to,
// by a token or by OpenID Connect. It keeps sessions in cookies that every
// replica can read.
package login

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/store"
)

// ErrTooLong means that a token, or a name with its groups, does not fit into a
// browser's cookie.
var ErrTooLong = errors.New("too long for a cookie")

// Options of New.
type Options struct {
	Auth *auth.Auth
	// Sessions remembers, for every replica, which sessions were signed out.
	Sessions store.Sessions
	// HashKey has 32 or 64 bytes, BlockKey 32. They protect the cookies; sessions
	// end when they change.
	HashKey, BlockKey []byte
	// Secure says that browsers reach the pages by HTTPS; cookies then go no
	// other way.
	Secure bool
	// Lifetime is how long a session lasts at most, however it is used; 0 is
	// Lifetime, more than MaxLifetime is refused.
	Lifetime time.Duration
	// OIDC is the provider to sign in with; nil is none.
	OIDC *OIDCOptions
	// Proxy says which proxies may name users; nil is none.
	Proxy *Proxy
	// SignedIn, if not nil, is called after each log-in of a browser, before it
	// is answered. The means is Token or OIDC.
	SignedIn func(r *http.Request, user auth.User, means Means)
	// Refused, if not nil, is called for each log-in of a browser that is refused,
	// before it is answered. It must not wait.
	Refused func(r *http.Request, means Means)
	// Now is the clock (default time.Now).
	Now func() time.Time
	Log logr.Logger
}

// Login knows who callers are. It is safe for concurrent use.
type Login struct {
	opts    Options
	cookies codec
	proxy   *proxy
	oidc    *provider
}

// New returns a Login. It fails when an option is missing or wrong. It does not
// ask the identity provider, which may be away.
func New(opts Options) (*Login, error) {
	if opts.Lifetime == 0 {
		opts.Lifetime = Lifetime
	}
	switch {
	case opts.Auth == nil || opts.Sessions == nil:
		return nil, errors.New("login: Auth and Sessions are required")
	case len(opts.HashKey) != 32 && len(opts.HashKey) != 64:
		return nil, fmt.Errorf("login: the session's hash key must have 32 or 64 bytes, not %d", len(opts.HashKey))
	case len(opts.BlockKey) != 32:
		return nil, fmt.Errorf("login: the session's block key must have 32 bytes, not %d", len(opts.BlockKey))
	case opts.Lifetime < 0 || opts.Lifetime > MaxLifetime:
		return nil, fmt.Errorf("login: a session must last at most %s, not %s", MaxLifetime, opts.Lifetime)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	var errs []error
	wrong := func(field, problem string) { errs = append(errs, fmt.Errorf("login: %s: %s", field, problem)) }
	l := &Login{opts: opts, cookies: newCodec(opts.HashKey, opts.BlockKey)}
	if opts.Proxy != nil {
		opts.Proxy.Validate(wrong)
		l.proxy = &proxy{Proxy: *opts.Proxy, now: opts.Now, log: opts.Log}
	}
	if opts.OIDC != nil {
		opts.OIDC.Validate(wrong)
		l.oidc = newProvider(*opts.OIDC, opts.Now, opts.Log)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// Means is how a caller says who it is.
type Means string

// The means. None is a request that says nothing.
const (
	None      Means = ""
	Bearer    Means = "bearer"  // a token in the Authorization header
	Session   Means = "session" // a cookie
	FromProxy Means = "proxy"   // headers of a trusted proxy
	// How a session began.
	Token Means = "token"
	OIDC  Means = "oidc"
)

// Caller returns who sends a request: whom a trusted proxy names, else the owner
// of a bearer token, else that of a session. One that fails is not made up for
// by the next. Its errors are those of auth.Authenticate, *Refused among them;
// the means is returned with them too.
func (l *Login) Caller(r *http.Request) (auth.User, Means, error) {
	if l.proxy != nil {
		if user, named, err := l.proxy.caller(r); named {
			return user, FromProxy, err
		}
	}
	if token, ok := auth.BearerToken(r); ok {
		user, err := l.opts.Auth.Authenticate(r.Context(), token)
		return user, Bearer, err
	}
	cookie, err := r.Cookie(l.cookieName())
	if err != nil {
		return auth.User{}, None, auth.ErrUnauthenticated
	}
	user, _, err := l.owner(r, cookie.Value)
	return user, Session, err
}

// owner returns whose session a cookie's value is, and the session. It is good
// only as long as the store says that it was not signed out.
func (l *Login) owner(r *http.Request, value string) (auth.User, store.Session, error) {
	user, s, err := l.claimed(r, value)
	if err != nil {
		return auth.User{}, store.Session{}, err
	}
	one := s.stored(user)
	ended, err := l.opts.Sessions.SessionEnded(r.Context(), one)
	switch {
	case err != nil:
		return auth.User{}, store.Session{}, unavailable("look up whether a session was signed out", err)
	case ended:
		return auth.User{}, store.Session{}, auth.ErrUnauthenticated
	}
	return user, one, nil
}

// unavailable says that the store could not be asked: whatever is wrong with it
// tells nothing of the caller.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, store.ErrUnavailable, err)
}

// claimed returns whose session a cookie's value says that it is.
func (l *Login) claimed(r *http.Request, value string) (auth.User, session, error) {
	var s session
	if !l.cookies.decode(l.cookieName(), value, &s) || !s.valid(l.opts.Now(), l.opts.Lifetime) {
		return auth.User{}, s, auth.ErrUnauthenticated
	}
	if s.Means == Token {
		user, err := l.opts.Auth.Authenticate(r.Context(), s.Token)
		return user, s, err
	}
	if l.oidc == nil || s.By != l.oidc.by {
		return auth.User{}, s, auth.ErrUnauthenticated
	}
	user, err := identity(s.Name, s.Groups)
	return user, s, err
}

// WithToken begins a session of a token's owner and returns who that is. Its
// errors are those of auth.Authenticate, and ErrTooLong.
func (l *Login) WithToken(w http.ResponseWriter, r *http.Request, token string) (auth.User, error) {
	user, err := l.opts.Auth.Authenticate(r.Context(), token)
	if err != nil {
		if errors.Is(err, auth.ErrUnauthenticated) {
			l.refused(r, Token)
		}
		return auth.User{}, err
	}
	return user, l.begin(w, r, user, ofToken(token, l.opts.Now(), l.opts.Lifetime))
}

func (l *Login) refused(r *http.Request, means Means) {
	if l.opts.Refused != nil {
		l.opts.Refused(r, means)
	}
}

func (l *Login) begin(w http.ResponseWriter, r *http.Request, user auth.User, s session) error {
	epoch, err := l.opts.Sessions.SessionEpoch(r.Context())
	if err != nil {
		return unavailable("begin a session", err)
	}
	s.Epoch = epoch
	value, err := l.cookies.encode(l.cookieName(), s)
	if err != nil {
		return err
	}
	if l.opts.SignedIn != nil {
		l.opts.SignedIn(r, user, s.Means)
	}
	l.setCookie(w, l.cookieName(), value, l.opts.Lifetime)
	return nil
}

// Lifetime returns how long a session lasts at most.
func (l *Login) Lifetime() time.Duration { return l.opts.Lifetime }

// End ends the browser's session, at every replica and for every copy of its
// cookie. On an error the cookie is gone from this browser, and copies of it may
// go on.
func (l *Login) End(w http.ResponseWriter, r *http.Request) error {
	l.setCookie(w, l.cookieName(), "", -1)
	cookie, err := r.Cookie(l.cookieName())
	if err != nil {
		return nil // there is none
	}
	_, one, err := l.owner(r, cookie.Value)
	switch {
	case errors.Is(err, auth.ErrUnauthenticated):
		return nil // it is over
	case err != nil:
		return err
	}
	if err := l.opts.Sessions.EndSession(r.Context(), one); err != nil {
		return unavailable("end a session", err)
	}
	return nil
}

func (l *Login) cookieName() string { return l.prefixed("audit-session") }

// prefixed is a cookie's name. The prefix keeps the name from other hosts of the
// domain, and from plain HTTP.
func (l *Login) prefixed(name string) string {
	if l.opts.Secure {
		return "__Host-" + name
	}
	return name
}

// setCookie sets a cookie, or removes it where it lasts for less than nothing.
func (l *Login) setCookie(w http.ResponseWriter, name, value string, lasts time.Duration) {
	age := int(lasts / time.Second)
	if lasts < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: l.opts.Secure, SameSite: http.SameSiteLaxMode,
	})
}
