package dashboard

import (
	"errors"
	"net/http"
	"strings"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/login"
)

const formMost = 64 << 10

type userHandler func(w http.ResponseWriter, r *http.Request, user auth.User)

// wantsPage reports whether a request is a browser's, which all ask for HTML.
func wantsPage(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// authenticated lets next answer only for a user that the API server knows.
// Browsers go to the login page and come back; programs, which send their
// token themselves, are told that it is missing or wrong.
func (d *dashboard) authenticated(next userHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, means, err := d.Login.Caller(r)
		switch {
		case err == nil:
			next(w, r, user)
		case !errors.Is(err, auth.ErrUnauthenticated):
			d.failed(w, r, auth.User{}, err)
		case means == login.Bearer || !wantsPage(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			d.failed(w, r, auth.User{}, err)
		default:
			page := loginPath
			if to := r.URL.RequestURI(); login.Local(to) {
				page += "?" + encode(parameter{"next", to})
			}
			w.Header().Set("Location", page)
			w.WriteHeader(http.StatusSeeOther)
		}
	}
}

type loginData struct {
	Next  string
	Wrong string // why the last try failed
}

func (d *dashboard) loginPage(w http.ResponseWriter, r *http.Request) {
	d.showLogin(w, r, http.StatusOK, r.URL.Query().Get("next"), "")
}

func (d *dashboard) showLogin(w http.ResponseWriter, r *http.Request, status int, next, wrong string) {
	if !login.Local(next) {
		next = ""
	}
	d.render(w, r, status, "login", page{Title: "Sign in", Data: loginData{Next: next, Wrong: wrong}})
}

func (d *dashboard) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	if err := r.ParseForm(); err != nil {
		d.showLogin(w, r, http.StatusBadRequest, "", "The form could not be read; what it held was too long.")
		return
	}
	next, token := r.PostForm.Get("next"), strings.TrimSpace(r.PostForm.Get("token"))
	_, err := d.Login.WithToken(w, r, token)
	switch {
	case errors.Is(err, auth.ErrUnauthenticated):
		d.showLogin(w, r, http.StatusUnauthorized, next, "The API server does not accept this token. It may have expired, or be for another cluster.")
		return
	case errors.Is(err, login.ErrTooLong):
		d.showLogin(w, r, http.StatusBadRequest, next, "This token is too long for a browser's cookie. Use one of a service account, made as described below.")
		return
	case err != nil:
		d.failed(w, r, auth.User{}, err)
		return
	}
	if !login.Local(next) {
		next = entrance
	}
	// Not http.Redirect, which changes the path after it was checked.
	w.Header().Set("Location", next)
	w.WriteHeader(http.StatusSeeOther)
}

func (d *dashboard) logout(w http.ResponseWriter, r *http.Request) {
	d.Login.End(w)
	w.Header().Set("Location", loginPath)
	w.WriteHeader(http.StatusSeeOther)
}
