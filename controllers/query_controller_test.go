package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// namespaced and clusterWide are queries that share a spec and nothing else.
func namespaced(namespace string, spec v1alpha1.QuerySpec) *v1alpha1.AuditLogQuery {
	return &v1alpha1.AuditLogQuery{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "q"}, Spec: v1alpha1.AuditLogQuerySpec{QuerySpec: spec},
	}
}

func clusterWide(name string, spec v1alpha1.ClusterAuditLogQuerySpec) *v1alpha1.ClusterAuditLogQuery {
	return &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

// kstatusOf is what kubectl wait, Argo CD and Flux make of the object.
func kstatusOf(t *testing.T, o client.Object) status.Status {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		t.Fatal(err)
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		t.Fatal(err)
	}
	return result.Status
}

// condition says in one line what a condition is.
func condition(o conditioned, kind string) string {
	c := meta.FindStatusCondition(o.GetConditions(), kind)
	if c == nil {
		return "absent"
	}
	return fmt.Sprintf("%s/%s", c.Status, c.Reason)
}

// awaitConditions waits until Ready, Reconciling and Stalled are as given and
// speak of the present generation.
func awaitConditions(t *testing.T, q v1alpha1.Query, ready, reconciling, stalled string) {
	t.Helper()
	await(t, q, func() error {
		got := []string{condition(q, v1alpha1.ReadyCondition), condition(q, v1alpha1.ReconcilingCondition), condition(q, v1alpha1.StalledCondition)}
		want := []string{ready, reconciling, stalled}
		if q.GetStatus().ObservedGeneration != q.GetGeneration() || !slices.Equal(got, want) {
			return fmt.Errorf("generation %d of %d, conditions %v, want %v", q.GetStatus().ObservedGeneration, q.GetGeneration(), got, want)
		}
		return nil
	})
}

func awaitReady(t *testing.T, q v1alpha1.Query) {
	t.Helper()
	awaitConditions(t, q, "True/SnapshotTaken", "absent", "absent")
}

func message(q v1alpha1.Query) string {
	return meta.FindStatusCondition(q.GetConditions(), v1alpha1.ReadyCondition).Message
}

