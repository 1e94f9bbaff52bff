package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/store"
)

// How long to wait before another attempt, where waiting helps.
const (
	retryRemoval = 3 * time.Second
	retryStore   = 10 * time.Second
	retryTimeout = time.Minute
	retryRoom    = 10 * time.Minute
)

// stalledError says that only a change by a person can help.
type stalledError struct{ reason, message string }

func (e *stalledError) Error() string { return e.message }

// roomError says that there is no room for a snapshot. A person has to make
// some, of which the operator hears nothing.
type roomError struct{ stalledError }

// waiting says that the operator goes on by itself, and when.
type waiting struct {
	until           time.Time
	wait            time.Duration
	ready           metav1.ConditionStatus
	reason, message string
}

func (w *waiting) Error() string { return w.message }

// provisional says that the answer is one, and that another follows.
type provisional struct{ wait time.Duration }

func (p *provisional) Error() string { return "the window is not over" }

// errNoTurn says that others of the namespace run, and this one after them.
var errNoTurn = errors.New("it is not this query's turn")

// noRoom makes an error of a user of one that says that there is no room.
func noRoom(err error) error {
	again := fmt.Sprintf(" The operator tries again every %d minutes, and when the annotation %s changes.",
		int(retryRoom.Minutes()), v1alpha1.ReconcileRequestAnnotation)
	var quota *store.QuotaError
	switch {
	case errors.As(err, &quota) && quota.Namespace != "":
		return &roomError{stalledError{v1alpha1.ReasonQuotaExceeded, fmt.Sprintf("There is no room for another snapshot: those of the namespace %s may take %s. "+
			"Lower snapshotHistoryLimit or limit of its queries, delete queries or snapshots, or have --snapshot-quota-per-namespace raised.", quota.Namespace, mebibytes(quota.Quota)) + again}}
	case errors.As(err, &quota):
		return &roomError{stalledError{v1alpha1.ReasonQuotaExceeded, fmt.Sprintf("There is no room for another snapshot: all together may take %s. "+
			"Lower snapshotHistoryLimit or limit of queries, delete queries or snapshots, or have --snapshot-quota raised.", mebibytes(quota.Quota)) + again}}
	case errors.Is(err, store.ErrReserved):
		return &roomError{stalledError{v1alpha1.ReasonSpaceReserved, "There is no room for another snapshot: what is left of the store's volume is for events alone. " +
			"Delete queries or snapshots, or have the volume enlarged, --event-retention shortened or --ingest-reserve lowered." + again}}
	}
	return err
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// conclude sets the conditions by what came of the attempt, and says when to
// try again. What the store says about itself is for the log, not for users; nor
// do Kubernetes Events, which others may read, repeat what a spec holds.
func (r *queryReconciler) conclude(ctx context.Context, q v1alpha1.Query, failure error) (ctrl.Result, error) {
	var stalled *stalledError
	var room *roomError
	var wait *waiting
	var early *provisional
	if problems, ok := fieldProblems(failure); ok {
		stalled = &stalledError{v1alpha1.ReasonInvalidSpec, problems}
	}
	errors.As(failure, &stalled)
	if errors.As(failure, &room) {
		stalled = &room.stalledError
	}
	status := q.GetStatus()
	status.ObservedGeneration = q.GetGeneration()
	// What found no room was not carried out.
	if answered := failure == nil || errors.As(failure, &early); answered || stalled != nil && room == nil {
		status.LastHandledReconcileAt = requestedAt(q)
	}
	failed := func(reason, message string) {
		log.FromContext(ctx).Error(failure, "Could not answer the query", "reason", reason)
		markFailed(q, reason, message)
		r.events.Eventf(q, nil, corev1.EventTypeWarning, reason, takeSnapshot, "%s", message)
	}
	switch {
	case early != nil:
		markReady(q, v1alpha1.ReasonSnapshotTaken, readyMessage(status, r.DashboardURL))
		return ctrl.Result{RequeueAfter: early.wait}, nil
	case failure == nil && status.Snapshot == nil:
		markReady(q, v1alpha1.ReasonSnapshotDeleted, "The snapshot was deleted. To take another, change the annotation "+v1alpha1.ReconcileRequestAnnotation+".")
		setCondition(q, v1alpha1.CompleteCondition, metav1.ConditionUnknown, v1alpha1.ReasonSnapshotDeleted, "The snapshot was deleted.")
		return ctrl.Result{}, nil
	case failure == nil:
		markReady(q, v1alpha1.ReasonSnapshotTaken, readyMessage(status, r.DashboardURL))
		return ctrl.Result{}, nil
	case errors.As(failure, &wait):
		markWaiting(q, wait.ready, wait.reason, wait.message)
		return ctrl.Result{RequeueAfter: wait.wait}, nil
	case stalled != nil:
		markStalled(q, stalled.reason, stalled.message)
		r.events.Eventf(q, nil, corev1.EventTypeWarning, stalled.reason, takeSnapshot, "The query can't be answered as it is; its condition Ready says why")
		if room != nil {
			r.Metrics.refused(room.reason)
			return ctrl.Result{RequeueAfter: retryRoom}, nil
		}
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

// ownWrites knows the last version of each object that the operator itself
// wrote, so that its own changes start nothing. What it forgets costs one look
// that finds nothing to do.
type ownWrites struct {
	mu       sync.Mutex
	versions map[types.UID]string
}

// ownWritesKept bounds the versions that are known.
const ownWritesKept = 100_000

func (w *ownWrites) note(o client.Object, version string) {
	if version == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil || len(w.versions) >= ownWritesKept {
		w.versions = map[types.UID]string{}
	}
	w.versions[o.GetUID()] = version
}

func (w *ownWrites) made(o client.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.versions[o.GetUID()] == o.GetResourceVersion()
}
