// Package dashboard serves the pages that people look at: the list of events
// that a share URL opens, one event, one snapshot. Pages are rendered here and
// need no script in the browser.
//
// Every page is made of what the caller's own rights cover. What a caller may
// not see looks like what does not exist.
package dashboard

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/dashboard/session"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Store is what the pages read.
type Store interface {
	store.Reader
	store.Snapshots
}

// ResourceType is a choice of the resource type picker.
type ResourceType struct {
	Name        string // the filter's value, such as environment_group
	DisplayName string
	Description string
}

// SessionKeys protect the session cookies. Sessions end when the keys change.
type SessionKeys struct {
	Hash  []byte // 32 or 64 bytes
	Block []byte // 32 bytes
}

// Options of New. Now and Log are optional.
type Options struct {
	Store Store
	Auth  *auth.Auth
	// Cluster is the name of the operator's own cluster, which namespaced
	// rights are limited to.
	Cluster string
	// Types returns the resource types to choose from, in the order of the picker.
	Types       func() []ResourceType
	SessionKeys SessionKeys
	// Secure says that browsers reach the pages by HTTPS; cookies then go no
	// other way.
	Secure bool
	// Doors watches the pages; nil watches nothing.
	Doors *door.Watch
	Now   func() time.Time
	Log   logr.Logger
}

// Paths of pages; those of the list and of snapshots are package query's.
const (
	eventsPath = query.AuditLogsPath + "/events/"
	loginPath  = "/login"
)

//go:embed templates assets
var files embed.FS

type dashboard struct {
	Options
	cookies session.Codec
	pages   map[string]*template.Template
	assets  map[string]asset
}

// New returns the handler of all pages. It fails when an option is missing or
// a key has the wrong length.
func New(opts Options) (http.Handler, error) {
	switch {
	case opts.Store == nil || opts.Auth == nil || opts.Types == nil:
		return nil, errors.New("dashboard: Store, Auth and Types are required")
	case opts.Cluster == "":
		return nil, errors.New("dashboard: the name of the operator's own cluster is required")
	case len(opts.SessionKeys.Hash) != 32 && len(opts.SessionKeys.Hash) != 64:
		return nil, fmt.Errorf("dashboard: the session's hash key must have 32 or 64 bytes, not %d", len(opts.SessionKeys.Hash))
	case len(opts.SessionKeys.Block) != 32:
		return nil, fmt.Errorf("dashboard: the session's block key must have 32 bytes, not %d", len(opts.SessionKeys.Block))
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	d := &dashboard{Options: opts, cookies: session.NewCodec(opts.SessionKeys.Hash, opts.SessionKeys.Block)}
	if err := d.load(); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, query.AuditLogsPath, http.StatusSeeOther)
	})
	mux.HandleFunc("GET "+query.AuditLogsPath, opts.Doors.Handler(door.Page, d.authenticated(d.list)))
	mux.HandleFunc("GET "+eventsPath+"{id}", opts.Doors.Handler(door.Event, d.authenticated(d.event)))
	mux.HandleFunc("GET "+query.SnapshotsPath+"{id}", opts.Doors.Handler(door.Snapshot, d.authenticated(d.snapshot)))
	mux.HandleFunc("GET "+query.SnapshotsPath+"{id}/ndjson", opts.Doors.Handler(door.Download, d.authenticated(d.download)))
	mux.HandleFunc("GET "+loginPath, d.loginPage)
	mux.HandleFunc("POST "+loginPath, d.login)
	mux.HandleFunc("POST /logout", d.logout)
	mux.HandleFunc("GET /assets/{name}", d.asset)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { d.notFound(w, r, auth.User{}) })

	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, r, auth.User{}, problem{Status: http.StatusForbidden, Title: "Request refused",
			Text: "This form was sent from another site. Open the page here and send it again."})
	}))
	return headers(origin.Handler(mux)), nil
}

// headers sets what every answer carries. Referrers stay on this site; the
// stricter no-referrer would make browsers send forms without their origin,
// which plain HTTP needs to tell own forms from others'.
func headers(next http.Handler) http.Handler {
	const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// page is what every template gets.
type page struct {
	Title string
	User  string
	Style string
	Icon  string
	Data  any
}

func (d *dashboard) load() error {
	if err := d.loadAssets(); err != nil {
		return err
	}
	d.pages = map[string]*template.Template{}
	for _, name := range []string{"list", "event", "snapshot", "login", "problem"} {
		t, err := template.New("layout.html").Funcs(template.FuncMap{
			"time": formatTime, "rfc3339": rfc3339, "count": formatCount,
		}).ParseFS(files, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return err
		}
		d.pages[name] = t
	}
	return nil
}

// render writes a whole page or, if its template fails, none of it.
func (d *dashboard) render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Style, p.Icon = d.assetPath("style.css"), d.assetPath("icon.svg")
	var body bytes.Buffer
	if err := d.pages[name].Execute(&body, p); err != nil {
		d.Log.Error(err, "Could not render a page", "page", name, "path", r.URL.Path)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // the browser is gone
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// formatCount writes a number with commas between its thousands.
func formatCount(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
