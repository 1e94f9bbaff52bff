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
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/problem"
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

// Options of New. Now and Log are optional.
type Options struct {
	Store Store
	Auth  *auth.Auth
	Login *login.Login
	// Exports sends files.
	Exports *export.Exporter
	// Types returns the resource types to choose from, in the order of the picker.
	Types func() []ResourceType
	// Retention is how long events are kept.
	Retention time.Duration
	// Doors watches the pages; nil watches nothing.
	Doors *door.Watch
	Now   func() time.Time
	Log   logr.Logger
}

// Paths of pages; those of the list and of snapshots are package query's.
const (
	// entrance is where the navigation leads: reads are most of what happens and
	// seldom what is looked for. A link without it shows them.
	entrance   = query.AuditLogsPath + "?method_exclude=GET"
	eventsPath = query.AuditLogsPath + "/events/"
	loginPath  = "/login"
)

//go:embed templates assets/icon.svg assets/first assets/css assets/js assets/vendor/*.js
var files embed.FS

type dashboard struct {
	Options
	pages  map[string]*template.Template
	assets map[string]asset
}

// New returns the handler of all pages. It fails when an option is missing or
// a key has the wrong length.
func New(opts Options) (http.Handler, error) {
	if opts.Store == nil || opts.Auth == nil || opts.Login == nil || opts.Exports == nil || opts.Types == nil {
		return nil, errors.New("dashboard: Store, Auth, Login, Exports and Types are required")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	d := &dashboard{Options: opts}
	if err := d.load(); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, entrance, http.StatusSeeOther)
	})
	mux.HandleFunc("GET "+query.AuditLogsPath, opts.Doors.Handler(door.Page, d.authenticated(d.list)))
	mux.HandleFunc("GET "+query.AuditLogsPath+csvFile, opts.Doors.Handler(door.Export, d.authenticated(d.exported(export.CSV))))
	mux.HandleFunc("GET "+query.AuditLogsPath+ndjsonFile, opts.Doors.Handler(door.Export, d.authenticated(d.exported(export.NDJSON))))
	mux.HandleFunc("GET "+valuesPath+"{dimension}", opts.Doors.Handler(door.Values, d.authenticated(d.values)))
	mux.HandleFunc("GET "+eventsPath+"{id}", opts.Doors.Handler(door.Event, d.authenticated(d.event)))
	mux.HandleFunc("GET "+eventsPath+"{id}"+rawFile, opts.Doors.Handler(door.Event, d.authenticated(d.eventRaw)))
	mux.HandleFunc("GET "+tailPath, opts.Doors.Handler(door.Tail, d.authenticated(d.tail)))
	mux.HandleFunc("GET "+savePath, opts.Doors.Handler(door.Save, d.authenticated(d.saveQuery)))
	mux.HandleFunc("GET "+savePath+yamlFile, opts.Doors.Handler(door.Save, d.authenticated(d.saveQuery)))
	mux.HandleFunc("GET "+snapshotsPath, opts.Doors.Handler(door.Snapshot, d.authenticated(d.snapshots)))
	mux.HandleFunc("GET "+query.SnapshotsPath+"{id}", opts.Doors.Handler(door.Snapshot, d.authenticated(d.snapshot)))
	mux.HandleFunc("GET "+query.SnapshotsPath+"{id}"+ndjsonFile, opts.Doors.Handler(door.Download, d.authenticated(d.download)))
	mux.HandleFunc("GET "+quarantinePath, opts.Doors.Handler(door.Held, d.authenticated(d.quarantine)))
	mux.HandleFunc("GET "+loginPath, d.loginPage)
	mux.HandleFunc("POST "+loginPath, d.formed(d.few(d.signIn)))
	mux.HandleFunc("GET "+login.BeginPath, d.few(d.toProvider))
	mux.HandleFunc("GET "+login.CallbackPath, d.few(d.fromProvider))
	mux.HandleFunc("POST /logout", d.logout)
	mux.HandleFunc("GET /assets/{name}", d.asset)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { d.notFound(w, r, auth.User{}) })

	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, r, auth.User{}, failure{Problem: problem.Problem{Status: http.StatusForbidden, Title: "Request refused",
			Detail: "This form was sent from another site. Open the page here and send it again."}})
	}))
	return origin.Handler(mux), nil
}

// page is what every template gets.
type page struct {
	Title string
	User  string
	Place place // what the navigation marks
	// Wide says that the caller may see every event, and so whoever made its
	// rights most likely let it see the quarantine too.
	Wide bool
	Data any
}

// place is a destination of the navigation.
type place string

// The places.
const (
	inLogs       place = "logs"
	inSnapshots  place = "snapshots"
	inQuarantine place = "quarantine"
)

func (d *dashboard) load() error {
	if err := d.loadAssets(); err != nil {
		return err
	}
	d.pages = map[string]*template.Template{}
	for _, name := range []string{"list", "values", "event", "query", "snapshot", "snapshots", "quarantine", "login", "problem"} {
		t, err := template.New("layout.html").Funcs(template.FuncMap{
			"time": formatTime, "rfc3339": rfc3339, "count": formatCount, "count64": func(n int) string { return formatCount(int64(n)) }, "precise": formatPrecise, "asset": d.assetPath,
			"entrance": func() string { return entrance },
		}).ParseFS(files, "templates/layout.html", "templates/parts/*.html", "templates/"+name+".html")
		if err != nil {
			return err
		}
		d.pages[name] = t
	}
	return nil
}

// render writes a whole page or, if its template fails, none of it.
func (d *dashboard) render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	d.write(w, r, status, name, "layout.html", p)
}

// renderPart writes one part of a page, for a script that puts it into one.
func (d *dashboard) renderPart(w http.ResponseWriter, r *http.Request, name, part string, data any) {
	d.write(w, r, http.StatusOK, name, part, data)
}

func (d *dashboard) write(w http.ResponseWriter, r *http.Request, status int, name, part string, data any) {
	d.drawn(w, r, status, name, func() ([]byte, error) { return d.html(name, part, data) })
}

// html is a part of a page.
func (d *dashboard) html(name, part string, data any) ([]byte, error) {
	var body bytes.Buffer
	err := d.pages[name].ExecuteTemplate(&body, part, data)
	return body.Bytes(), err
}

// drawn writes what draw returns, unless that is too large or there is none.
func (d *dashboard) drawn(w http.ResponseWriter, r *http.Request, status int, name string, draw func() ([]byte, error)) {
	body, err := draw()
	if err == nil && len(body) > maxPage {
		d.Log.Info("A page is too large", "page", name, "path", r.URL.Path, "bytes", len(body))
		status = tooLarge.Status
		body, err = d.html("problem", "layout.html", page{Title: tooLarge.Title, Data: failure{Problem: tooLarge}})
	}
	if err != nil {
		d.Log.Error(err, "Could not render a page", "page", name, "path", r.URL.Path)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the browser is gone
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// formatPrecise writes all of a time's digits.
func formatPrecise(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.999999") }

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
