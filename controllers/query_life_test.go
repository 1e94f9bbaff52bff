package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/store"
)

// noted collects what Kubernetes Events would say.
type noted struct{ lines []string }

func (n *noted) Eventf(_, _ runtime.Object, kind, reason, action, note string, args ...any) {
	n.lines = append(n.lines, kind+" "+reason+" "+action+" "+fmt.Sprintf(note, args...))
}

// A request is new when it differs from the one before, whatever was asked
// earlier; and no ID ever names something else, also where the history is short.
func TestTheSameRequestAgain(t *testing.T) {
	ns := newNamespace(t)
	q := namespaced(ns, v1alpha1.QuerySpec{SnapshotHistoryLimit: ptr.To(int32(1))})
	create(t, q)
	awaitReady(t, q)
	ids := []string{q.Status.Snapshot.ID}
	for _, at := range []string{"a", "b", "a", "b"} {
		put(t, newEvent(ownCluster, ns, "application"))
		awaitRequest(t, q, at)
		if s := q.Status.Snapshot; slices.Contains(ids, s.ID) || s.Matched != int64(len(ids)) {
			t.Errorf("request %s: snapshot %s of %d events, after %v", at, s.ID, s.Matched, ids)
		}
		ids = append(ids, q.Status.Snapshot.ID)
	}
	await(t, q, func() error {
		if held := snapshotsOf(t, string(q.UID)); !slices.Equal(held, ids[4:]) {
			return fmt.Errorf("the store holds %v of %v", held, ids)
		}
		return nil
	})
}

func patchStatus(t *testing.T, q v1alpha1.Query, patch string) {
	t.Helper()
	if err := admin.Status().Patch(t.Context(), q, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// What somebody else does to a status is undone, from the store.
func TestStatusThatSomebodyEmpties(t *testing.T) {
	ns := newNamespace(t)
	put(t, newEvent(ownCluster, ns, "application"))
	q := namespaced(ns, v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	awaitRequest(t, q, "again")
	want := q.Status.DeepCopy()
	for name, patch := range map[string]string{
		"emptied":      `{"status":null}`,
		"its snapshot": `{"status":{"snapshot":null}}`,
		"its preview":  `{"status":{"snapshot":{"preview":null}}}`,
		"another":      fmt.Sprintf(`{"status":{"snapshot":{"id":%q,"matched":7},"history":[]}}`, want.History[1].ID),
	} {
		patchStatus(t, q, patch)
		await(t, q, func() error {
			s := q.Status.Snapshot
			if s == nil || s.ID != want.Snapshot.ID || s.Matched != 1 || len(s.Preview) != 1 || len(q.Status.History) != 2 || q.Status.LastHandledReconcileAt != "again" {
				return fmt.Errorf("%s: status %+v", name, q.Status)
			}
			return nil
		})
		awaitReady(t, q)
	}
	if held := snapshotsOf(t, string(q.UID)); len(held) != 2 {
		t.Errorf("the store holds %v, want the two that there were", held)
	}
}

func TestFinalizerThatIsGone(t *testing.T) {
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	if err := admin.Patch(t.Context(), q, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Fatal(err)
	}
	await(t, q, func() error {
		if !controllerutil.ContainsFinalizer(q, v1alpha1.Finalizer) {
			return fmt.Errorf("finalizers %v", q.Finalizers)
		}
		return nil
	})
	if held := snapshotsOf(t, string(q.UID)); len(held) != 1 {
		t.Errorf("the store holds %v", held)
	}
}

func clockAt(at time.Time) func() time.Time { return func() time.Time { return at } }

// A window that is not over has a provisional answer, and a final one by itself.
func TestWindowThatIsNotOver(t *testing.T) {
	ns := newNamespace(t)
	put(t, newEvent(ownCluster, ns, "application"))
	from, to := metav1.NewTime(time.Now().Add(-time.Hour).Truncate(time.Second)), metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second))
	q := namespaced(ns, v1alpha1.QuerySpec{TimeRange: &v1alpha1.TimeRange{From: &from, To: &to}})
	create(t, q)
	awaitReady(t, q)
	early := q.Status.Snapshot
	if got := condition(q, v1alpha1.CompleteCondition); got != "False/WindowNotOver" || early.Matched != 1 {
		t.Fatalf("Complete is %s, snapshot %+v", got, early)
	}
	if got := kstatusOf(t, q); got != status.CurrentStatus {
		t.Errorf("kstatus says %s", got)
	}
	put(t, newEvent(ownCluster, ns, "application"))
	due := to.Add(settle)
	before := due.Add(-time.Second)
	if writes, result := reconcileAt(t, q, clockAt(before)); writes > 0 || result.RequeueAfter != due.Sub(before) {
		t.Errorf("before it is over: %d writes, again in %v, want %v", writes, result.RequeueAfter, due.Sub(before))
	}
	if _, result := reconcileAt(t, q, clockAt(due)); result.RequeueAfter != 0 {
		t.Errorf("after the final answer again in %v", result.RequeueAfter)
	}
	await(t, q, func() error {
		s := q.Status.Snapshot
		if s.ID == early.ID || s.Matched != 2 || len(q.Status.History) != 2 || condition(q, v1alpha1.CompleteCondition) != "Unknown/NotMeasured" {
			return fmt.Errorf("status %+v", q.Status)
		}
		return nil
	})
	final := q.Status.Snapshot.ID
	if writes, _ := reconcileAt(t, q, clockAt(due.Add(time.Hour))); writes > 0 || q.Status.Snapshot.ID != final {
		t.Errorf("the final answer is not the last: %d writes", writes)
	}
}

// A time range that begins in the future waits for it.
func TestWindowThatHasNotBegun(t *testing.T) {
	from := metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second))
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{TimeRange: &v1alpha1.TimeRange{From: &from}})
	create(t, q)
	awaitConditions(t, q, "False/WindowNotBegun", "True/WindowNotBegun", "absent")
	if got := kstatusOf(t, q); got != status.InProgressStatus || q.Status.Snapshot != nil || !strings.Contains(message(q), "begins in the future") {
		t.Errorf("kstatus says %s, status %+v", got, q.Status)
	}
	due := from.Add(settle)
	if _, result := reconcileAt(t, q, clockAt(due.Add(-time.Hour))); result.RequeueAfter != time.Hour {
		t.Errorf("looked at again in %v", result.RequeueAfter)
	}
	reconcileAt(t, q, clockAt(due))
	awaitReady(t, q)
	if s := q.Status.Snapshot; !s.From.Equal(&metav1.MicroTime{Time: from.Time}) || !s.To.Time.Equal(due) {
		t.Errorf("the window is %v to %v", s.From, s.To)
	}
}

