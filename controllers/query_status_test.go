package controllers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

func TestDescribe(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("type_%02d", i)
	}
	for want, types := range map[string][]string{
		"all": nil, "application": {"application"}, "application,environment_group": {"application", "environment_group"},
		"type_00,type_01,type_02,type_03,type_04,type_05,type_06 +93": many,
		strings.Repeat("x", 63) + " +1":                               {strings.Repeat("x", 63), "y"},
	} {
		if got := describeTypes(query.Filter{Terms: query.Terms{ResourceTypes: types}}); got != want {
			t.Errorf("types %q, want %q", got, want)
		}
	}
	day := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for want, r := range map[string]query.TimeRange{
		"Last 7 days": {}, "Last hour": {Preset: query.LastHour}, "Last 90d": {Duration: "90d"}, "Since 2026-10-01": {From: day},
		"2026-10-01 to 2026-10-01T08:30:00Z": {From: day, To: day.Add(8*time.Hour + 30*time.Minute)},
	} {
		if got := describeWindow(r); got != want {
			t.Errorf("window %q, want %q", got, want)
		}
	}
}

func TestReadyMessage(t *testing.T) {
	of := func(matched, stored int64) *v1alpha1.AuditLogQueryStatus {
		return &v1alpha1.AuditLogQueryStatus{Snapshot: &v1alpha1.Snapshot{SnapshotReference: v1alpha1.SnapshotReference{Matched: matched}, Stored: stored}}
	}
	for want, got := range map[string]string{
		"No events matched.":                               readyMessage(of(0, 0), dashboardURL),
		"3 events matched, all are kept.":                  readyMessage(of(3, 3), dashboardURL),
		"12000 events matched, the newest 10000 are kept.": readyMessage(of(12000, 10000), dashboardURL),
		"1 event matched, it is kept. There is no share URL: the operator runs without --dashboard-url.": readyMessage(of(1, 1), ""),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The API server must take the largest status that events and users can bring
// about, and the promise of 256 KiB must hold for it.
func TestLargestStatus(t *testing.T) {
	// Of all characters < takes the most bytes in JSON.
	worst := strings.Repeat("<", 5000)
	record := snapshot.Record{
		ID: strings.Repeat("f", 32), Actor: worst, Method: "OPTIONS", ResourceType: strings.Repeat("x", 63), Action: worst,
		Cluster: strings.Repeat("x", 63), Namespace: worst, ResourceName: worst, StatusCode: 200,
		IPs: []string{"2001:0db8:0000:0000:0000:0000:0000:0001"},
	}
	record.OccurredAt.Time = time.Now()
	manifest := store.Manifest{
		ID: strings.Repeat("f", 32), Namespace: strings.Repeat("n", 63), Matched: 1 << 62, Stored: 50000, Truncated: true,
		TakenAt: time.Now(), AsOf: time.Now(), From: time.Now(), To: time.Now(), Complete: "False", CompleteReason: snapshot.BeyondRetention,
		Digest: "sha256:" + strings.Repeat("f", 64), ManifestDigest: "sha256:" + strings.Repeat("f", 64), CountsByType: map[string]int64{},
		CountsByStatusClass: map[string]int64{"1xx": 1 << 60, "2xx": 1 << 60, "3xx": 1 << 60, "4xx": 1 << 60, "5xx": 1 << 60, "none": 1 << 60},
	}
	for i := range 200 {
		manifest.CountsByType[fmt.Sprintf("%s%03d", strings.Repeat("x", 60), i)] = 1 << 60
	}
	var kept []store.Manifest
	for range 100 {
		kept = append(kept, manifest)
	}
	var records []snapshot.Record
	for range 50 {
		records = append(records, record)
	}
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{})
	q.Name = "largest"
	create(t, q)
	awaitReady(t, q)
	status := newStatusWriter(admin, q)
	fillSnapshots(&q.Status, "https://"+strings.Repeat("d", 240)+".example", kept, previewOf(records))
	q.Status.ShareURL = strings.Repeat("u", maxShareURL)
	q.Status.LastHandledReconcileAt = cut(worst, 256)
	q.Status.Types, q.Status.Window = cut(worst, 256), cut(worst, 256)
	setComplete(q, manifest)
	markFailed(q, v1alpha1.ReasonStoreUnavailable, worst)
	setCondition(q, v1alpha1.StalledCondition, metav1.ConditionTrue, "X", worst)
	encoded, err := json.Marshal(q.Status)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the largest status has %d bytes", len(encoded))
	if len(encoded) > 256<<10 {
		t.Errorf("the status has %d bytes, more than 256 KiB", len(encoded))
	}
	if len(q.Status.Snapshot.CountsByResourceType) != maxTypes {
		t.Errorf("%d types are counted", len(q.Status.Snapshot.CountsByResourceType))
	}
	if err := status.write(t.Context(), q); err != nil {
		t.Errorf("the API server does not take it: %v", err)
	}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(q), q); err != nil || len(q.Status.History) != 100 {
		t.Errorf("%d snapshots in the history, %v", len(q.Status.History), err)
	}
}
