package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// +kubebuilder:rbac:groups=audit.porter.run,resources=auditlogqueries;clusterauditlogqueries,verbs=list;watch;patch
// +kubebuilder:rbac:groups=audit.porter.run,resources=auditlogqueries/status;clusterauditlogqueries/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// What an Event says that the operator was doing.
const (
	takeSnapshot    = "TakeSnapshot"
	removeSnapshots = "RemoveSnapshots"
)

// queryReconciler answers queries of one kind.
type queryReconciler struct {
	Options
	client client.Client
	// namespaces are asked about without a cache, which would hold them all.
	namespaces client.Reader
	events     events.EventRecorder
	newQuery   func() v1alpha1.Query
}

func (r *queryReconciler) setup(mgr ctrl.Manager) error {
	// The operator's own writes change neither, so they start nothing.
	asked := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return annotation(e.ObjectOld) != annotation(e.ObjectNew)
	}}
	return ctrl.NewControllerManagedBy(mgr).
		For(r.newQuery(), builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, asked))).
		// One slow question must not hold up the others.
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(traced(r.Traces, "reconcile "+kindOf(r.newQuery()), r))
}

// Reconcile makes the status the answer to the spec. It can stop anywhere and
// begin anew: what was done is found again.
func (r *queryReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	q := r.newQuery()
	if err := r.client.Get(ctx, req.NamespacedName, q); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// What is read for the query is read in its namespace's name.
	ctx = admission.With(ctx, admission.QueriesIn(q.GetNamespace()))
	if !q.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, r.finalize(ctx, q)
	}
	if err := r.addFinalizer(ctx, q); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	status := newStatusWriter(r.client, q)
	end := r.Doors.Begin(door.Query)
	surplus, failure := r.answer(ctx, q, status)
	end(outcomeOf(failure))
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err() // the operator ends; the query is not at fault
	}
	result, err := r.conclude(ctx, q, failure)
	if err := status.write(ctx, q); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// Snapshots go after the status has stopped naming them.
	return result, errors.Join(err, r.remove(ctx, surplus))
}

// addFinalizer comes before any work, so that nothing is left of a query that
// is deleted meanwhile.
func (r *queryReconciler) addFinalizer(ctx context.Context, q v1alpha1.Query) error {
	observed := q.DeepCopyObject().(client.Object)
	if !controllerutil.AddFinalizer(q, v1alpha1.Finalizer) {
		return nil
	}
	return r.client.Patch(ctx, q, ifUnchanged(observed))
}

func (r *queryReconciler) finalize(ctx context.Context, q v1alpha1.Query) error {
	if !controllerutil.ContainsFinalizer(q, v1alpha1.Finalizer) {
		return nil
	}
	manifests, err := r.Store.SnapshotsOf(ctx, string(q.GetUID()))
	if err == nil {
		err = r.remove(ctx, manifests)
	}
	if err != nil {
		r.events.Eventf(q, nil, corev1.EventTypeWarning, v1alpha1.ReasonStoreUnavailable, removeSnapshots,
			"The query's snapshots can't be removed now; the operator tries again")
		return fmt.Errorf("remove the query's snapshots: %w", err)
	}
	observed := q.DeepCopyObject().(client.Object)
	controllerutil.RemoveFinalizer(q, v1alpha1.Finalizer)
	return client.IgnoreNotFound(r.client.Patch(ctx, q, ifUnchanged(observed)))
}