func TestClusterQuery(t *testing.T) {
	ns := newNamespace(t)
	other := newEvent("elsewhere", ns, "application")
	put(t, newEvent(ownCluster, ns, "application"), newEvent(ownCluster, ns, "environment_group"), newEvent(ownCluster, ns, "project"), other)
	spec := v1alpha1.ClusterAuditLogQuerySpec{}
	spec.ResourceTypes = []string{"application", "environment_group"}
	q := clusterWide("share-url", spec)
	create(t, q)
	awaitReady(t, q)
	want := dashboardURL + "/security/audit-logs?resource_type=application&resource_type=environment_group"
	if q.Status.ShareURL != want {
		t.Errorf("share URL %s, want %s", q.Status.ShareURL, want)
	}
	if q.Status.Types != "application,environment_group" || q.Status.Window != "Last 7 days" {
		t.Errorf("types %q, window %q", q.Status.Types, q.Status.Window)
	}
	if got := kstatusOf(t, q); got != status.CurrentStatus {
		t.Errorf("kstatus says %s", got)
	}

	spec.Namespaces = []string{ns}
	q = clusterWide("counts", spec)
	create(t, q)
	awaitReady(t, q)
	s := q.Status.Snapshot
	if s.Matched != 3 || s.Stored != 3 || s.Truncated || s.CountsByResourceType["application"] != 2 || s.CountsByStatusClass["2xx"] != 3 {
		t.Errorf("snapshot %+v", s)
	}
	if len(s.Preview) != 3 || s.Preview[0].IP != "2001:db8::1" || s.Preview[0].Actor != "alice@example.com" {
		t.Errorf("preview %+v", s.Preview)
	}
	if got := condition(q, v1alpha1.CompleteCondition); got != "Unknown/NotMeasured" {
		t.Errorf("Complete is %s", got)
	}
	if want := dashboardURL + "/security/snapshots/" + s.ID; s.URL != want {
		t.Errorf("url %s, want %s", s.URL, want)
	}
	body, err := faults.OpenSnapshot(t.Context(), query.ClusterWide(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil {
		t.Fatal(err)
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != s.Digest {
		t.Errorf("the body's digest is %s, the status says %s", got, s.Digest)
	}
}

func TestNamespacedQuerySeesItsNamespaceAlone(t *testing.T) {
	ns, foreign := newNamespace(t), newNamespace(t)
	put(t, newEvent(ownCluster, ns, "application"), newEvent(ownCluster, foreign, "application"),
		newEvent("elsewhere", ns, "application"), newEvent(ownCluster, "", "cluster"))
	q := namespaced(ns, v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	if q.Status.Snapshot.Matched != 1 || len(q.Status.Snapshot.Preview) != 1 || q.Status.Snapshot.Preview[0].Namespace != ns {
		t.Errorf("snapshot %+v", q.Status.Snapshot)
	}
	if want := dashboardURL + "/security/audit-logs?namespace=" + ns; q.Status.ShareURL != want {
		t.Errorf("share URL %s, want %s", q.Status.ShareURL, want)
	}
	if want := dashboardURL + "/security/snapshots/" + q.Status.Snapshot.ID + "?namespace=" + ns; q.Status.Snapshot.URL != want {
		t.Errorf("url %s, want %s", q.Status.Snapshot.URL, want)
	}
	if _, err := faults.Snapshot(t.Context(), query.InNamespaces(ownCluster, foreign), q.Status.Snapshot.ID); err == nil {
		t.Error("another namespace may read the snapshot")
	}
}

// A namespaced query finds what occurred since its namespace was created, not
// what an earlier one of the name saw.
func TestNamespaceMadeAgain(t *testing.T) {
	ns := newNamespace(t)
	made := &corev1.Namespace{}
	if err := admin.Get(t.Context(), client.ObjectKey{Name: ns}, made); err != nil {
		t.Fatal(err)
	}
	earlier, first := newEvent(ownCluster, ns, "application"), newEvent(ownCluster, ns, "datastore")
	earlier.OccurredAt, first.OccurredAt = made.CreationTimestamp.Add(-time.Microsecond).UTC(), made.CreationTimestamp.UTC()
	put(t, earlier, first)
	q := namespaced(ns, v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	if s := q.Status.Snapshot; s.Matched != 1 || s.Stored != 1 || len(s.Preview) != 1 || s.Preview[0].ResourceType != "datastore" {
		t.Errorf("snapshot %+v, want the event of the datastore alone", s)
	}
}

func request(t *testing.T, q v1alpha1.Query, at string) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ReconcileRequestAnnotation, at)
	if err := admin.Patch(t.Context(), q, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

func awaitRequest(t *testing.T, q v1alpha1.Query, at string) {
	t.Helper()
	request(t, q, at)
	await(t, q, func() error {
		if got := q.GetStatus().LastHandledReconcileAt; got != at {
			return fmt.Errorf("last handled %q", got)
		}
		return nil
	})
	awaitReady(t, q)
}

func TestRequestedSnapshotsAndHistory(t *testing.T) {
	ns := newNamespace(t)
	put(t, newEvent(ownCluster, ns, "application"))
	q := namespaced(ns, v1alpha1.QuerySpec{SnapshotHistoryLimit: ptr.To(int32(2)), TimeRange: &v1alpha1.TimeRange{Preset: v1alpha1.LastHour}})
	create(t, q)
	awaitReady(t, q)
	first := q.Status.Snapshot
	put(t, newEvent(ownCluster, ns, "application"))

	awaitRequest(t, q, "one")
	second := q.Status.Snapshot
	if second.ID == first.ID || second.Matched != 2 || !second.To.After(first.To.Time) {
		t.Errorf("after the request %+v", second)
	}
	want := []v1alpha1.SnapshotReference{second.SnapshotReference, first.SnapshotReference}
	if diff := cmp.Diff(want, q.Status.History); diff != "" {
		t.Error(diff)
	}

	awaitRequest(t, q, "two")
	if len(q.Status.History) != 2 || q.Status.History[1].ID != second.ID {
		t.Errorf("history %+v", q.Status.History)
	}
	// The store is pruned after the status, so it may be a moment behind.
	await(t, q, func() error {
		if got := snapshotsOf(t, string(q.UID)); len(got) != 2 || slices.Contains(got, first.ID) {
			return fmt.Errorf("the store holds %v", got)
		}
		return nil
	})
	last := q.Status.Snapshot.ID
	// A request that is taken back is no request.
	if err := admin.Patch(t.Context(), q, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":null}}`))); err != nil {
		t.Fatal(err)
	}
	reconcileNow(t, q)
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(q), q); err != nil || q.Status.Snapshot.ID != last {
		t.Errorf("snapshot %s, want still %s (%v)", q.Status.Snapshot.ID, last, err)
	}
}

// reconcileNow runs the reconciler once, beside the controllers, and returns
// how many requests to write it made.
func reconcileNow(t *testing.T, q v1alpha1.Query) (writes int) {
	t.Helper()
	writes, _ = reconcileAt(t, q, time.Now)
	return writes
}

// reconcileAt is reconcileNow by another clock, and returns the result too.
func reconcileAt(t *testing.T, q v1alpha1.Query, now func() time.Time, notes ...*noted) (writes int, result ctrl.Result) {
	t.Helper()
	var recorder events.EventRecorder = discardEvents{}
	if len(notes) > 0 {
		recorder = notes[0]
	}
	counting := interceptor.NewClient(operator, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			writes++
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			writes++
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
	r := queryReconciler{
		Options: Options{Store: faults, ClusterName: ownCluster, DashboardURL: dashboardURL, Retention: retention, Now: now},
		client:  counting, namespaces: admin, events: recorder, newQuery: func() v1alpha1.Query { return q.DeepCopyObject().(v1alpha1.Query) },
		turns: newTurns(time.Millisecond, 2),
	}
	result, err := r.Reconcile(t.Context(), requestFor(q))
	if err != nil {
		t.Fatal(err)
	}
	return writes, result
}

func TestNothingChangesTwice(t *testing.T) {
	ns := newNamespace(t)
	put(t, newEvent(ownCluster, ns, "application"))
	apply := func() *unstructured.Unstructured {
		t.Helper()
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "audit.porter.run/v1alpha1", "kind": "AuditLogQuery",
			"metadata": map[string]any{"namespace": ns, "name": "q"},
			"spec":     map[string]any{"resourceTypes": []any{"application"}},
		}}
		if err := admin.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("gitops")); err != nil {
			t.Fatal(err)
		}
		return o
	}
	apply()
	q := namespaced(ns, v1alpha1.QuerySpec{})
	awaitReady(t, q)
	before := q.ResourceVersion
	if got := apply().GetResourceVersion(); got != before {
		t.Errorf("applying the same again changed the object from %s to %s", before, got)
	}
	if writes := reconcileNow(t, q); writes > 0 {
		t.Errorf("reconciling again wrote %d times", writes)
	}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(q), q); err != nil || q.ResourceVersion != before {
		t.Errorf("reconciling again changed the object from %s to %s (%v)", before, q.ResourceVersion, err)
	}
	if got := snapshotsOf(t, string(q.UID)); len(got) != 1 {
		t.Errorf("%d snapshots were taken", len(got))
	}
}

func TestDeletionRemovesSnapshots(t *testing.T) {
	ns := newNamespace(t)
	q := namespaced(ns, v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	awaitRequest(t, q, "again")
	if got := snapshotsOf(t, string(q.UID)); len(got) != 2 {
		t.Fatalf("the store holds %v", got)
	}
	if err := admin.Delete(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, q)
	if got := snapshotsOf(t, string(q.UID)); len(got) != 0 {
		t.Errorf("the store still holds %v", got)
	}
}

func TestWhatAPersonMustChange(t *testing.T) {
	long := make([]string, 100)
	for i := range long {
		long[i] = strings.Repeat("x", 250) + fmt.Sprint(i)
	}
	tests := []struct {
		name, reason, message string
		spec                  v1alpha1.QuerySpec
	}{
		{"too long for a URL", v1alpha1.ReasonShareURLTooLong, "refuse more than 8000", v1alpha1.QuerySpec{Terms: v1alpha1.Terms{Actors: long}}},
		{"a resource without its group", v1alpha1.ReasonInvalidSpec, "write deployments.apps", v1alpha1.QuerySpec{Terms: v1alpha1.Terms{Resources: []string{"deployments"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := namespaced(newNamespace(t), tt.spec)
			create(t, q)
			awaitConditions(t, q, "False/"+tt.reason, "absent", "True/"+tt.reason)
			if !strings.Contains(message(q), tt.message) || q.Status.Snapshot != nil {
				t.Errorf("message %q, status %+v", message(q), q.Status)
			}
			if got := kstatusOf(t, q); got != status.FailedStatus {
				t.Errorf("kstatus says %s", got)
			}
			q.Spec = v1alpha1.AuditLogQuerySpec{}
			if err := admin.Update(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			awaitReady(t, q)
		})
	}
}

func TestWhatTheStoreFailsAt(t *testing.T) {
	tests := []struct {
		name, reason string
		err          error
	}{
		{"overloaded", v1alpha1.ReasonStoreUnavailable, fmt.Errorf("hunter2: %w", store.ErrOverloaded)},
		{"unavailable", v1alpha1.ReasonStoreUnavailable, fmt.Errorf("hunter2: %w", store.ErrUnavailable)},
		{"too slow", v1alpha1.ReasonQueryTimeout, fmt.Errorf("hunter2: %w", context.DeadlineExceeded)},
		{"anything", v1alpha1.ReasonSnapshotFailed, fmt.Errorf("hunter2")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ns := newNamespace(t)
			faults.set(ns, fault{err: tt.err})
			q := namespaced(ns, v1alpha1.QuerySpec{})
			create(t, q)
			awaitConditions(t, q, "False/"+tt.reason, "True/ProgressingWithRetry", "absent")
			if strings.Contains(message(q), "hunter2") {
				t.Errorf("the message tells what is inside: %s", message(q))
			}
			if got := kstatusOf(t, q); got != status.InProgressStatus {
				t.Errorf("kstatus says %s", got)
			}
			faults.set(ns, fault{})
			request(t, q, "now") // sooner than the operator would try
			awaitReady(t, q)
		})
	}
}

func TestProgressIsSeen(t *testing.T) {
	ns := newNamespace(t)
	block := make(chan struct{})
	faults.set(ns, fault{block: block})
	q := namespaced(ns, v1alpha1.QuerySpec{})
	create(t, q)
	if got := kstatusOf(t, q); got != status.InProgressStatus {
		t.Errorf("before the operator has seen it, kstatus says %s", got)
	}
	awaitConditions(t, q, "Unknown/Progressing", "True/Progressing", "absent")
	if got := kstatusOf(t, q); got != status.InProgressStatus {
		t.Errorf("kstatus says %s", got)
	}
	close(block)
	awaitReady(t, q)
}

// A snapshot that is gone is never replaced silently by another answer.
func TestLostSnapshot(t *testing.T) {
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	lost := q.Status.Snapshot.ID
	if err := faults.DeleteSnapshot(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	reconcileNow(t, q)
	awaitConditions(t, q, "False/SnapshotLost", "absent", "True/SnapshotLost")
	if q.Status.Snapshot.ID != lost {
		t.Errorf("the status now names %s", q.Status.Snapshot.ID)
	}
	awaitRequest(t, q, "again")
}

func TestBeyondRetention(t *testing.T) {
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{TimeRange: &v1alpha1.TimeRange{Duration: "90d"}})
	create(t, q)
	awaitReady(t, q)
	if got := condition(q, v1alpha1.CompleteCondition); got != "False/BeyondRetention" {
		t.Errorf("Complete is %s", got)
	}
}
