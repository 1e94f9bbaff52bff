package httpapi

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/problem"
)

// Path is what the addresses of the API begin with.
const Path = "/api/"

const (
	v1     = Path + "v1/"
	porter = Path + "v2/projects/{project}/api-audit-logs/"
)

// handler answers a request of a user, or returns why it can't. After the
// first byte of an answer an error breaks the connection, so that what is cut
// off does not look whole.
type handler func(w http.ResponseWriter, r *http.Request, user auth.User) error

// endpoint is one method at one address.
type endpoint struct {
	method, path string // the path as http.ServeMux has it
	door         door.Door
	answer       handler
	open         bool // without log-in; answer gets no user
}

// endpoints returns everything that the API answers.
func (a *api) endpoints() []endpoint {
	return []endpoint{
		{method: http.MethodGet, path: v1 + "audit-logs", door: door.APIList, answer: a.list},
		{method: http.MethodGet, path: v1 + "audit-logs/{id}", door: door.APIEvent, answer: a.event},
		{method: http.MethodGet, path: v1 + "audit-logs/histogram", door: door.APIHistogram, answer: a.histogram},
		{method: http.MethodGet, path: v1 + "audit-logs/facets/{dimension}", door: door.APIFacet, answer: a.facet},
		{method: http.MethodGet, path: v1 + "snapshots", door: door.APISnapshots, answer: a.snapshots},
		{method: http.MethodGet, path: v1 + "snapshots/{id}", door: door.APISnapshots, answer: a.snapshot},
		{method: http.MethodDelete, path: v1 + "snapshots/{id}", door: door.APISnapshots, answer: a.deleteSnapshot},
		{method: http.MethodGet, path: v1 + "snapshots/{id}/records", door: door.Download, answer: a.snapshotRecords},
		{method: http.MethodGet, path: v1 + "quarantine", door: door.APIHeld, answer: a.quarantine},
		{method: http.MethodGet, path: v1 + "export", door: door.APIExport, answer: a.export},
		{method: http.MethodGet, path: v1 + "openapi.json", answer: a.openAPI, open: true},
		{method: http.MethodPost, path: porter + "query", door: door.APIList, answer: a.porterQuery},
		{method: http.MethodPost, path: porter + "export", door: door.APIExport, answer: a.porterExport},
	}
}

// byPath returns the endpoints of each address by their methods.
func byPath(endpoints []endpoint) map[string]map[string]endpoint {
	out := map[string]map[string]endpoint{}
	for _, e := range endpoints {
		if out[e.path] == nil {
			out[e.path] = map[string]endpoint{}
		}
		out[e.path][e.method] = e
	}
	return out
}

// methods lets the endpoint of a request's method answer. That of GET answers
// HEAD too.
func (a *api) methods(path string, endpoints map[string]endpoint) http.Handler {
	handlers := map[string]http.HandlerFunc{}
	var allowed []string
	for method, e := range endpoints {
		h := a.caught(e)
		if e.door != "" {
			h = a.Doors.Handler(e.door, h)
		}
		handlers[method] = h
		allowed = append(allowed, method)
		if method == http.MethodGet {
			handlers[http.MethodHead] = h
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	refuse := a.failing(problem.Problem{Kind: problem.MethodNotAllowed, Status: http.StatusMethodNotAllowed, Title: "Method not allowed",
		Detail: "This address answers " + allow + "."})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, ok := handlers[r.Method]
		if !ok {
			w.Header().Set("Allow", allow)
			refuse.ServeHTTP(w, r)
			return
		}
		r.Pattern = r.Method + " " + path // names the span
		h(w, r)
	})
}

// caught lets an endpoint answer, and answers for its error or panic.
func (a *api) caught(e endpoint) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		w := &writer{ResponseWriter: rw}
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				panic(cause)
			}
			a.failed(w, r, auth.User{}, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}()
		var user auth.User
		var err error
		if !e.open {
			user, _, err = a.Login.Caller(r)
		}
		if err == nil {
			// What is read for the answer is read in the user's name.
			r = r.WithContext(admission.With(r.Context(), admission.User(user.Name)))
			err = e.answer(w, r, user)
		}
		if err != nil {
			a.failed(w, r, user, err)
		}
	}
}

// writer knows whether an answer has begun.
type writer struct {
	http.ResponseWriter
	began bool
}

func (w *writer) WriteHeader(status int) {
	w.began = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	w.began = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
