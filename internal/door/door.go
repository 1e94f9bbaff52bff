// Package door watches the ways by which questions come in.
package door

import (
	"net/http"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Door is a way by which questions come in. The list is fixed, so that it can
// be a label.
type Door string

// The doors.
const (
	Page     Door = "page"       // the list of events
	Values   Door = "values"     // the values of a filter's menu
	Tail     Door = "tail"       // rows that are new on the list
	Export   Door = "export"     // the list as a file
	Save     Door = "save"       // a view as a query resource
	Event    Door = "event"      // one event in full
	Snapshot Door = "snapshot"   // a snapshot's page
	Download Door = "download"   // a snapshot's bytes
	Query    Door = "query"      // a query resource that is reconciled
	Held     Door = "quarantine" // what could not become an event

	APIList      Door = "api_list"       // the API's list of events
	APIEvent     Door = "api_event"      // one event by the API
	APIHistogram Door = "api_histogram"  // events by time
	APIFacet     Door = "api_facet"      // events by the values of a field
	APISnapshots Door = "api_snapshots"  // snapshots by the API, but for their bytes
	APIExport    Door = "api_export"     // many events as one file
	APIHeld      Door = "api_quarantine" // what could not become an event, by the API
)

var doors = []Door{
	Page, Values, Tail, Export, Save, Event, Snapshot, Download, Query, Held,
	APIList, APIEvent, APIHistogram, APIFacet, APISnapshots, APIExport, APIHeld,
}

// Outcome is what became of a question.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered"
	Refused  Outcome = "refused" // for what was asked, or who asked
	Failed   Outcome = "failed"
)

// Watch measures how long questions last, and traces those that come as
// requests. A nil Watch does neither.
type Watch struct {
	durations *prometheus.HistogramVec
	tracer    trace.Tracer
}

// NewWatch registers the doors' metrics. It panics where they are registered
// already.
func NewWatch(r prometheus.Registerer, traces trace.TracerProvider) *Watch {
	w := &Watch{
		tracer: traces.Tracer("github.com/porter-dev/audit-operator/internal/door"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "audit_query_duration_seconds", Help: "Time from a question to the end of its answer, by door and by outcome: answered, refused, failed.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"door", "outcome"}),
	}
	for _, door := range doors {
		for _, outcome := range []Outcome{Answered, Refused, Failed} {
			w.durations.WithLabelValues(string(door), string(outcome))
		}
	}
	r.MustRegister(w.durations)
	return w
}

// Begin watches a question until end is called.
func (w *Watch) Begin(door Door) (end func(Outcome)) {
	began := time.Now()
	return func(outcome Outcome) {
		if w != nil {
			w.durations.WithLabelValues(string(door), string(outcome)).Observe(time.Since(began).Seconds())
		}
	}
}

// Handler watches the requests that next answers.
func (w *Watch) Handler(door Door, next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		r, span := w.span(r)
		end := w.Begin(door)
		status, outcome := http.StatusOK, Failed // stays so where next panics, to break a connection
		defer func() {
			end(outcome)
			endSpan(span, status, outcome)
		}()
		next(httpsnoop.Wrap(rw, httpsnoop.Hooks{WriteHeader: func(write httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) {
				status = code
				write(code)
			}
		}}), r)
		outcome = outcomeOf(status)
	}
}

// span begins the span of a request, within the one that the caller names by
// W3C's trace context. Its name is the route, which holds nothing of the request.
func (w *Watch) span(r *http.Request) (*http.Request, trace.Span) {
	if w == nil {
		return r, trace.SpanFromContext(r.Context())
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := w.tracer.Start(ctx, r.Pattern, trace.WithSpanKind(trace.SpanKindServer))
	return r.WithContext(ctx), span
}

func endSpan(span trace.Span, status int, outcome Outcome) {
	span.SetAttributes(attribute.Int("http.response.status_code", status), attribute.String("audit.outcome", string(outcome)))
	if outcome == Failed {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

func outcomeOf(status int) Outcome {
	switch {
	case status >= 500:
		return Failed
	case status >= 400:
		return Refused
	}
	return Answered
}
