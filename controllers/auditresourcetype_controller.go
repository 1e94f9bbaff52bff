package controllers

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

// +kubebuilder:rbac:groups=audit.porter.run,resources=auditresourcetypes,verbs=list;watch
// +kubebuilder:rbac:groups=audit.porter.run,resources=auditresourcetypes/status,verbs=patch

// typeReconciler puts the rules of AuditResourceTypes in force.
type typeReconciler struct {
	client client.Client
	types  *ResourceTypes
	traces trace.TracerProvider
}

func (r *typeReconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.AuditResourceType{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(traced(r.traces, "AuditResourceType", r))
}

// Reconcile loads every type: which rule is asked first depends on all of them.
func (r *typeReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if err := r.types.Load(ctx, r.client); err != nil {
		return ctrl.Result{}, err
	}
	t := &v1alpha1.AuditResourceType{}
	if err := r.client.Get(ctx, req.NamespacedName, t); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	status := newStatusWriter(r.client, t)
	t.Status.ObservedGeneration = t.Generation
	t.Status.Value = crdconv.TypeValue(t.Name)
	markReady(t, v1alpha1.ReasonRulesActive, "New events are classified by these rules.")
	return ctrl.Result{}, client.IgnoreNotFound(status.write(ctx, t))
}
