package v1alpha1_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

func TestDefaults(t *testing.T) {
	c := apiserver(t)
	q := object(t, namespaced, "defaults", ``)
	create(t, c, q)
	want := map[string]any{"limit": int64(10000), "preview": int64(10), "snapshotHistoryLimit": int64(10)}
	if diff := cmp.Diff(want, q.Object["spec"]); diff != "" {
		t.Errorf("defaults of a query (-want +got):\n%s", diff)
	}

	s := object(t, source, "defaults", `{cluster: prod-eu}`)
	create(t, c, s)
	want = map[string]any{"cluster": "prod-eu", "type": "Webhook", "auth": "Token"}
	if diff := cmp.Diff(want, s.Object["spec"]); diff != "" {
		t.Errorf("defaults of a source (-want +got):\n%s", diff)
	}

	for _, o := range []*unstructured.Unstructured{
		q, s, create(t, c, object(t, cluster, "defaults", ``)), create(t, c, object(t, typ, "defaults", `{displayName: A}`)),
	} {
		seen, _, err := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
		if err != nil || seen != -1 {
			t.Errorf("%s: observedGeneration is %d, %v before anybody saw it; want -1", o.GetKind(), seen, err)
		}
	}
}

// The getters must not say something else than the schema.
func TestGettersAgreeWithTheSchema(t *testing.T) {
	c := apiserver(t)
	q := &v1alpha1.AuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: "getters", Namespace: "default"}}
	before := []int{q.Spec.GetLimit(), q.Spec.GetPreview(), q.Spec.GetSnapshotHistoryLimit()}
	if err := c.Create(t.Context(), q, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if q.Spec.Limit == nil {
		t.Fatal("the schema has no default for limit")
	}
	after := []int{q.Spec.GetLimit(), q.Spec.GetPreview(), q.Spec.GetSnapshotHistoryLimit()}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("before and after defaulting:\n%s", diff)
	}
}

func TestApplyingTwiceChangesNothing(t *testing.T) {
	for _, folder := range []string{"config/crd", "config/samples", "config/samples/source"} {
		t.Run(folder, func(t *testing.T) {
			apply := func() string {
				return kubectl(t, "apply", "--server-side", "-k", folder, "-o",
					`jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\n"}{end}{.metadata.resourceVersion}`)
			}
			// The first one makes the objects; the apiserver may touch a CRD once
			// more by itself, so a second one takes the measure.
			apply()
			before := apply()
			if strings.TrimSpace(before) == "" {
				t.Fatal("nothing was applied")
			}
			if diff := cmp.Diff(before, apply()); diff != "" {
				t.Errorf("applied again (-before +after):\n%s", diff)
			}
		})
	}
}

func TestPrintColumns(t *testing.T) {
	c := apiserver(t)
	q := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: "columns"}}
	if err := c.Create(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	now := metav1.NowMicro()
	q.Status = v1alpha1.AuditLogQueryStatus{
		Types: "application", Window: "Last 7 days", ShareURL: "https://audit.example.com/security/audit-logs",
		Conditions: []metav1.Condition{{
			Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue,
			Reason: v1alpha1.ReasonSnapshotTaken, LastTransitionTime: metav1.Now(),
		}},
		Snapshot: &v1alpha1.Snapshot{
			SnapshotReference: v1alpha1.SnapshotReference{ID: "1", TakenAt: now, Matched: 214, Digest: "sha256:0"},
			AsOf:              now, From: now, To: now, ManifestDigest: "sha256:0",
		},
	}
	if err := c.Status().Update(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(kubectl(t, "get", "calq", "columns", "-o", "wide"))
	want := "NAME READY MATCHED TYPES WINDOW AGE SHARE URL columns True 214 application Last 7 days"
	if n := len(strings.Fields(want)); len(got) < n || strings.Join(got[:n], " ") != want {
		t.Errorf("kubectl get calq -o wide: %q, want it to begin with %q", got, want)
	}
	if url := got[len(got)-1]; url != q.Status.ShareURL {
		t.Errorf("last column is %q, want the share URL", url)
	}
	if out := kubectl(t, "get", "audit"); !strings.Contains(out, "clusterauditlogquery.audit.porter.run/columns") {
		t.Errorf("kubectl get audit does not list the query:\n%s", out)
	}
}

// What clients send fills at most the preview, and each text of it as far as
// the schema lets it: a status of nothing but characters that JSON escapes.
func TestStatusStaysSmall(t *testing.T) {
	text := func(n int) string { return strings.Repeat("<", n) }
	plain := func(n int) string { return strings.Repeat("x", n) }
	at := metav1.NewMicroTime(time.Date(2026, 11, 1, 12, 30, 15, 123456000, time.UTC))
	reference := v1alpha1.SnapshotReference{
		ID: plain(64), TakenAt: at, Matched: 1 << 62, Digest: plain(80), URL: plain(512),
	}
	snapshot := &v1alpha1.Snapshot{
		SnapshotReference: reference, AsOf: at, From: at, To: at, Stored: 50000, Truncated: true,
		ManifestDigest: plain(80), CountsByResourceType: map[string]int64{}, CountsByStatusClass: map[string]int64{"none": 1 << 62},
	}
	for i := range 100 {
		snapshot.CountsByResourceType[plain(60)+string(rune('a'+i/26))+string(rune('a'+i%26))] = 1 << 62
	}
	for range 50 {
		snapshot.Preview = append(snapshot.Preview, v1alpha1.EventPreview{
			ID: plain(32), Time: at, Actor: text(v1alpha1.MaxPreviewText), Method: "OPTIONS", StatusCode: 403,
			ResourceType: plain(63), Action: text(v1alpha1.MaxPreviewText), Cluster: plain(63), Namespace: text(63),
			ResourceName: text(v1alpha1.MaxPreviewText), IP: plain(45),
		})
	}
	status := v1alpha1.AuditLogQueryStatus{
		Types: plain(256), Window: plain(256), ShareURL: plain(8000), Snapshot: snapshot, LastHandledReconcileAt: text(256),
	}
	for range 100 {
		status.History = append(status.History, reference)
	}
	encoded, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	// 8 KiB are left to conditions, whose messages are the operator's own.
	if limit := 248 << 10; len(encoded) > limit {
		t.Errorf("the largest status has %d bytes, want at most %d", len(encoded), limit)
	}
}

func create(t *testing.T, c client.Client, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	if err := c.Create(t.Context(), o); err != nil {
		t.Fatalf("create %s: %v", o.GetKind(), err)
	}
	return o
}
