// Package web puts every face that answers by HTTP behind one handler: who
// asks is found out, and what every answer must carry is set, in one place.
package web

import (
	"context"
	"net/http"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/httpapi"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Options of New. Doors, Now and Log are optional.
type Options struct {
	Store dashboard.Store
	Auth  *auth.Auth
	Login *login.Login
	// Records takes the operator's own records.
	Records *selfaudit.Recorder
	// Views records who looks; nil records nothing.
	Views *selfaudit.Views
	// Deleted hears whose snapshot was deleted; nil if nobody has to.
	Deleted func(owner store.Owner)
	// Types returns the resource types to choose from, in the order of the picker.
	Types func() []dashboard.ResourceType
	// Retention is how long events are kept.
	Retention time.Duration
	// HTTPS says that browsers reach the pages by HTTPS alone, and are told to keep
	// to it.
	HTTPS bool
	// Doors watches the requests; nil watches nothing.
	Doors *door.Watch
	Now   func() time.Time
	Log   logr.Logger
}

// New returns the handler of the pages and of the API. It fails when an option is missing.
func New(opts Options) (http.Handler, error) {
	exports, err := export.New(export.Options{Store: opts.Store, Records: opts.Records, Still: still(opts), Retention: opts.Retention, Now: opts.Now, Log: opts.Log.WithName("export")})
	if err != nil {
		return nil, err
	}
	pages, err := dashboard.New(dashboard.Options{
		Store: opts.Store, Auth: opts.Auth, Login: opts.Login, Exports: exports, Types: opts.Types, Retention: opts.Retention,
		Doors: opts.Doors, Now: opts.Now, Log: opts.Log.WithName("dashboard"),
	})
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Options{
		Records: opts.Records, Deleted: opts.Deleted,
		Store: opts.Store, Auth: opts.Auth, Login: opts.Login, Exports: exports, Retention: opts.Retention,
		Doors: opts.Doors, Now: opts.Now, Log: opts.Log.WithName("api"),
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle(httpapi.Path, api)
	answers, err := compressed(mux)
	if err != nil {
		return nil, err
	}
	return headers(bodies(looks(answers, opts.Views), bodyTimeout), opts.HTTPS), nil
}

// still asks anew who sends a request, and what it may see.
func still(opts Options) export.Still {
	return func(ctx context.Context, r *http.Request, user auth.User, scope query.Scope) error {
		who, _, err := opts.Login.Caller(r.WithContext(ctx))
		if err != nil {
			return err
		}
		if who.Name != user.Name {
			return auth.ErrUnauthenticated
		}
		return opts.Auth.Still(ctx, who, scope)
	}
}

// looks has it recorded that somebody was shown something, once it was.
func looks(next http.Handler, views *selfaudit.Views) http.Handler {
	if views == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, note := auth.WithNote(r.Context())
		status := http.StatusOK
		next.ServeHTTP(httpsnoop.Wrap(w, httpsnoop.Hooks{WriteHeader: func(write httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) {
				status = code
				write(code)
			}
		}}), r.WithContext(ctx))
		if user, scope, kind := note.Seen(); !scope.IsZero() && status == http.StatusOK {
			views.Looked(r, user, scope, kind)
		}
	})
}

// keepToHTTPS has a browser that came by HTTPS come no other way for a year. It
// speaks for no host below this one, and asks for no list of such sites: those
// are the domain owner's to say.
const keepToHTTPS = "max-age=31536000"

// headers sets what every answer carries. Referrers stay on this site; the
// stricter no-referrer would make browsers send forms without their origin,
// which plain HTTP needs to tell own forms from others'.
func headers(next http.Handler, https bool) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if https {
			h.Set("Strict-Transport-Security", keepToHTTPS)
		}
		next.ServeHTTP(w, r)
	})
}
