package postgres

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/porter-dev/audit-operator/internal/store"
)

// beginSpan begins a span within the caller's. Where the caller has none there is
// nothing to trace and it does nothing.
func beginSpan(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	provider := trace.SpanFromContext(ctx).TracerProvider()
	return provider.Tracer("github.com/porter-dev/audit-operator/internal/store/postgres").Start(ctx, name, trace.WithAttributes(attributes...))
}

// endSpan ends a span. What went wrong is for the log: it may speak of events.
// That something is not there is an answer.
func endSpan(span trace.Span, err error) {
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// beginCommit begins the span of a commit within that of its first batch; the
// others are linked.
func beginCommit(ctx context.Context, group []*job) (context.Context, trace.Span) {
	first := group[0].span
	if first == nil || !first.IsRecording() {
		return ctx, trace.SpanFromContext(ctx)
	}
	ctx, span := beginSpan(trace.ContextWithSpan(ctx, first), "store.commit", attribute.Int("audit.batches", len(group)))
	for _, j := range group[1:] {
		span.AddLink(trace.Link{SpanContext: j.span.SpanContext()})
	}
	return ctx, span
}
