package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// applyToReady is the time from the creation of a query to its answer, a
// snapshot of 10,000 rows of a week.
func (o *operator) applyToReady(b *testing.B) {
	const applied = 20
	var took []time.Duration
	for i := range applied {
		q := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("apply-%d", i)}}
		q.Spec.ResourceTypes = []string{"application", "environment_group"}
		q.Spec.Limit = ptr.To(int32(10_000))
		watch, err := o.api.Watch(b.Context(), &v1alpha1.ClusterAuditLogQueryList{}, client.MatchingFields{"metadata.name": q.Name})
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := o.api.Create(b.Context(), q); err != nil {
			b.Fatal(err)
		}
		for event := range watch.ResultChan() {
			if q, ok := event.Object.(*v1alpha1.ClusterAuditLogQuery); ok && isReady(q) {
				if stored := q.Status.Snapshot.Stored; stored != min(10_000, q.Status.Snapshot.Matched) {
					b.Errorf("the snapshot has %d rows of %d", stored, q.Status.Snapshot.Matched)
				}
				break
			}
		}
		took = append(took, time.Since(began))
		watch.Stop()
		if err := o.api.Delete(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	report(b, took)
}

func isReady(q *v1alpha1.ClusterAuditLogQuery) bool {
	return meta.IsStatusConditionTrue(q.Status.Conditions, v1alpha1.ReadyCondition) && q.Status.ObservedGeneration == q.Generation && q.Status.Snapshot != nil
}

// manyQueries is the time from the creation of many queries until all have
// their answers.
func (o *operator) manyQueries(b *testing.B) {
	began := time.Now()
	for i := range *queries {
		q := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("many-%d", i)}}
		q.Spec.Namespaces = []string{fmt.Sprint("team-", i%60)}
		q.Spec.Methods = []string{"DELETE"}
		q.Spec.TimeRange = &v1alpha1.TimeRange{Duration: fmt.Sprintf("%dh", 1+i%160)}
		q.Spec.Limit = ptr.To(int32(100))
		if err := o.api.Create(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := o.awaitAll(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "all-ready-s")
	o.reportMemory(b)
}

// awaitAll waits until every query is ready and returns their snapshots.
func (o *operator) awaitAll(ctx context.Context) (map[string]string, error) {
	var snapshots map[string]string
	err := await(ctx, 10*time.Minute, func(ctx context.Context) error {
		var list v1alpha1.ClusterAuditLogQueryList
		if err := o.api.List(ctx, &list); err != nil {
			return err
		}
		snapshots = map[string]string{}
		for i := range list.Items {
			if isReady(&list.Items[i]) {
				snapshots[list.Items[i].Name] = list.Items[i].Status.Snapshot.ID
			}
		}
		if len(snapshots) < max(*queries, len(list.Items)) {
			return fmt.Errorf("%d of %d queries are ready", len(snapshots), len(list.Items))
		}
		return nil
	})
	return snapshots, err
}

// restart is the time from the start of an operator that has many queries until
// it answers another, after all of them; they keep the snapshots that they have.
func (o *operator) restart(b *testing.B) {
	before, err := o.awaitAll(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := o.cluster.RestartOperator(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "to-probe-s")
	q := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: "zz-after-restart"}}
	if err := o.api.Create(b.Context(), q); err != nil {
		b.Fatal(err)
	}
	if err := await(b.Context(), 10*time.Minute, func(ctx context.Context) error {
		if err := o.api.Get(ctx, client.ObjectKeyFromObject(q), q); err != nil {
			return err
		}
		if !isReady(q) {
			return fmt.Errorf("%s is not ready", q.Name)
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "all-ready-s")
	after, err := o.awaitAll(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for name, id := range before {
		if after[name] != id {
			b.Errorf("%s has another snapshot after the restart", name)
		}
	}
}
