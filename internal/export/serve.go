package export

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
)

// Bounds of what exports take.
const (
	// atOnce and perUser bound the exports that run in a process.
	atOnce  = 8
	perUser = 2
	// RetryAfter is how long to wait when there are too many.
	RetryAfter = 10 * time.Second
	// stallTimeout is how long a client may take for what was written at once.
	stallTimeout = 30 * time.Second
	// maxDuration bounds a whole answer.
	maxDuration = 30 * time.Minute
)

// Errors that callers tell apart with errors.Is; nothing was sent with them.
var (
	// ErrBusy means that as many exports run as may at once.
	ErrBusy = errors.New("too many exports run now")
	// ErrYourOthers means that as many of this caller's exports run as may.
	ErrYourOthers = errors.New("too many of your exports run now")
	// ErrCrossSite means that a page of another site had a browser ask for a file.
	ErrCrossSite = errors.New("a page of another site asks for a file")
)

// Options of New. Now and Log are optional.
type Options struct {
	Store   Store
	Records *selfaudit.Recorder
	// Still is asked about a caller's rights while an answer is sent.
	Still Still
	// RightsEvery is how often it is asked; 0 means 10 s. RightsLast is how long
	// its yes is good for; 0 means 18 s.
	RightsEvery, RightsLast time.Duration
	// Retention is how long events are kept; 0 is for ever.
	Retention time.Duration
	// StallTimeout is how long a client may take for each 64 KiB; 0 means 30 s.
	StallTimeout time.Duration
	// MaxDuration bounds a whole answer; 0 means 30 min.
	MaxDuration time.Duration
	Now         func() time.Time
	Log         logr.Logger
}

// Exporter answers with files. It is safe for concurrent use.
type Exporter struct {
	Options
	mu      sync.Mutex
	running map[string]int // by user
	all     int
}

// New returns an Exporter. It fails when an option is missing.
func New(opts Options) (*Exporter, error) {
	if opts.Store == nil || opts.Records == nil || opts.Still == nil {
		return nil, errors.New("export: Store, Records and Still are required")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.StallTimeout == 0 {
		opts.StallTimeout = stallTimeout
	}
	if opts.RightsEvery == 0 {
		opts.RightsEvery = rightsEvery
	}
	if opts.RightsLast == 0 {
		opts.RightsLast = rightsLast
	}
	if opts.MaxDuration == 0 {
		opts.MaxDuration = maxDuration
	}
	return &Exporter{Options: opts, running: map[string]int{}}, nil
}

// enter lets a request for a file through, of an export and of a snapshot
// alike. The context ends with the time that it may take; release gives its
// place to others.
func (x *Exporter) enter(r *http.Request, user auth.User) (ctx context.Context, release func(), err error) {
	// It would have the server work, and be recorded, in the name of somebody who
	// meant nothing. How the caller is known does not matter: a page can't send
	// another site a bearer token, so one that comes with such a request was added
	// on the way, by a proxy that takes the browser's cookie for it.
	if login.FromAnotherSite(r) {
		return nil, nil, ErrCrossSite
	}
	leave, err := x.acquire(user.Name)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), x.MaxDuration)
	return ctx, func() {
		cancel()
		leave()
	}, nil
}

// acquire takes one of the places for exports.
func (x *Exporter) acquire(user string) (release func(), err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.running[user] >= perUser:
		return nil, ErrYourOthers
	case x.all >= atOnce:
		return nil, ErrBusy
	}
	x.running[user]++
	x.all++
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.all--
		if x.running[user]--; x.running[user] == 0 {
			delete(x.running, user)
		}
	}, nil
}

// Serve answers a request with an export of what the scope covers. An error
// means that nothing was sent: a *query.FieldError, ErrCrossSite, ErrBusy,
// ErrYourOthers, selfaudit.ErrNotRecorded or the store's. What goes wrong later
// breaks the connection by a panic with http.ErrAbortHandler, after the row
// Failed. An answer to HEAD, which has no rows, is not recorded.
func (x *Exporter) Serve(w http.ResponseWriter, r *http.Request, user auth.User, scope query.Scope, req Request) error {
	ctx, release, err := x.enter(r, user)
	if err != nil {
		return err
	}
	defer release()
	entered := time.Now()
	out := newPatient(w, x.StallTimeout)
	if req.Asked.IsZero() {
		req.Asked = x.Now()
	}
	answer, err := begin(ctx, x.Store, scope, req, x.Retention)
	if err != nil {
		return err
	}
	if err := x.stillIfLate(ctx, r, user, scope, entered); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		begin200(w, answer.headers())
		return nil
	}
	end, err := x.Records.Begin(ctx, selfaudit.Act{
		Action: selfaudit.Export, User: user, Request: r, Namespaces: namespaces(scope), Detail: answer.detail(),
	})
	if err != nil {
		return err
	}
	begin200(w, answer.headers())
	watched, stop := x.watchRights(ctx, r, user, scope, out)
	rows, err := answer.write(watched, out)
	stop()
	end(ctx, http.StatusOK, map[string]string{"rows": strconv.FormatInt(rows, 10), "outcome": outcome(watched, r, err)})
	if err != nil {
		if r.Context().Err() == nil {
			x.Log.Error(err, "Could not finish an export", "user", user.Name, "rows", rows)
		}
		panic(http.ErrAbortHandler) // a file that ends too early must not look whole
	}
	out.release()
	return nil
}

