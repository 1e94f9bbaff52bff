package auth

import (
	"errors"
	"net/http"
	"strings"
)

// Guard lets next answer only who may get the path of the request, by a bearer
// token. It is for paths that are no events' and that programs ask for.
func (a *Auth) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := BearerToken(r)
		user, err := a.Authenticate(r.Context(), token)
		if err == nil {
			err = a.MayGet(r.Context(), user, r.URL.Path)
		}
		switch {
		case err == nil:
			next.ServeHTTP(w, r)
		case errors.Is(err, ErrUnauthenticated):
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "send a bearer token that the API server accepts", http.StatusUnauthorized)
		case errors.Is(err, ErrForbidden):
			http.Error(w, "the token's owner may not get this path", http.StatusForbidden)
		default:
			http.Error(w, "the API server does not say who may get this path", http.StatusServiceUnavailable)
		}
	})
}

// BearerToken returns the token that a request sends, and whether it sends one.
func BearerToken(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}
