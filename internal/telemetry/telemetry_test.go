package telemetry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"

	"github.com/porter-dev/audit-operator/internal/telemetry"
)

// Whatever a caller says of its trace, and whichever ID it gives it, the same
// part is kept, each with all that lies within it.
func TestSampling(t *testing.T) {
	lowest := trace.TraceID{15: 1}
	highest := trace.TraceID{8: 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for name, tt := range map[string]struct {
		ratio    float64
		id       trace.TraceID // none: no caller
		flags    trace.TraceFlags
		min, max int // of 1000; what chance does about once in a million runs is within
	}{
		"a sampled trace with a low ID":     {ratio: 0.0001, id: lowest, flags: trace.FlagsSampled, max: 4},
		"an unsampled trace with a low ID":  {ratio: 0.0001, id: lowest, max: 4},
		"an unsampled trace with a high ID": {ratio: 0.5, id: highest, min: 400, max: 600},
		"a sampled trace with a high ID":    {ratio: 0.5, id: highest, flags: trace.FlagsSampled, min: 400, max: 600},
		"no caller":                         {ratio: 0.5, min: 400, max: 600},
		"all":                               {ratio: 1, id: highest, min: 1000, max: 1000},
		"none":                              {ratio: 0, id: lowest, flags: trace.FlagsSampled},
	} {
		t.Run(name, func(t *testing.T) {
			tracer := startTracer(t, tt.ratio)
			caller := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: tt.id, SpanID: trace.SpanID{1}, TraceFlags: tt.flags,
			}))
			kept := 0
			for range 1000 {
				ctx, span := tracer.Start(caller, "request")
				_, within := tracer.Start(ctx, "within")
				if span.SpanContext().IsSampled() {
					kept++
				}
				if span.SpanContext().IsSampled() != within.SpanContext().IsSampled() {
					t.Fatal("a span is kept without the one within it, or the other way round")
				}
				if tt.id.IsValid() && span.SpanContext().TraceID() != tt.id {
					t.Fatal("the span is not in the caller's trace")
				}
				within.End()
				span.End()
			}
			if kept < tt.min || kept > tt.max {
				t.Errorf("%d of 1000 are kept, want %d to %d", kept, tt.min, tt.max)
			}
		})
	}
}

// startTracer has the spans sent to a receiver that throws them away.
func startTracer(t *testing.T, ratio float64) trace.Tracer {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	provider, flush, err := telemetry.Start(t.Context(), telemetry.Options{Endpoint: receiver.URL, SampleRatio: ratio, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flush(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return provider.Tracer("test")
}