// Outcomes, as records have them.
const (
	outcomeSent      = "sent"
	outcomeCancelled = "cancelled" // by the client
	outcomeForbidden = "forbidden" // the caller's rights ended meanwhile
	outcomeFailed    = "failed"
)

func outcome(watched context.Context, r *http.Request, err error) string {
	switch {
	case err == nil:
		return outcomeSent
	case errors.Is(context.Cause(watched), errRights):
		return outcomeForbidden
	case r.Context().Err() != nil:
		return outcomeCancelled
	}
	return outcomeFailed
}

func namespaces(scope query.Scope) []string {
	_, names := scope.Namespaces()
	return names
}

// headers say what the file will hold, before its first byte.
func (x *export) headers() http.Header {
	h := http.Header{}
	h.Set("Content-Type", map[Format]string{CSV: "text/csv; charset=utf-8; header=present", NDJSON: "application/x-ndjson"}[x.Format])
	h.Set("Content-Disposition", `attachment; filename="`+x.fileName()+`"`)
	h.Set("Audit-Matched", strconv.FormatInt(x.first.Matched, 10))
	h.Set("Audit-Limit", strconv.FormatInt(x.Limit, 10))
	h.Set("Audit-Rows", strconv.FormatInt(x.rows, 10))
	h.Set("Audit-Truncated", strconv.FormatBool(x.truncated()))
	h.Set("Audit-As-Of", x.first.AsOf.UTC().Format(time.RFC3339Nano))
	h.Set("Audit-From", x.Window.From.UTC().Format(time.RFC3339Nano))
	h.Set("Audit-To", x.Window.To.UTC().Format(time.RFC3339Nano))
	h.Set("Audit-Complete", x.complete)
	h.Set("Audit-Complete-Reason", x.reason)
	h.Set("X-Accel-Buffering", "no") // nginx would hold rows, and then the end of a broken stream, back
	return h
}

// fileName holds the window and nothing that anyone wrote, but for a project
// whose name can be a namespace's.
func (x *export) fileName() string {
	if x.Porter {
		const day = "20060102"
		last := x.Window.To.UTC().Add(-time.Microsecond) // the window is without its end
		return "api-audit-logs-project-" + fileSafe(x.Project) + "-" + x.Window.From.UTC().Format(day) + "-to-" + last.Format(day) + "." + string(x.Format)
	}
	const layout = "20060102T150405Z"
	return "audit-logs-" + x.Window.From.UTC().Format(layout) + "-" + x.Window.To.UTC().Format(layout) + "." + string(x.Format)
}

// fileSafe replaces what no namespace's name has.
func fileSafe(project string) string {
	const most = 63
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, project)
	return safe[:min(len(safe), most)]
}

// detail is what the record of the export says of it.
func (x *export) detail() map[string]string {
	return map[string]string{
		"filter": x.Filter.Encode(), "from": x.Window.From.UTC().Format(time.RFC3339Nano), "to": x.Window.To.UTC().Format(time.RFC3339Nano),
		"format": string(x.Format), "raw": strconv.FormatBool(x.Raw), "limit": strconv.FormatInt(x.Limit, 10),
		"matched": strconv.FormatInt(x.first.Matched, 10), "announced": strconv.FormatInt(x.rows, 10),
	}
}

// patient gives a client a time for each 64 KiB instead of one for the whole
// answer, and sends what was written at once.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration

	mu     sync.Mutex
	latest time.Time // of all deadlines; zero where there is none
}

func newPatient(w http.ResponseWriter, timeout time.Duration) *patient {
	p := &patient{w: w, control: http.NewResponseController(w), timeout: timeout}
	// The server's deadline for reading a request would cancel its context, though
	// it was read to its end. What can't be set isn't there.
	_ = p.control.SetReadDeadline(time.Time{})
	return p
}

// Write implements io.Writer. What is longer than a client is given one time
// for, such as a row with a raw event of 1 MiB, goes piece by piece.
func (p *patient) Write(b []byte) (written int, err error) {
	for piece := range slices.Chunk(b, writeBytes) {
		if err := p.wait(); err != nil {
			return written, err
		}
		n, err := p.w.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
		if err := p.control.Flush(); err != nil {
			return written, err
		}
	}
	return written, nil
}

// wait gives the client its time for the next piece.
func (p *patient) wait() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	deadline := time.Now().Add(p.timeout)
	if !p.latest.IsZero() && deadline.After(p.latest) {
		deadline = p.latest
	}
	return p.control.SetWriteDeadline(deadline)
}

// hurry leaves the client a time for all the rest, also for what is being
// written.
func (p *patient) hurry(rest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = time.Now().Add(rest)
	_ = p.control.SetWriteDeadline(p.latest) // it was set before, so it can be
}

// release lets the connection serve other requests.
func (p *patient) release() { _ = p.control.SetWriteDeadline(time.Time{}) }
