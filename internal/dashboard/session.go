package dashboard

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/dashboard/session"
	"github.com/porter-dev/audit-operator/internal/query"
)

const formMost = 64 << 10

func (d *dashboard) cookieName() string {
	if d.Secure {
		return "__Host-audit-session"
	}
	return "audit-session"
}

func (d *dashboard) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: d.cookieName(), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: d.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// token returns the request's bearer token, else that of its session.
func (d *dashboard) token(r *http.Request) (token string, bearer bool) {
	if token, ok := auth.BearerToken(r); ok {
		return token, true
	}
	cookie, err := r.Cookie(d.cookieName())
	if err != nil {
		return "", false
	}
	token, _ = d.cookies.Decode(d.cookieName(), cookie.Value)
	return token, false
}

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
		token, bearer := d.token(r)
		user, err := d.Auth.Authenticate(r.Context(), token)
		switch {
		case err == nil:
			next(w, r, user)
		case !errors.Is(err, auth.ErrUnauthenticated):
			d.unreachable(w, r, auth.User{}, err)
		case bearer || !wantsPage(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			d.fail(w, r, auth.User{}, problem{Status: http.StatusUnauthorized, Title: "Token not accepted",
				Text: "The API server does not accept the token of this request, or there is none. It may have expired. Send one as: Authorization: Bearer <token>"})
		default:
			login := loginPath
			if to := r.URL.RequestURI(); session.Local(to) {
				login += "?" + encode(parameter{"next", to})
			}
			w.Header().Set("Location", login)
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
	if !session.Local(next) {
		next = ""
	}
	d.render(w, r, status, "login", page{Title: "Sign in", Data: loginData{Next: next, Wrong: wrong}})
}

func (d *dashboard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	if err := r.ParseForm(); err != nil {
		d.showLogin(w, r, http.StatusBadRequest, "", "The form could not be read; what it held was too long.")
		return
	}
	next, token := r.PostForm.Get("next"), strings.TrimSpace(r.PostForm.Get("token"))
	_, err := d.Auth.Authenticate(r.Context(), token)
	if errors.Is(err, auth.ErrUnauthenticated) {
		d.showLogin(w, r, http.StatusUnauthorized, next, "The API server does not accept this token. It may have expired, or be for another cluster.")
		return
	}
	if err != nil {
		d.unreachable(w, r, auth.User{}, err)
		return
	}
	value, err := d.cookies.Encode(d.cookieName(), token)
	if err != nil {
		// Of the errors only the length depends on the token.
		d.showLogin(w, r, http.StatusBadRequest, next, "This token is too long for a browser's cookie. Use one of a service account, made as described below.")
		return
	}
	d.setCookie(w, value, int(session.Lasts/time.Second))
	if !session.Local(next) {
		next = query.AuditLogsPath
	}
	// Not http.Redirect, which changes the path after it was checked.
	w.Header().Set("Location", next)
	w.WriteHeader(http.StatusSeeOther)
}

func (d *dashboard) logout(w http.ResponseWriter, r *http.Request) {
	d.setCookie(w, "", -1)
	w.Header().Set("Location", loginPath)
	w.WriteHeader(http.StatusSeeOther)
}
