package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// window is the time that an answer speaks of: [From, To).
type window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// completeness says how complete an answer is, and why.
type completeness struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// about is what every answer about events says of itself.
type about struct {
	Window   window       `json:"window"`
	AsOf     time.Time    `json:"asOf"`
	Complete completeness `json:"complete"`
}

// about says it of a question whose answer was read at a time, and counted what
// may be events of the window in quarantine.
func (a *api) about(q question, asOf time.Time, quarantined int64) about {
	out := about{Window: window{From: q.Window.From.UTC(), To: q.Window.To.UTC()}, AsOf: asOf.UTC()}
	out.Complete.Status, out.Complete.Reason = snapshot.Completeness(q.Window, q.asked, a.Retention, quarantined)
	return out
}

// send answers with a value as JSON.
func send(w http.ResponseWriter, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, "application/json", body)
	return nil
}

func encode(v any) ([]byte, error) {
	// What events hold is sent as it is, escapes and names that stand twice included.
	body, err := json.Marshal(v, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true))
	return append(body, '\n'), err
}

const (
	// maxAnswer is the most bytes of a page of the API.
	maxAnswer = 8 << 20
	// pageBytes are asked of the store for one, whose texts grow when they are
	// written as JSON.
	pageBytes = maxAnswer / 2
)

// sendPage answers with the first of n items, as many as maxAnswer bytes hold.
// page returns the answer with so many of them, and where to go on.
func sendPage(w http.ResponseWriter, n int, page func(n int) any) error {
	for {
		body, err := encode(page(n))
		if err != nil {
			return err
		}
		if len(body) <= maxAnswer || n <= 1 {
			write(w, http.StatusOK, "application/json", body)
			return nil
		}
		// As many as fit if all are as large as they are on average, and fewer
		// each time.
		n = max(1, min(n-1, int(int64(n)*maxAnswer/int64(len(body)))))
	}
}

func write(w http.ResponseWriter, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller is gone
}

// failed answers for an error. What has gone wrong here goes to the log. Where
// an answer has begun, the connection breaks.
func (a *api) failed(w *writer, r *http.Request, user auth.User, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	p := problem.Of(err)
	// Refused reads are counted; a line for each would let a client fill the log.
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, store.ErrBusy) {
		a.Log.Error(err, "Could not answer a request of the API", "path", r.URL.Path, "user", user.Name)
	}
	if w.began {
		panic(http.ErrAbortHandler)
	}
	a.refuse(w, p)
}

// failing answers every request with a problem.
func (a *api) failing(p problem.Problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { a.refuse(w, p) })
}

// wrong is a parameter of the request that is wrong.
type wrong struct {
	Parameter string `json:"parameter,omitzero"`
	Value     string `json:"value,omitzero"`
	Detail    string `json:"detail"`
}

// refuse answers with a problem as RFC 9457 has it.
func (a *api) refuse(w http.ResponseWriter, p problem.Problem) {
	details := struct {
		Type   string  `json:"type"`
		Title  string  `json:"title"`
		Status int     `json:"status"`
		Detail string  `json:"detail"`
		Errors []wrong `json:"errors,omitempty"`
	}{Type: p.Kind.Type(), Title: p.Title, Status: p.Status, Detail: p.Detail}
	for _, f := range p.Fields {
		details.Errors = append(details.Errors, wrong{Parameter: f.Name, Value: f.Value, Detail: f.Reason})
	}
	body, err := json.Marshal(details, jsontext.AllowInvalidUTF8(true)) // the value may be anything
	if err != nil {
		a.Log.Error(err, "Could not write a problem")
	}
	h := w.Header()
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	p.WriteRetryAfter(h)
	write(w, p.Status, "application/problem+json", append(body, '\n'))
}