// What there is no room for says what to do, was not carried out, and is tried
// again.
func TestNoRoom(t *testing.T) {
	for _, tt := range []struct {
		name, reason, message string
		err                   error
	}{
		{"in the namespace", v1alpha1.ReasonQuotaExceeded, "--snapshot-quota-per-namespace", &store.QuotaError{Namespace: "shop", Quota: 1 << 30}},
		{"at all", v1alpha1.ReasonQuotaExceeded, "--snapshot-quota ", &store.QuotaError{Quota: 1 << 30}},
		{"on the volume", v1alpha1.ReasonSpaceReserved, "--ingest-reserve", fmt.Errorf("%w: 7 bytes are free", store.ErrReserved)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := newNamespace(t)
			q := namespaced(ns, v1alpha1.QuerySpec{SnapshotHistoryLimit: ptr.To(int32(2))})
			create(t, q)
			awaitReady(t, q)
			awaitRequest(t, q, "one")
			kept := q.Status.Snapshot.ID
			faults.set(ns, fault{err: tt.err})
			request(t, q, "two")
			awaitConditions(t, q, "False/"+tt.reason, "absent", "True/"+tt.reason)
			if text := message(q); !strings.Contains(text, tt.message) || strings.Contains(text, "7 bytes") || q.Status.LastHandledReconcileAt != "one" || q.Status.Snapshot.ID != kept {
				t.Errorf("message %q, status %+v", text, q.Status)
			}
			if _, result := reconcileAt(t, q, time.Now); result.RequeueAfter != retryRoom {
				t.Errorf("tried again in %v", result.RequeueAfter)
			}
			// A patch, since the operator writes the status meanwhile.
			if err := admin.Patch(t.Context(), q, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"snapshotHistoryLimit":1}}`))); err != nil {
				t.Fatal(err)
			}
			await(t, q, func() error { // lowering the limit makes room, though the new spec has none
				if held := snapshotsOf(t, string(q.UID)); tt.reason == v1alpha1.ReasonQuotaExceeded && !slices.Equal(held, []string{kept}) {
					return fmt.Errorf("the store holds %v", held)
				}
				return nil
			})
			faults.set(ns, fault{})
			request(t, q, "three") // sooner than the operator would try
			awaitReady(t, q)
			await(t, q, func() error {
				if q.Status.LastHandledReconcileAt != "three" {
					return fmt.Errorf("handled %s", q.Status.LastHandledReconcileAt)
				}
				return nil
			})
		})
	}
}

// Who deletes the latest snapshot by its ID leaves a query that waits for the
// next request, not one that is Stalled.
func TestSnapshotThatSomebodyDeletes(t *testing.T) {
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	older := q.Status.Snapshot.ID
	awaitRequest(t, q, "one")
	remove := func(id string) {
		t.Helper()
		if err := faults.MarkSnapshot(t.Context(), store.SnapshotMark{Kind: store.MarkDeleted, ID: id, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := faults.DeleteSnapshot(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		nudger.Nudge(ownerOf(q))
	}
	remove(q.Status.Snapshot.ID)
	awaitConditions(t, q, "True/SnapshotDeleted", "absent", "absent")
	if q.Status.Snapshot != nil || len(q.Status.History) != 1 || q.Status.History[0].ID != older || condition(q, v1alpha1.CompleteCondition) != "Unknown/SnapshotDeleted" {
		t.Errorf("status %+v", q.Status)
	}
	if got := kstatusOf(t, q); got != status.CurrentStatus {
		t.Errorf("kstatus says %s", got)
	}
	remove(older)
	await(t, q, func() error {
		if len(q.Status.History) > 0 {
			return fmt.Errorf("history %+v", q.Status.History)
		}
		return nil
	})
	if writes := reconcileNow(t, q); writes > 0 {
		t.Errorf("reconciling again wrote %d times", writes)
	}
	awaitRequest(t, q, "two")
	if q.Status.Snapshot.ID == older {
		t.Error("the deleted snapshot is back")
	}
}

// However long the store was away, a deletion goes on within seconds.
func TestDeletionAfterTheStoreWasAway(t *testing.T) {
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	faults.lose(string(q.UID), store.ErrUnavailable)
	if err := admin.Delete(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, result := reconcileAt(t, q, time.Now); result.RequeueAfter != retryRemoval || retryRemoval > 5*time.Second {
			t.Fatalf("tried again in %v", result.RequeueAfter)
		}
	}
	faults.lose(string(q.UID), nil)
	awaitGone(t, q)
}

// Events of cluster queries lie in the namespace default, where others read.
func TestEventsTellNothing(t *testing.T) {
	put(t, newEvent(ownCluster, newNamespace(t), "application"))
	spec := v1alpha1.ClusterAuditLogQuerySpec{}
	spec.Actors = []string{"hunter2"}
	q := clusterWide("tells-nothing", spec)
	create(t, q)
	awaitReady(t, q)
	request(t, q, "again")
	var n noted
	reconcileAt(t, q, time.Now, &n)
	if len(n.lines) == 0 { // the controller was faster
		await(t, q, func() error {
			if q.Status.LastHandledReconcileAt != "again" {
				return fmt.Errorf("handled %q", q.Status.LastHandledReconcileAt)
			}
			return nil
		})
		request(t, q, "and again")
		reconcileAt(t, q, time.Now, &n)
	}
	long := make([]string, 100)
	for i := range long {
		long[i] = strings.Repeat("x", 250) + fmt.Sprint(i)
	}
	patch := client.MergeFrom(q.DeepCopy())
	q.Spec.Actors = long
	if err := admin.Patch(t.Context(), q, patch); err != nil {
		t.Fatal(err)
	}
	reconcileAt(t, q, time.Now, &n)
	for _, line := range n.lines {
		if strings.ContainsAny(strings.ReplaceAll(line, "8000", ""), "0123456789") || strings.Contains(line, "hunter") || strings.Contains(line, "xxx") {
			t.Errorf("an Event says %q", line)
		}
	}
	if len(n.lines) == 0 {
		t.Error("there are no Events")
	}
}

// A query runs once in a while, and says when it runs next.
func TestRunsAreApart(t *testing.T) {
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	first := q.Status.Snapshot
	faults.set(q.Namespace, fault{err: store.ErrUnavailable}) // keeps the controller from being faster
	defer faults.set(q.Namespace, fault{})
	r := queryReconciler{
		Options: Options{Store: faults.Store, ClusterName: ownCluster, Retention: retention, Now: clockAt(first.TakenAt.Add(4 * time.Second))},
		client:  operator, namespaces: admin, events: discardEvents{}, newQuery: func() v1alpha1.Query { return &v1alpha1.AuditLogQuery{} },
		turns: newTurns(runEvery, runsOfNamespace),
	}
	request(t, q, "soon")
	result, err := r.Reconcile(t.Context(), requestFor(q))
	if err != nil || result.RequeueAfter != 6*time.Second {
		t.Errorf("looked at again in %v, %v", result.RequeueAfter, err)
	}

}
