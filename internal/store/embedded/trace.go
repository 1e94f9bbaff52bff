package embedded

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/porter-dev/audit-operator/internal/store/spans"
)

const tracer spans.Tracer = "github.com/porter-dev/audit-operator/internal/store/embedded"

// beginCommit begins the span of a commit of jobs.
func beginCommit(ctx context.Context, group []*job) (context.Context, trace.Span) {
	waiting := make([]trace.Span, len(group))
	for i, j := range group {
		waiting[i] = j.span
	}
	return tracer.BeginCommit(ctx, waiting)
}