// answer fills the status with the snapshot that the query asks for, and takes
// it if it was not taken before. It returns the snapshots beyond the history's limit.
func (r *queryReconciler) answer(ctx context.Context, q v1alpha1.Query, w *statusWriter) (surplus []store.Manifest, err error) {
	status := q.GetStatus()
	status.Types, status.Window, status.ShareURL = "", "", ""
	filter, err := crdconv.Filter(q)
	if err != nil {
		return nil, err
	}
	status.Types, status.Window = describeTypes(filter), describeWindow(filter.Range)
	if status.ShareURL, err = shareURL(r.DashboardURL, filter); err != nil {
		return nil, err
	}

	id := snapshot.LegacyID(string(q.GetUID()), q.GetGeneration(), requestedAt(q))
	scope, now, err := r.scope(ctx, q)
	if err != nil {
		return nil, err
	}
	if status.Snapshot == nil || status.Snapshot.ID != id {
		if err := r.take(ctx, q, w, snapshot.Request{
			ID: id, Owner: ownerOf(q), Scope: scope, Filter: filter,
			Limit: q.GetSpec().GetLimit(), Now: now, Retention: r.Retention,
		}); err != nil {
			return nil, err
		}
	}
	manifests, err := r.Store.SnapshotsOf(ctx, string(q.GetUID()))
	if err != nil {
		return nil, fmt.Errorf("list the query's snapshots: %w", err)
	}
	at := slices.IndexFunc(manifests, func(m store.Manifest) bool { return m.ID == id })
	if at < 0 {
		return nil, &stalledError{v1alpha1.ReasonSnapshotLost, fmt.Sprintf("Snapshot %s is no longer in the store. "+
			"What it said can't be found again; to take another, change the annotation %s.", id, v1alpha1.ReconcileRequestAnnotation)}
	}
	latest := manifests[at]
	var preview []v1alpha1.EventPreview
	if status.Snapshot != nil && status.Snapshot.ID == id {
		preview = status.Snapshot.Preview
	} else {
		records, err := snapshot.Newest(ctx, r.Store, scope, id, q.GetSpec().GetPreview())
		if err != nil {
			return nil, err
		}
		preview = previewOf(records)
	}
	kept := append([]store.Manifest{latest}, slices.Delete(manifests, at, at+1)...)
	if limit := q.GetSpec().GetSnapshotHistoryLimit(); len(kept) > limit {
		kept, surplus = kept[:limit], kept[limit:]
	}
	fillSnapshots(status, r.DashboardURL, kept, preview)
	setComplete(q, latest)
	return surplus, nil
}

// take first says that it is at work: over many events it lasts.
func (r *queryReconciler) take(ctx context.Context, q v1alpha1.Query, w *statusWriter, req snapshot.Request) error {
	q.GetStatus().ObservedGeneration = q.GetGeneration()
	markProgressing(q, "Taking a snapshot.")
	if err := w.write(ctx, q); err != nil {
		return err
	}
	began := time.Now()
	m, err := snapshot.Take(ctx, r.Store, req)
	r.Metrics.took(time.Since(began), err)
	if err != nil {
		return crdconv.InSpec(err)
	}
	log.FromContext(ctx).Info("Took a snapshot", "snapshot", m.ID, "matched", m.Matched, "stored", m.Stored, "duration", time.Since(began).String())
	r.events.Eventf(q, nil, corev1.EventTypeNormal, v1alpha1.ReasonSnapshotTaken, takeSnapshot, "Snapshot %s: %s", m.ID, counts(m.Matched, m.Stored))
	return nil
}

func (r *queryReconciler) remove(ctx context.Context, manifests []store.Manifest) error {
	for _, m := range manifests {
		if err := r.Store.DeleteSnapshot(ctx, m.ID); err != nil {
			return fmt.Errorf("remove snapshot %s: %w", m.ID, err)
		}
		log.FromContext(ctx).Info("Removed a snapshot", "snapshot", m.ID)
	}
	return nil
}

// How long to wait before another attempt, where waiting helps.
const (
	retryStore   = 10 * time.Second
	retryTimeout = time.Minute
)

// stalledError says that only a change by a person can help.
type stalledError struct{ reason, message string }

func (e *stalledError) Error() string { return e.message }

