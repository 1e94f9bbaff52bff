package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

var runTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// asked is a query of generation 2 that was dealt with, with changes.
func asked(change ...func(*v1alpha1.AuditLogQuery)) *v1alpha1.AuditLogQuery {
	q := namespaced("shop", v1alpha1.QuerySpec{})
	q.UID, q.Generation, q.Status.ObservedGeneration = "uid", 2, 2
	markReady(q, v1alpha1.ReasonSnapshotTaken, "")
	for _, c := range change {
		c(q)
	}
	return q
}

func requesting(value string) func(*v1alpha1.AuditLogQuery) {
	return func(q *v1alpha1.AuditLogQuery) {
		metav1.SetMetaDataAnnotation(&q.ObjectMeta, v1alpha1.ReconcileRequestAnnotation, value)
	}
}

func handled(value string) func(*v1alpha1.AuditLogQuery) {
	return func(q *v1alpha1.AuditLogQuery) { q.Status.LastHandledReconcileAt = value }
}

// showing has the status name snapshots, the latest first.
func showing(ids ...string) func(*v1alpha1.AuditLogQuery) {
	return func(q *v1alpha1.AuditLogQuery) {
		for i, id := range ids {
			r := v1alpha1.SnapshotReference{ID: id}
			if i == 0 {
				q.Status.Snapshot = &v1alpha1.Snapshot{SnapshotReference: r}
			}
			q.Status.History = append(q.Status.History, r)
		}
	}
}

func emptied(q *v1alpha1.AuditLogQuery) { q.Status = v1alpha1.AuditLogQueryStatus{} }

// of is a snapshot of a run, taken that many minutes after runTime.
func of(id string, generation int64, request string, number int64) store.Manifest {
	at := runTime.Add(time.Duration(number) * time.Minute)
	return store.Manifest{ID: id, TakenAt: at, From: at.Add(-time.Hour), To: at, Run: &store.Run{Generation: generation, Request: request, Number: number}}
}

func until(m store.Manifest, to time.Time) store.Manifest {
	m.To = to
	return m
}

