package controllers

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// sweepEvery is how often snapshots are compared with the queries.
	sweepEvery = time.Minute
	// orphansAfter is how long an orphan is kept by default.
	orphansAfter = 30 * 24 * time.Hour
	// deletionsRemembered is how long a deleted snapshot's mark stays for the
	// query's status to be told.
	deletionsRemembered = 7 * 24 * time.Hour
	// clockSlack is how far the clock may be from what time has passed between
	// two sweeps; after a jump, nothing is removed for as long as clockDistrust.
	clockSlack    = 10 * time.Minute
	clockDistrust = 24 * time.Hour
)

// orphans finds snapshots whose query does not exist: its deletion was not
// observed, because its finalizer had been taken away or the operator was gone.
// They are marked, and removed long after. But a cluster that was restored, or
// whose CRDs were installed anew, gives every query a new UID, and an answer of
// the API server may lack what is there: what can be explained so stays.
type orphans struct {
	Options
	live   client.Reader // asks the API server itself
	cached client.Reader
	// look has the queries of a kind reconciled.
	look map[string]func(reconcile.Request)

	last     sweepTime
	distrust time.Time // by the monotonic clock: until then, nothing is removed
}

// sweepTime is a moment by the clock on the wall and by the one that never jumps.
type sweepTime struct{ wall, passed time.Time }

// Start sweeps until ctx ends.
func (o *orphans) Start(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := o.sweep(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "Could not compare snapshots with queries; tried again in a minute")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// owned is what the store has of one owner.
type owned struct {
	owner  store.Owner
	ids    []string
	newest time.Time // when its last snapshot was taken
}

// living are the queries that there are.
type living struct {
	created map[types.UID]time.Time
	names   map[store.Owner]bool // without UIDs
	kinds   map[string]int       // how many of each
}

func (o *orphans) sweep(ctx context.Context) error {
	steady := o.steady()
	owners, err := o.owners(ctx)
	if err != nil {
		return err
	}
	queries, err := o.queries(ctx)
	if err != nil {
		return err
	}
	marks, err := o.Store.SnapshotMarks(ctx)
	if err != nil {
		return err
	}
	marked := map[store.MarkKind]map[string]time.Time{store.MarkOrphan: {}, store.MarkExpiring: {}, store.MarkDeleted: {}}
	for _, m := range marks {
		if marked[m.Kind] != nil {
			marked[m.Kind][m.ID] = m.At
		}
	}
	if err := o.forget(ctx, owners, queries, marked); err != nil {
		return err
	}
	found := 0
	for uid, of := range owners {
		if _, lives := queries.created[types.UID(uid)]; lives {
			continue
		}
		found += len(of.ids)
		if err := o.keepOrRemove(ctx, of, owners, queries, marked, steady); err != nil {
			return err
		}
	}
	o.Metrics.orphaned(found)
	return o.lookAtMissing(ctx, owners)
}

// keepOrRemove marks an orphan, and removes its snapshots when their time is over.
func (o *orphans) keepOrRemove(ctx context.Context, of *owned, owners map[string]*owned, queries living, marked map[store.MarkKind]map[string]time.Time, steady bool) error {
	uid, now := of.owner.UID, o.Now()
	if _, ok := marked[store.MarkOrphan][uid]; !ok {
		log.FromContext(ctx).Info("Snapshots have no query any more", "kind", of.owner.Kind, "namespace", of.owner.Namespace, "name", of.owner.Name, "uid", uid, "snapshots", len(of.ids))
		if err := o.Store.MarkSnapshot(ctx, store.SnapshotMark{Kind: store.MarkOrphan, ID: uid, At: now}); err != nil {
			return err
		}
	}
	since, expiring := marked[store.MarkExpiring][uid]
	switch certain := isCertain(of, owners, queries); {
	case !certain && expiring:
		return o.Store.UnmarkSnapshots(ctx, store.MarkExpiring, uid)
	case !certain:
		return nil
	case !expiring:
		return o.Store.MarkSnapshot(ctx, store.SnapshotMark{Kind: store.MarkExpiring, ID: uid, At: now})
	case !steady || now.Before(since.Add(o.OrphansAfter)):
		return nil
	}
	for _, id := range of.ids {
		if err := o.Store.DeleteSnapshot(ctx, id); err != nil {
			return fmt.Errorf("remove snapshot %s: %w", id, err)
		}
		log.FromContext(ctx).Info("Removed a snapshot whose query is gone", "snapshot", id, "uid", uid)
	}
	return nil // the marks go with the next sweep
}

// isCertain reports whether nothing but a deletion explains that an owner is
// gone. Queries of its kind are there, none of them has its name, and one that
// the store knows was there already when the orphan's last snapshot was taken:
// so they are of the cluster that the orphan was of.
func isCertain(of *owned, owners map[string]*owned, queries living) bool {
	named := of.owner
	named.UID = ""
	if queries.kinds[of.owner.Kind] == 0 || queries.names[named] {
		return false
	}
	for uid, created := range queries.created {
		if owners[string(uid)] != nil && !created.After(of.newest) {
			return true
		}
	}
	return false
}

// forget removes marks that no longer say anything.
func (o *orphans) forget(ctx context.Context, owners map[string]*owned, queries living, marked map[store.MarkKind]map[string]time.Time) error {
	for _, kind := range []store.MarkKind{store.MarkOrphan, store.MarkExpiring} {
		var gone []string
		for uid := range marked[kind] {
			if _, lives := queries.created[types.UID(uid)]; lives || owners[uid] == nil {
				gone = append(gone, uid)
			}
		}
		if len(gone) > 0 {
			if err := o.Store.UnmarkSnapshots(ctx, kind, gone...); err != nil {
				return err
			}
			for _, uid := range gone {
				delete(marked[kind], uid)
			}
		}
	}
	var told []string
	for id, at := range marked[store.MarkDeleted] {
		if o.Now().After(at.Add(deletionsRemembered)) {
			told = append(told, id)
		}
	}
	if len(told) == 0 {
		return nil
	}
	return o.Store.UnmarkSnapshots(ctx, store.MarkDeleted, told...)
}

// steady reports whether the clock can be relied upon: it has not jumped lately.
func (o *orphans) steady() bool {
	is := sweepTime{o.Now().Round(0), time.Now()}
	was := o.last
	o.last = is
	if was.passed.IsZero() {
		return true
	}
	if jump := is.wall.Sub(was.wall) - is.passed.Sub(was.passed); jump.Abs() > clockSlack {
		o.distrust = is.passed.Add(clockDistrust)
	}
	return is.passed.After(o.distrust)
}

// owners lists the snapshots by their owners' UIDs.
func (o *orphans) owners(ctx context.Context) (map[string]*owned, error) {
	owners := map[string]*owned{}
	var before *store.SnapshotPosition
	for {
		page, err := o.Store.ListSnapshots(ctx, query.ClusterWide(), store.ListSnapshotsRequest{Before: before, Limit: store.MaxPage})
		if err != nil {
			return nil, err
		}
		for i := range page {
			m := &page[i]
			of := owners[m.Owner.UID]
			if of == nil {
				of = &owned{owner: m.Owner, newest: m.TakenAt} // the newest come first
				owners[m.Owner.UID] = of
			}
			of.ids = append(of.ids, m.ID)
		}
		if len(page) < store.MaxPage {
			return owners, nil
		}
		last := page[len(page)-1].Position()
		before = &last
	}
}

// queries asks the API server for all queries.
func (o *orphans) queries(ctx context.Context) (living, error) {
	all := living{created: map[types.UID]time.Time{}, names: map[store.Owner]bool{}, kinds: map[string]int{}}
	for _, kind := range []string{kindOf(&v1alpha1.AuditLogQuery{}), kindOf(&v1alpha1.ClusterAuditLogQuery{})} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		if err := o.live.List(ctx, list); err != nil {
			return living{}, fmt.Errorf("list the queries: %w", err)
		}
		for i := range list.Items {
			q := &list.Items[i]
			all.created[q.UID] = q.CreationTimestamp.Time
			all.names[store.Owner{Kind: kind, Namespace: q.Namespace, Name: q.Name}] = true
		}
		all.kinds[kind] = len(list.Items)
	}
	return all, nil
}

