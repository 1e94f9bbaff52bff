package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

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
	turns      *turns
	own        ownWrites
}

func (r *queryReconciler) setup(mgr ctrl.Manager) error {
	kind := kindOf(r.newQuery())
	changed := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return r.concerns(e.ObjectOld, e.ObjectNew) }}
	return ctrl.NewControllerManagedBy(mgr).
		For(r.newQuery(), builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, changed))).
		WithOptions(controller.Options{
			// One slow question must not hold up the others.
			MaxConcurrentReconciles: workersAtOnce,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](backoffFirst, backoffMost),
			NewQueue: func(name string, limiter rateLimiter) workQueue {
				queue := newFairQueue(name, limiter)
				r.turns.call(queue.Add)
				return queue
			},
		}).
		Complete(traced(r.Traces, "reconcile "+kind, r))
}

// concerns reports whether a change that leaves the spec alone is to be looked
// at: a request, a finalizer that is gone, a status that somebody else wrote.
func (r *queryReconciler) concerns(before, after client.Object) bool {
	if annotation(before) != annotation(after) {
		return true
	}
	if !controllerutil.ContainsFinalizer(after, v1alpha1.Finalizer) {
		return true
	}
	was, is := before.(v1alpha1.Query), after.(v1alpha1.Query)
	return !r.own.made(after) && !equality.Semantic.DeepEqual(was.GetStatus(), is.GetStatus())
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
		return r.finalize(ctx, q)
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
	if errors.Is(failure, errNoTurn) {
		return ctrl.Result{}, nil // it is looked at again when it has one
	}
	result, err := r.conclude(ctx, q, failure)
	if len(surplus) > 0 && failure != nil && result.RequeueAfter > r.turns.every {
		result.RequeueAfter = r.turns.every // what is removed may have made room
	}
	if err := status.write(ctx, q); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	r.own.note(q, status.version)
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

// finalize removes the snapshots of a query that is being deleted. Whoever waits
// for it to be gone is not kept waiting for longer than the store is away.
func (r *queryReconciler) finalize(ctx context.Context, q v1alpha1.Query) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(q, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	manifests, err := r.Store.SnapshotsOf(ctx, string(q.GetUID()))
	if err == nil {
		err = r.remove(ctx, manifests)
	}
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err()
	}
	if err != nil {
		log.FromContext(ctx).Error(err, "Could not remove the snapshots of a query that is being deleted; tried again in some seconds")
		r.events.Eventf(q, nil, corev1.EventTypeWarning, v1alpha1.ReasonStoreUnavailable, removeSnapshots,
			"The query's snapshots can't be removed now; the operator tries again")
		return ctrl.Result{RequeueAfter: retryRemoval}, nil
	}
	observed := q.DeepCopyObject().(client.Object)
	controllerutil.RemoveFinalizer(q, v1alpha1.Finalizer)
	return ctrl.Result{}, client.IgnoreNotFound(r.client.Patch(ctx, q, ifUnchanged(observed)))
}

// answer fills the status with the snapshot that the query asks for, and takes
// it if it was not taken before. It returns the snapshots beyond the history's
// limit, also with an error.
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
	manifests, err := r.Store.SnapshotsOf(ctx, string(q.GetUID()))
	if err != nil {
		return nil, fmt.Errorf("list the query's snapshots: %w", err)
	}
	now := r.Now()
	decided := decide(q, manifests, now)
	switch {
	case decided.deleted:
		forgetGone(status, manifests)
		return nil, nil
	case decided.lost != "":
		return nil, r.missing(ctx, q, decided.lost)
	case decided.run != nil:
		m, err := r.carryOut(ctx, q, w, filter, *decided.run, manifests)
		if errors.Is(err, store.ErrQuota) {
			return trim(q, manifests), noRoom(err)
		}
		if err != nil {
			return nil, noRoom(err)
		}
		manifests = append(manifests, m)
		decided = decision{found: &m}
		if m.To.After(m.TakenAt) {
			decided.next = m.To.Add(settle)
		}
	}
	if surplus, err = r.fill(ctx, q, manifests, decided.found); err != nil {
		return nil, err
	}
	if !decided.next.IsZero() {
		return surplus, &provisional{wait: decided.next.Sub(now)}
	}
	return surplus, nil
}

// fill writes the snapshots into the status, the one that answers first.
func (r *queryReconciler) fill(ctx context.Context, q v1alpha1.Query, manifests []store.Manifest, latest *store.Manifest) (surplus []store.Manifest, err error) {
	status := q.GetStatus()
	var preview []v1alpha1.EventPreview
	if s := status.Snapshot; s != nil && s.ID == latest.ID && len(s.Preview) == min(q.GetSpec().GetPreview(), int(latest.Stored)) {
		preview = s.Preview
	} else {
		scope, _, err := r.scope(ctx, q)
		if err != nil {
			return nil, err
		}
		records, err := snapshot.Newest(ctx, r.Store, scope, latest.ID, q.GetSpec().GetPreview())
		if err != nil {
			return nil, err
		}
		preview = previewOf(records)
	}
	sortRuns(manifests)
	kept := []store.Manifest{*latest}
	for _, m := range manifests {
		if m.ID != latest.ID {
			kept = append(kept, m)
		}
	}
	if limit := q.GetSpec().GetSnapshotHistoryLimit(); len(kept) > limit {
		kept, surplus = kept[:limit], kept[limit:]
	}
	fillSnapshots(status, r.DashboardURL, kept, preview)
	setComplete(q, *latest)
	return surplus, nil
}

