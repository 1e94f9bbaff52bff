package dashboard

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/problem"
)

const (
	formMost = 64 << 10
	// loginsMost is how many log-ins are looked at at once; each asks the API
	// server or the identity provider, and anybody can send one.
	loginsMost = 16
)

type userHandler func(w http.ResponseWriter, r *http.Request, user auth.User)

// wantsPage reports whether a request is a browser's: all ask for HTML, but for
// those of htmx, which name themselves.
func wantsPage(r *http.Request) bool {
	return r.Header.Get("HX-Request") != "" || strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// authenticated lets next answer only for a user that is known. Browsers go to
// the login page and come back; programs, which send their token themselves, and
// proxies, which name a user themselves, are told what is wrong with it.
func (d *dashboard) authenticated(next userHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, means, err := d.Login.Caller(r)
		switch {
		case err == nil:
			// What is read for the page is read in the user's name.
			next(w, r.WithContext(admission.With(r.Context(), admission.User(user.Name))), user)
		case !errors.Is(err, auth.ErrUnauthenticated):
			d.failed(w, r, auth.User{}, err)
		case means == login.Bearer || means == login.FromProxy || !wantsPage(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			d.failed(w, r, auth.User{}, err)
		default:
			page := loginPath
			if to := landing(r.URL); login.Local(to) {
				page += "?" + encode(parameter{"next", to})
			}
			w.Header().Set("Location", page)
			w.WriteHeader(http.StatusSeeOther)
		}
	}
}

// loginData is what the login page shows.
type loginData struct {
	Next     string
	Provider string // what people call the identity provider; empty is none
	Begin    string // where its log-in begins
	Alert    string // why the last log-in failed, or what to know
	Wrong    string // what is wrong with the token
	Lasts    string // how long a session lasts at most
}

func (d *dashboard) loginPage(w http.ResponseWriter, r *http.Request) {
	next := r.URL.Query().Get("next")
	_, means, err := d.Login.Caller(r)
	var refused *login.Refused
	switch {
	case means == login.FromProxy && err == nil:
		goOn(w, next)
	case errors.As(err, &refused):
		d.showLogin(w, r, http.StatusUnauthorized, loginData{Next: next, Alert: refused.Reason})
	default:
		d.showLogin(w, r, http.StatusOK, loginData{Next: next})
	}
}

func (d *dashboard) showLogin(w http.ResponseWriter, r *http.Request, status int, data loginData) {
	if !login.Local(data.Next) {
		data.Next = ""
	}
	if name, ok := d.Login.Provider(); ok {
		data.Provider, data.Begin = name, login.BeginPath
		if data.Next != "" {
			data.Begin += "?" + encode(parameter{"next", data.Next})
		}
	}
	data.Lasts = inWords(d.Login.Lifetime())
	d.render(w, r, status, "login", page{Title: "Sign in", Data: data})
}

// inWords writes a duration of minutes and more as people do.
func inWords(d time.Duration) string {
	hours, minutes := int(d/time.Hour), int(d%time.Hour/time.Minute)
	counted := func(n int, unit string) string {
		if n == 1 {
			return "one " + unit
		}
		return formatCount(int64(n)) + " " + unit + "s"
	}
	switch {
	case hours == 0:
		return counted(minutes, "minute")
	case minutes == 0:
		return counted(hours, "hour")
	}
	return counted(hours, "hour") + " and " + counted(minutes, "minute")
}

// goOn sends a browser that is signed in to where it wanted to go. Not by
// http.Redirect, which changes the path after it was checked.
func goOn(w http.ResponseWriter, next string) {
	if !login.Local(next) {
		next = entrance
	}
	w.Header().Set("Location", next)
	w.WriteHeader(http.StatusSeeOther)
}

// formed reads a request's form before next gets it, which then waits for
// nothing that the client could keep back. How long it may take is bounded where
// all bodies are.
func (d *dashboard) formed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formMost)
		if err := r.ParseForm(); err != nil {
			d.showLogin(w, r, http.StatusBadRequest, loginData{Wrong: "The form could not be read; what it held was too long, or took too long."})
			return
		}
		next(w, r)
	}
}