// lookAtMissing has those queries reconciled whose status names a snapshot that
// the store no longer has: another replica may have deleted it.
func (o *orphans) lookAtMissing(ctx context.Context, owners map[string]*owned) error {
	var some v1alpha1.AuditLogQueryList
	var wide v1alpha1.ClusterAuditLogQueryList
	if err := o.cached.List(ctx, &some); err != nil {
		return err
	}
	if err := o.cached.List(ctx, &wide); err != nil {
		return err
	}
	queries := make([]v1alpha1.Query, 0, len(some.Items)+len(wide.Items))
	for i := range some.Items {
		queries = append(queries, &some.Items[i])
	}
	for i := range wide.Items {
		queries = append(queries, &wide.Items[i])
	}
	for _, q := range queries {
		held := map[string]bool{}
		if of := owners[string(q.GetUID())]; of != nil {
			for _, id := range of.ids {
				held[id] = true
			}
		}
		status := q.GetStatus()
		missing := status.Snapshot != nil && !held[status.Snapshot.ID] && readyReason(q) != v1alpha1.ReasonSnapshotLost
		for _, s := range status.History {
			missing = missing || !held[s.ID] && readyReason(q) != v1alpha1.ReasonSnapshotLost
		}
		if look := o.look[kindOf(q)]; missing && look != nil {
			look(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(q)})
		}
	}
	return nil
}