// carryOut takes the snapshot of a run, once it is its turn.
func (r *queryReconciler) carryOut(ctx context.Context, q v1alpha1.Query, w *statusWriter, filter query.Filter, run store.Run, manifests []store.Manifest) (store.Manifest, error) {
	req, now := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(q)}, r.Now()
	if at := begins(filter.Range, now); !at.IsZero() {
		return store.Manifest{}, &waiting{until: at, wait: at.Sub(now), reason: v1alpha1.ReasonWindowNotBegun, ready: metav1.ConditionFalse,
			message: "The time range begins in the future. The first snapshot is taken at " + at.UTC().Format(time.RFC3339) + "."}
	}
	taken := time.Time{}
	for i := range manifests {
		if at := manifests[i].TakenAt; at.After(taken) && !at.After(now) {
			taken = at
		}
	}
	if at := r.turns.earliest(req, taken, now); at.After(now) {
		return store.Manifest{}, &waiting{until: at, wait: at.Sub(now), reason: v1alpha1.ReasonProgressing, ready: metav1.ConditionUnknown,
			message: fmt.Sprintf("A query runs every %s at most. The next snapshot is taken at %s.", r.turns.every, at.UTC().Format(time.RFC3339))}
	}
	scope, now, err := r.scope(ctx, q)
	if err != nil {
		return store.Manifest{}, err
	}
	if !r.turns.begin(req, now) {
		return store.Manifest{}, errNoTurn
	}
	defer r.turns.end(req)
	return r.take(ctx, q, w, snapshot.Request{
		ID: snapshot.NewID(), Run: &run, Owner: ownerOf(q), Scope: scope, Filter: filter,
		Limit: q.GetSpec().GetLimit(), Now: now, Retention: r.Retention,
	})
}

// missing says what became of the snapshot that answered the query: somebody
// deleted it, which is no failure, or the store has lost it.
func (r *queryReconciler) missing(ctx context.Context, q v1alpha1.Query, id string) error {
	marks, err := r.Store.SnapshotMarks(ctx)
	if err != nil {
		return fmt.Errorf("look for a deleted snapshot: %w", err)
	}
	if !slices.ContainsFunc(marks, func(m store.SnapshotMark) bool { return m.Kind == store.MarkDeleted && m.ID == id }) {
		return &stalledError{v1alpha1.ReasonSnapshotLost, fmt.Sprintf("Snapshot %s is no longer in the store. "+
			"What it said can't be found again; to take another, change the annotation %s.", id, v1alpha1.ReconcileRequestAnnotation)}
	}
	manifests, err := r.Store.SnapshotsOf(ctx, string(q.GetUID()))
	if err != nil {
		return fmt.Errorf("list the query's snapshots: %w", err)
	}
	q.GetStatus().Snapshot = nil
	forgetGone(q.GetStatus(), manifests)
	return nil
}

// forgetGone takes snapshots out of the history that the store does not hold.
func forgetGone(status *v1alpha1.AuditLogQueryStatus, manifests []store.Manifest) {
	status.History = slices.DeleteFunc(status.History, func(s v1alpha1.SnapshotReference) bool { return !holds(manifests, s.ID) })
}

// trim drops the snapshots beyond the history's limit from the status, and
// returns them: whoever lowers the limit to make room needs no room for it.
func trim(q v1alpha1.Query, manifests []store.Manifest) (surplus []store.Manifest) {
	limit := q.GetSpec().GetSnapshotHistoryLimit()
	if len(manifests) <= limit {
		return nil
	}
	surplus = manifests[limit:]
	status := q.GetStatus()
	status.History = slices.DeleteFunc(status.History, func(s v1alpha1.SnapshotReference) bool { return holds(surplus, s.ID) })
	return surplus
}

// take first says that it is at work: over many events it lasts.
func (r *queryReconciler) take(ctx context.Context, q v1alpha1.Query, w *statusWriter, req snapshot.Request) (store.Manifest, error) {
	q.GetStatus().ObservedGeneration = q.GetGeneration()
	markProgressing(q, "Taking a snapshot.")
	if err := w.write(ctx, q); err != nil {
		return store.Manifest{}, err
	}
	r.own.note(q, w.version)
	began := time.Now()
	m, err := snapshot.Take(ctx, r.Store, req)
	r.Metrics.took(time.Since(began), err)
	if err != nil {
		return store.Manifest{}, crdconv.InSpec(err)
	}
	log.FromContext(ctx).Info("Took a snapshot", "snapshot", m.ID, "matched", m.Matched, "stored", m.Stored, "duration", time.Since(began).String())
	// Events of cluster queries lie in the namespace default, where others read.
	r.events.Eventf(q, nil, corev1.EventTypeNormal, v1alpha1.ReasonSnapshotTaken, takeSnapshot, "A snapshot was taken; the status has it")
	return m, nil
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
	return query.SinceCreation(r.ClusterName, query.Namespace{Name: q.GetNamespace(), Since: since}), now, nil
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