// few lets only so many requests through at once.
func (d *dashboard) few(next http.HandlerFunc) http.HandlerFunc {
	places := make(chan struct{}, loginsMost)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			next(w, r)
		default:
			d.fail(w, r, auth.User{}, failure{Problem: problem.Problem{Status: http.StatusServiceUnavailable, Title: "Too many log-ins at once", RetryAfter: time.Second,
				Detail: "Others are signing in at this moment. Try again shortly."}})
		}
	}
}

func (d *dashboard) signIn(w http.ResponseWriter, r *http.Request) {
	next, token := r.PostForm.Get("next"), strings.TrimSpace(r.PostForm.Get("token"))
	_, err := d.Login.WithToken(w, r, token)
	switch {
	case errors.Is(err, auth.ErrUnauthenticated):
		d.showLogin(w, r, http.StatusUnauthorized, loginData{Next: next, Wrong: "The API server does not accept this token. It may have expired, or be for another cluster."})
	case errors.Is(err, login.ErrTooLong):
		d.showLogin(w, r, http.StatusBadRequest, loginData{Next: next, Wrong: "This token is too long for a browser's cookie. Use one of a service account, made as described below."})
	case err != nil:
		d.failed(w, r, auth.User{}, err)
	default:
		goOn(w, next)
	}
}

// toProvider sends a browser to the identity provider. It is a link and not a
// form, because the policy of the pages lets no form lead to another site.
func (d *dashboard) toProvider(w http.ResponseWriter, r *http.Request) {
	next := r.URL.Query().Get("next")
	if err := d.Login.Begin(w, r, next); err != nil {
		d.notSignedIn(w, r, next, err)
	}
}

// fromProvider takes a browser that comes back from the identity provider.
func (d *dashboard) fromProvider(w http.ResponseWriter, r *http.Request) {
	_, next, err := d.Login.Finish(w, r)
	if err != nil {
		d.notSignedIn(w, r, next, err)
		return
	}
	goOn(w, next)
}

// notSignedIn offers the login page again and says what failed.
func (d *dashboard) notSignedIn(w http.ResponseWriter, r *http.Request, next string, err error) {
	name, ok := d.Login.Provider()
	var refused *login.Refused
	switch {
	case !ok:
		d.notFound(w, r, auth.User{})
	case errors.As(err, &refused):
		d.showLogin(w, r, http.StatusUnauthorized, loginData{Next: next, Alert: refused.Reason})
	case errors.Is(err, login.ErrProvider):
		w.Header().Set("Retry-After", "5")
		d.showLogin(w, r, http.StatusServiceUnavailable, loginData{Next: next,
			Alert: "The log-in with " + name + " doesn't work at the moment. Try again shortly, or use a token. The operator's log says why."})
	default:
		d.failed(w, r, auth.User{}, err)
	}
}

func (d *dashboard) logout(w http.ResponseWriter, r *http.Request) {
	if err := d.Login.End(w, r); err != nil {
		d.Log.Error(err, "Could not end a session for all replicas")
		w.Header().Set("Retry-After", "10")
		d.showLogin(w, r, http.StatusServiceUnavailable, loginData{
			Alert: "You are signed out in this browser. A copy of its cookie, if there is one, could not be made invalid, because the store or the API server doesn't answer; it ends by itself within " + inWords(d.Login.Lifetime()) + "."})
		return
	}
	if _, means, _ := d.Login.Caller(r); means == login.FromProxy {
		d.showLogin(w, r, http.StatusOK, loginData{Alert: "You are signed in by a proxy that stands before this page. To sign out, sign out there."})
		return
	}
	w.Header().Set("Location", loginPath)
	w.WriteHeader(http.StatusSeeOther)
}
