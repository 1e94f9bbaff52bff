package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

// orphanWorld is a store of its own beside the API server's queries.
type orphanWorld struct {
	store.Store
	t     *testing.T
	now   time.Time
	saved int
	live  client.Reader
}

func newOrphanWorld(t *testing.T) *orphanWorld {
	s, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &orphanWorld{Store: s, t: t, now: time.Now(), live: admin}
}

// save saves a snapshot of an owner and returns its ID.
func (w *orphanWorld) save(owner store.Owner, at time.Time) string {
	w.t.Helper()
	w.saved++
	m := store.Manifest{ID: fmt.Sprintf("%032x", w.saved), Owner: owner, Namespace: owner.Namespace, Cluster: ownCluster, TakenAt: at.UTC().Truncate(time.Microsecond)}
	if err := w.SaveSnapshot(w.t.Context(), m.ID, store.SpaceOf(&m), func(io.Writer) (store.Manifest, error) { return m, nil }); err != nil {
		w.t.Fatal(err)
	}
	return m.ID
}

// sweep sweeps as a process would that has just started.
func (w *orphanWorld) sweep() error {
	o := orphans{Options: Options{Store: w.Store, Now: func() time.Time { return w.now }, OrphansAfter: orphansAfter}, live: w.live, cached: admin}
	return o.sweep(w.t.Context())
}

func (w *orphanWorld) mustSweep(after time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(after)
	if err := w.sweep(); err != nil {
		w.t.Fatal(err)
	}
}

