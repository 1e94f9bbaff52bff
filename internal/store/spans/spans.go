// Package spans makes the spans of stores.
package spans

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Tracer is the name of what makes spans: a store's package.
type Tracer string

// Begin begins a span within the caller's. Where the caller has none there is
// nothing to trace and it does nothing.
func (t Tracer) Begin(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	provider := trace.SpanFromContext(ctx).TracerProvider()
	return provider.Tracer(string(t)).Start(ctx, name, trace.WithAttributes(attributes...))
}

// End ends a span. What went wrong is for the log: it may speak of events.
// That something is not there is an answer.
func End(span trace.Span, err error) {
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// BeginCommit begins the span of a commit within that of the first who waits
// for it; the others are linked.
func (t Tracer) BeginCommit(ctx context.Context, waiting []trace.Span) (context.Context, trace.Span) {
	first := waiting[0]
	if first == nil || !first.IsRecording() {
		return ctx, trace.SpanFromContext(ctx)
	}
	ctx, span := t.Begin(trace.ContextWithSpan(ctx, first), "store.commit", attribute.Int("audit.batches", len(waiting)))
	for _, other := range waiting[1:] {
		span.AddLink(trace.Link{SpanContext: other.SpanContext()})
	}
	return ctx, span
}
