package controllers

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// traced has each reconciliation become a span of the name.
func traced(traces trace.TracerProvider, name string, next reconcile.Reconciler) reconcile.Reconciler {
	tracer := traces.Tracer("github.com/porter-dev/audit-operator/controllers")
	return reconcile.Func(func(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
		ctx, span := tracer.Start(ctx, name, trace.WithAttributes(
			attribute.String("k8s.namespace.name", req.Namespace), attribute.String("k8s.object.name", req.Name)))
		defer span.End()
		result, err := next.Reconcile(ctx, req)
		if err != nil {
			span.SetStatus(codes.Error, "") // the cause is for the log
		}
		return result, err
	})
}