func TestDecide(t *testing.T) {
	legacy := store.Manifest{ID: snapshot.LegacyID("uid", 2, "a"), TakenAt: runTime, To: runTime.Add(time.Hour)}
	run := func(request string, number int64) decision {
		return decision{run: &store.Run{Generation: 2, Request: request, Number: number}}
	}
	found := func(id string) decision { return decision{found: &store.Manifest{ID: id}} }
	end := runTime.Add(time.Hour)
	for _, tt := range []struct {
		name      string
		q         *v1alpha1.AuditLogQuery
		manifests []store.Manifest
		now       time.Time
		want      decision
	}{
		{name: "a new query", q: asked(emptied), want: run("", 1)},
		{name: "a new spec", q: asked(showing("x")), manifests: []store.Manifest{of("x", 1, "", 1)}, want: run("", 2)},
		{name: "a spec that was answered", q: asked(showing("x")), manifests: []store.Manifest{of("x", 2, "", 1)}, want: found("x")},
		{name: "interrupted before the status was written", q: asked(showing("x"), func(q *v1alpha1.AuditLogQuery) { markProgressing(q, "") }),
			manifests: []store.Manifest{of("x", 1, "", 1), of("y", 2, "", 2)}, want: found("y")},
		{name: "a request", q: asked(showing("x"), requesting("a")), manifests: []store.Manifest{of("x", 2, "", 1)}, want: run("a", 2)},
		{name: "a request that was carried out", q: asked(showing("y", "x"), requesting("a"), handled("a")),
			manifests: []store.Manifest{of("x", 2, "", 1), of("y", 2, "a", 2)}, want: found("y")},
		{name: "a request that was interrupted", q: asked(showing("x"), requesting("a")),
			manifests: []store.Manifest{of("x", 2, "", 1), of("y", 2, "a", 2)}, want: found("y")},
		{name: "a, b, and a again", q: asked(showing("b1", "a1"), requesting("a"), handled("b")),
			manifests: []store.Manifest{of("a1", 2, "a", 1), of("b1", 2, "b", 2)}, want: run("a", 3)},
		{name: "a again, interrupted", q: asked(showing("b1", "a1"), requesting("a"), handled("b")),
			manifests: []store.Manifest{of("a1", 2, "a", 1), of("b1", 2, "b", 2), of("a2", 2, "a", 3)}, want: found("a2")},
		{name: "a again, b had failed", q: asked(showing("a1"), requesting("a"), handled("b")),
			manifests: []store.Manifest{of("a1", 2, "a", 1)}, want: run("a", 2)},
		{name: "a again, b's snapshot was deleted", q: asked(func(q *v1alpha1.AuditLogQuery) {
			markReady(q, v1alpha1.ReasonSnapshotDeleted, "")
			q.Status.History = []v1alpha1.SnapshotReference{{ID: "a1"}}
		}, requesting("a"), handled("b")), manifests: []store.Manifest{of("a1", 2, "a", 1)}, want: run("a", 2)},
		{name: "a request that was taken back", q: asked(showing("y", "x"), handled("a")),
			manifests: []store.Manifest{of("x", 2, "", 1), of("y", 2, "a", 2)}, want: found("y")},
		{name: "an emptied status", q: asked(emptied), manifests: []store.Manifest{of("x", 2, "", 1), of("y", 2, "a", 2)}, want: found("y")},
		{name: "an emptied status, with the request", q: asked(emptied, requesting("a")),
			manifests: []store.Manifest{of("x", 2, "", 1), of("y", 2, "a", 2)}, want: found("y")},
		{name: "the clock was set back", q: asked(emptied), manifests: []store.Manifest{
			{ID: "late", TakenAt: runTime, To: runTime, Run: &store.Run{Generation: 2, Number: 2}},
			{ID: "early", TakenAt: end, To: end, Run: &store.Run{Generation: 2, Number: 1}}}, want: found("late")},
		{name: "taken before runs had keys", q: asked(showing(legacy.ID), requesting("a"), handled("a")), manifests: []store.Manifest{legacy}, now: end.Add(time.Hour), want: found(legacy.ID)},
		{name: "asked again after the upgrade", q: asked(showing(legacy.ID), requesting("b"), handled("a")), manifests: []store.Manifest{legacy}, want: run("b", 1)},
		{name: "deleted by its ID, or lost", q: asked(showing("y", "x"), handled("a")), manifests: []store.Manifest{of("x", 2, "", 1)}, want: decision{lost: "y"}},
		{name: "deleted, which is known", q: asked(handled("a"), func(q *v1alpha1.AuditLogQuery) { markReady(q, v1alpha1.ReasonSnapshotDeleted, "") }),
			manifests: []store.Manifest{of("x", 2, "", 1)}, want: decision{deleted: true}},
		{name: "deleted, and asked again", q: asked(handled("a"), requesting("b"), func(q *v1alpha1.AuditLogQuery) { markReady(q, v1alpha1.ReasonSnapshotDeleted, "") }), want: run("b", 1)},
		{name: "the window is not over", q: asked(showing("x")), manifests: []store.Manifest{until(of("x", 2, "a", 1), end)}, now: end.Add(settle - 1),
			want: decision{found: &store.Manifest{ID: "x"}, next: end.Add(settle)}},
		{name: "the window is over", q: asked(showing("x")), manifests: []store.Manifest{until(of("x", 2, "a", 1), end)}, now: end.Add(settle), want: run("a", 2)},
		{name: "the final answer is there", q: asked(showing("x")), now: end.Add(24 * time.Hour),
			manifests: []store.Manifest{until(of("x", 2, "a", 1), end), until(of("y", 2, "a", 90), end)}, want: found("y")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := tt.now
			if now.IsZero() {
				now = runTime.Add(10 * time.Minute)
			}
			got := decide(tt.q, tt.manifests, now)
			if (got.found == nil) != (tt.want.found == nil) || got.found != nil && got.found.ID != tt.want.found.ID {
				t.Errorf("found %+v, want %+v", got.found, tt.want.found)
			}
			if (got.run == nil) != (tt.want.run == nil) || got.run != nil && *got.run != *tt.want.run {
				t.Errorf("run %+v, want %+v", got.run, tt.want.run)
			}
			if got.deleted != tt.want.deleted || got.lost != tt.want.lost || !got.next.Equal(tt.want.next) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestBegins(t *testing.T) {
	for _, tt := range []struct {
		r    query.TimeRange
		want time.Time
	}{
		{query.TimeRange{}, time.Time{}},
		{query.TimeRange{From: runTime.Add(-1)}, time.Time{}},
		{query.TimeRange{From: runTime}, runTime.Add(settle)},
		{query.TimeRange{From: runTime.Add(time.Hour)}, runTime.Add(time.Hour + settle)},
		{query.TimeRange{From: runTime.Add(time.Hour), To: runTime.Add(2 * time.Hour)}, time.Time{}}, // a provisional answer
	} {
		if got := begins(tt.r, runTime); !got.Equal(tt.want) {
			t.Errorf("%+v begins at %v, want %v", tt.r, got, tt.want)
		}
	}
}
