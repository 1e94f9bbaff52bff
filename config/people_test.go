package config_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// createPeople makes who uses the operator: one may read the shop's events,
// one nothing, one the metrics.
func createPeople(t *testing.T) {
	t.Helper()
	subject := func(account string) []rbacv1.Subject {
		return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: shop, Name: account}}
	}
	role := func(name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	}
	in := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: shop, Name: name} }
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shop}},
		&corev1.ServiceAccount{ObjectMeta: in("viewer")},
		&corev1.ServiceAccount{ObjectMeta: in("stranger")},
		&corev1.ServiceAccount{ObjectMeta: in("scraper")},
		&rbacv1.RoleBinding{ObjectMeta: in("viewer"), RoleRef: role("auditlog-viewer"), Subjects: subject("viewer")},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "scraper"}, RoleRef: role("auditlog-metrics-reader"), Subjects: subject("scraper")},
	} {
		if err := world.admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// reset removes what an operator left, as if none had ever run.
func reset(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	var queries v1alpha1.AuditLogQueryList
	var clusterQueries v1alpha1.ClusterAuditLogQueryList
	for _, list := range []client.ObjectList{&queries, &clusterQueries} {
		if err := world.admin.List(ctx, list); err != nil {
			t.Fatal(err)
		}
	}
	release := func(o client.Object) {
		patch := client.MergeFrom(o.DeepCopyObject().(client.Object))
		o.SetFinalizers(nil)
		if err := world.admin.Patch(ctx, o, patch); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		if err := world.admin.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
	for i := range queries.Items {
		release(&queries.Items[i])
	}
	for i := range clusterQueries.Items {
		release(&clusterQueries.Items[i])
	}
	for _, all := range []client.Object{&v1alpha1.AuditSource{}, &v1alpha1.AuditResourceType{}} {
		if err := world.admin.DeleteAllOf(ctx, all); err != nil {
			t.Fatal(err)
		}
	}
	if err := world.admin.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(operatorNamespace)); err != nil {
		t.Fatal(err)
	}
	for _, ns := range []string{shop, metav1.NamespaceDefault} {
		if err := world.admin.DeleteAllOf(ctx, &eventsv1.Event{}, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
	}
}
