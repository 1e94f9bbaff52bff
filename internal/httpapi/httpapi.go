// Package httpapi answers programs: the JSON API under /api/v1, and under
// /api/v2 what scripts of Porter's API know. Its document, openapi.yaml, says
// what every answer holds.
//
// An answer is made of what the caller's own rights cover. What a caller may
// not see looks like what does not exist.
package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Store is what the API reads.
type Store interface {
	store.Reader
	store.Snapshots
}

// Options of New. Doors, Now and Log are optional.
type Options struct {
	Store Store
	Auth  *auth.Auth
	Login *login.Login
	// Exports sends files.
	Exports *export.Exporter
	// Records takes the records of what callers delete.
	Records *selfaudit.Recorder
	// Deleted hears whose snapshot was deleted; nil if nobody has to.
	Deleted func(owner store.Owner)
	// Retention is how long events are kept; 0 is for ever.
	Retention time.Duration
	// Doors watches the requests; nil watches nothing.
	Doors *door.Watch
	Now   func() time.Time
	Log   logr.Logger
}

type api struct {
	Options
	document []byte // of OpenAPI, as JSON
}

// New returns the handler of everything under Path. It fails when an option is
// missing.
func New(opts Options) (http.Handler, error) {
	if opts.Store == nil || opts.Auth == nil || opts.Login == nil || opts.Exports == nil || opts.Records == nil {
		return nil, errors.New("httpapi: Store, Auth, Login, Exports and Records are required")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	document, err := readDocument()
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	a := &api{Options: opts, document: document}
	mux := http.NewServeMux()
	for path, methods := range byPath(a.endpoints()) {
		mux.Handle(path, a.methods(path, methods))
	}
	mux.Handle(Path, a.failing(problem.Problem{Kind: problem.NotFound, Status: http.StatusNotFound, Title: "Not found",
		Detail: "There is nothing at this address. " + v1 + "openapi.json says what there is."}))

	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(a.failing(problem.Problem{Kind: problem.CrossOrigin, Status: http.StatusForbidden, Title: "Request refused",
		Detail: "A page of another site sent this request."}))
	return origin.Handler(mux), nil
}