// want checks which snapshots there are, and what is marked.
func (w *orphanWorld) want(ids []string, orphan, expiring bool) {
	w.t.Helper()
	manifests, err := w.ListSnapshots(w.t.Context(), query.ClusterWide(), store.ListSnapshotsRequest{Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	var held []string
	for _, m := range manifests {
		held = append(held, m.ID)
	}
	slices.Sort(held)
	marks, err := w.SnapshotMarks(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	marked := func(kind store.MarkKind) bool {
		return slices.ContainsFunc(marks, func(m store.SnapshotMark) bool { return m.Kind == kind && m.ID == goneUID })
	}
	if !slices.Equal(held, ids) || marked(store.MarkOrphan) != orphan || marked(store.MarkExpiring) != expiring {
		w.t.Errorf("the store holds %v, want %v; marks %+v", held, ids, marks)
	}
}

const goneUID = "6d1b6f0e-7d3b-4bb1-9ad0-24b1c6c4a001"

// witness is a query that is there, with a snapshot.
func (w *orphanWorld) witness(q *v1alpha1.AuditLogQuery) (id string) {
	create(w.t, q)
	return w.save(ownerOf(q), w.now)
}

func TestOrphansAreRemovedLate(t *testing.T) {
	w, ns := newOrphanWorld(t), newNamespace(t)
	kept := w.witness(namespaced(ns, v1alpha1.QuerySpec{}))
	gone := store.Owner{Kind: "AuditLogQuery", Namespace: ns, Name: "gone", UID: goneUID}
	orphan := w.save(gone, w.now.Add(time.Minute))
	w.mustSweep(time.Minute)
	both := []string{kept, orphan}
	w.want(both, true, true)
	w.mustSweep(orphansAfter - time.Second)
	w.want(both, true, true)
	w.mustSweep(2 * time.Second)
	w.want([]string{kept}, true, true)
	w.mustSweep(time.Minute)
	w.want([]string{kept}, false, false)
}

// What can be explained otherwise than by a deletion stays, however long.
func TestOrphansThatStay(t *testing.T) {
	failing := func(empty bool) client.Reader {
		return interceptor.NewClient(operator, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if empty {
				return nil
			}
			return errors.New("the API server is away")
		}})
	}
	tests := []struct {
		name    string
		prepare func(w *orphanWorld, ns string) (ids []string)
		live    client.Reader
		orphan  bool
		fails   bool
	}{
		{name: "a query of its name has another UID, as after a restore", orphan: true, prepare: func(w *orphanWorld, ns string) []string {
			again := namespaced(ns, v1alpha1.QuerySpec{})
			again.Name = "gone"
			create(w.t, again)
			return []string{w.witness(namespaced(ns, v1alpha1.QuerySpec{}))}
		}},
		{name: "every query is newer than its last snapshot, as after a restore", orphan: true, prepare: func(w *orphanWorld, ns string) []string {
			w.now = w.now.Add(-time.Hour) // of the snapshots of before
			w.witness(namespaced(ns, v1alpha1.QuerySpec{}))
			return []string{snapshotNumber(1)}
		}},
		{name: "no query has a snapshot", orphan: true, prepare: func(w *orphanWorld, ns string) []string {
			create(w.t, namespaced(ns, v1alpha1.QuerySpec{}))
			return nil
		}},
		{name: "the list is empty", orphan: true, live: failing(true), prepare: func(w *orphanWorld, ns string) []string {
			return []string{w.witness(namespaced(ns, v1alpha1.QuerySpec{}))}
		}},
		{name: "the list fails", live: failing(false), fails: true, prepare: func(w *orphanWorld, ns string) []string {
			return []string{w.witness(namespaced(ns, v1alpha1.QuerySpec{}))}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, ns := newOrphanWorld(t), newNamespace(t)
			ids := tt.prepare(w, ns)
			if tt.live != nil {
				w.live = tt.live
			}
			ids = append(ids, w.save(store.Owner{Kind: "AuditLogQuery", Namespace: ns, Name: "gone", UID: goneUID}, w.now))
			for range 4 {
				w.now = w.now.Add(orphansAfter)
				if err := w.sweep(); (err != nil) != tt.fails {
					t.Errorf("sweep: %v", err)
				}
			}
			w.want(ids, tt.orphan, false)
		})
	}
}

func snapshotNumber(n int) string { return fmt.Sprintf("%032x", n) }

// A query that is there again, as after a restore of etcd, has no orphans.
func TestOrphanThatHasItsQueryAgain(t *testing.T) {
	w, ns := newOrphanWorld(t), newNamespace(t)
	q := namespaced(ns, v1alpha1.QuerySpec{})
	id := w.witness(q)
	if err := w.MarkSnapshot(t.Context(), store.SnapshotMark{Kind: store.MarkExpiring, ID: string(q.UID), At: w.now.Add(-2 * orphansAfter)}); err != nil {
		t.Fatal(err)
	}
	w.mustSweep(time.Minute)
	w.want([]string{id}, false, false)
	if marks, err := w.SnapshotMarks(t.Context()); err != nil || len(marks) > 0 {
		t.Errorf("marks %+v, %v", marks, err)
	}
}

// A clock that jumps removes nothing.
func TestOrphansAndAClockThatJumps(t *testing.T) {
	w, ns := newOrphanWorld(t), newNamespace(t)
	ids := []string{w.witness(namespaced(ns, v1alpha1.QuerySpec{}))}
	ids = append(ids, w.save(store.Owner{Kind: "AuditLogQuery", Namespace: ns, Name: "gone", UID: goneUID}, w.now.Add(time.Minute)))
	o := orphans{Options: Options{Store: w.Store, Now: func() time.Time { return w.now }, OrphansAfter: orphansAfter}, live: admin, cached: admin}
	for _, jump := range []time.Duration{0, 0, 2 * orphansAfter, 0, 0} {
		w.now = w.now.Add(jump)
		if err := o.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.want(ids, true, true)
}

// Another replica may have deleted a snapshot: the leader finds out.
func TestSweepFindsADeletedSnapshot(t *testing.T) {
	q := namespaced(newNamespace(t), v1alpha1.QuerySpec{})
	create(t, q)
	awaitReady(t, q)
	id := q.Status.Snapshot.ID
	if err := errors.Join(faults.MarkSnapshot(t.Context(), store.SnapshotMark{Kind: store.MarkDeleted, ID: id, At: time.Now()}),
		faults.DeleteSnapshot(t.Context(), id)); err != nil {
		t.Fatal(err)
	}
	looked := map[types.UID]bool{}
	o := orphans{Options: Options{Store: faults, Now: time.Now, OrphansAfter: orphansAfter}, live: admin, cached: admin}
	o.look = map[string]func(reconcile.Request){"AuditLogQuery": func(r reconcile.Request) {
		if r == requestFor(q) {
			looked[q.UID] = true
		}
	}}
	if err := o.sweep(t.Context()); err != nil || !looked[q.UID] {
		t.Errorf("looked at %v, %v", looked, err)
	}
}
