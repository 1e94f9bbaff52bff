package door

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace/noop"
)

func TestHandler(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	w := NewWatch(registry, noop.NewTracerProvider())
	answer := func(status int) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			if status != 0 {
				rw.WriteHeader(status)
			}
		}
	}
	for _, tt := range []struct {
		door   Door
		status int // 0: the handler writes none
	}{{Page, 200}, {Page, 0}, {Page, 303}, {Page, 403}, {Page, 500}, {Event, 404}} {
		w.Handler(tt.door, answer(tt.status))(httptest.NewRecorder(), get(t))
	}
	func() {
		defer func() {
			if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				t.Error("the panic that breaks a connection was swallowed")
			}
		}()
		w.Handler(Download, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })(httptest.NewRecorder(), get(t))
	}()
	w.Begin(Query)(Answered)
	if diff := cmp.Diff(map[string]uint64{
		"page answered": 3, "page refused": 1, "page failed": 1, "event refused": 1, "download failed": 1, "query answered": 1,
	}, counts(t, registry)); diff != "" {
		t.Error(diff)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func get(t *testing.T) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
}

func counts(t *testing.T, r prometheus.Gatherer) map[string]uint64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]uint64{}
	for _, metric := range families[0].Metric {
		if count := metric.Histogram.GetSampleCount(); count > 0 {
			n[metric.Label[0].GetValue()+" "+metric.Label[1].GetValue()] = count
		}
	}
	return n
}

// Without a watch everything works the same.
func TestNoWatch(t *testing.T) {
	var w *Watch
	answered := httptest.NewRecorder()
	w.Handler(Page, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) })(answered, get(t))
	w.Begin(Query)(Failed)
	if answered.Code != http.StatusTeapot {
		t.Errorf("status %d", answered.Code)
	}
}
