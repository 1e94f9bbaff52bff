package controllers

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

// +kubebuilder:rbac:groups=audit.porter.run,resources=auditresourcetypes,verbs=list;watch
// +kubebuilder:rbac:groups=audit.porter.run,resources=auditresourcetypes/status,verbs=patch

// awaitFollower is how soon to look again whether this replica's follower has
// seen what the leader has.
const awaitFollower = 20 * time.Millisecond

// typeReconciler tells of AuditResourceTypes that they are in force.
type typeReconciler struct {
	client client.Client
	types  *ResourceTypes
	traces trace.TracerProvider
}

func (r *typeReconciler) setup(mgr ctrl.Manager) error {
	return forTypes(mgr).Complete(traced(r.traces, "reconcile AuditResourceType", r))
}

// Reconcile says so once it is true of the replica that leads.
func (r *typeReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	t := &v1alpha1.AuditResourceType{}
	if err := r.client.Get(ctx, req.NamespacedName, t); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !r.types.has(t) {
		return ctrl.Result{RequeueAfter: awaitFollower}, nil
	}
	status := newStatusWriter(r.client, t)
	t.Status.ObservedGeneration = t.Generation
	t.Status.Value = crdconv.TypeValue(t.Name)
	markReady(t, v1alpha1.ReasonRulesActive, "New events are classified by these rules.")
	return ctrl.Result{}, client.IgnoreNotFound(status.write(ctx, t))
}