// conclude sets the conditions by what came of the attempt, and says when to
// try again. What the store says about itself is for the log, not for users.
func (r *queryReconciler) conclude(ctx context.Context, q v1alpha1.Query, failure error) (ctrl.Result, error) {
	var stalled *stalledError
	if problems, ok := fieldProblems(failure); ok {
		stalled = &stalledError{v1alpha1.ReasonInvalidSpec, problems}
	}
	status := q.GetStatus()
	status.ObservedGeneration = q.GetGeneration()
	if failure == nil || stalled != nil || errors.As(failure, &stalled) {
		status.LastHandledReconcileAt = requestedAt(q)
	}
	failed := func(reason, message string) {
		log.FromContext(ctx).Error(failure, "Could not answer the query", "reason", reason)
		markFailed(q, reason, message)
		r.events.Eventf(q, nil, corev1.EventTypeWarning, reason, takeSnapshot, "%s", message)
	}
	switch {
	case failure == nil:
		markReady(q, v1alpha1.ReasonSnapshotTaken, readyMessage(status, r.DashboardURL))
		return ctrl.Result{}, nil
	case stalled != nil:
		markStalled(q, stalled.reason, stalled.message)
		r.events.Eventf(q, nil, corev1.EventTypeWarning, stalled.reason, takeSnapshot, "%s", cut(stalled.message, maxMessage))
		return ctrl.Result{}, nil
	case errors.Is(failure, store.ErrOverloaded), errors.Is(failure, store.ErrUnavailable), errors.Is(failure, store.ErrClosed):
		failed(v1alpha1.ReasonStoreUnavailable, "The store of events does not answer now; the operator tries again.")
		return ctrl.Result{RequeueAfter: retryStore}, nil
	case errors.Is(failure, store.ErrBusy):
		failed(v1alpha1.ReasonStoreUnavailable, "The store of events is asked too much at once; the operator tries again.")
		return ctrl.Result{RequeueAfter: retryStore}, nil
	case errors.Is(failure, context.DeadlineExceeded):
		failed(v1alpha1.ReasonQueryTimeout, "The query took too long; the operator tries again. A shorter timeRange or more terms make it faster.")
		return ctrl.Result{RequeueAfter: retryTimeout}, nil
	default:
		failed(v1alpha1.ReasonSnapshotFailed, "The snapshot could not be taken; the operator's log says why, and it tries again.")
		return ctrl.Result{}, failure
	}
}

// scope is what whoever may create the query may read: of a namespace, what
// occurred since it was created. A snapshot of it is taken no earlier than that,
// though the API server's clock may be ahead of the operator's.
func (r *queryReconciler) scope(ctx context.Context, q v1alpha1.Query) (scope query.Scope, now time.Time, err error) {
	now = r.Now()
	if _, ok := q.(*v1alpha1.ClusterAuditLogQuery); ok {
		return query.ClusterWide(), now, nil
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.namespaces.Get(ctx, client.ObjectKey{Name: q.GetNamespace()}, namespace); err != nil {
		return query.Scope{}, now, fmt.Errorf("look up the query's namespace: %w", err)
	}
	since := namespace.CreationTimestamp.Time
	if since.IsZero() {
		return query.Scope{}, now, errors.New("look up the query's namespace: it has no creationTimestamp")
	}
	if now.Before(since) {
		now = since
	}
	return query.Since(r.ClusterName, query.Namespace{Name: q.GetNamespace(), Since: since}), now, nil
}

func kindOf(q v1alpha1.Query) string {
	if _, ok := q.(*v1alpha1.ClusterAuditLogQuery); ok {
		return "ClusterAuditLogQuery"
	}
	return "AuditLogQuery"
}

func ownerOf(q v1alpha1.Query) store.Owner {
	return store.Owner{Kind: kindOf(q), Namespace: q.GetNamespace(), Name: q.GetName(), UID: string(q.GetUID())}
}

// annotation is the value that asks for a run, as far as the status can hold it.
func annotation(o client.Object) string {
	return cut(o.GetAnnotations()[v1alpha1.ReconcileRequestAnnotation], 256)
}

// requestedAt is the request that the answer must be of. Taking the annotation
// away asks for nothing.
func requestedAt(q v1alpha1.Query) string {
	if requested := annotation(q); requested != "" {
		return requested
	}
	return q.GetStatus().LastHandledReconcileAt
}

// ifUnchanged patches only what was read: a list of finalizers is replaced as a whole.
func ifUnchanged(observed client.Object) client.Patch {
	return client.MergeFromWithOptions(observed, client.MergeFromWithOptimisticLock{})
}
