package httpapi_test

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// mayDelete gives a user the right to delete the snapshots of a namespace.
func mayDelete(t *testing.T, user, namespace string) {
	t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "delete-snapshots"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"audit.porter.run"}, Resources: []string{"auditlogqueries/snapshots"}, Verbs: []string{"delete"}},
	}}
	if _, err := world.Kube.RbacV1().Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bound := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "delete-snapshots"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: user}},
	}
	if _, err := world.Kube.RbacV1().RoleBindings(namespace).Create(t.Context(), bound, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "system:serviceaccount:default:" + user,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "delete", Group: "audit.porter.run", Resource: "auditlogqueries", Subresource: "snapshots"}}}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		answer, err := world.Kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status.Allowed {
			return
		}
		<-tick.C
	}
	t.Fatal("the API server does not know the right")
}

// saveIn saves a snapshot that a test may delete.
func saveIn(t *testing.T, namespace string) store.Manifest {
	t.Helper()
	m := world.Snapshots[namespace]
	m.ID, m.TakenAt = snapshot.NewID(), time.Now().UTC().Truncate(time.Microsecond)
	m.Owner = store.Owner{Kind: "AuditLogQuery", Namespace: namespace, Name: "deletable", UID: "gone"}
	if err := world.Store.SaveSnapshot(t.Context(), m.ID, store.SpaceOf(&m), func(io.Writer) (store.Manifest, error) { return m, nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Store.DeleteSnapshot(t.Context(), m.ID) })
	return m
}

// Neither reading events nor everything else of queries is the right to delete
// a snapshot; and what one may not see can't be deleted either.
func TestDeleteSnapshot(t *testing.T) {
	mayDelete(t, inShop, "shop")
	p := newPrograms(t)
	shop, wide := saveIn(t, "shop"), saveIn(t, "")
	for _, tt := range []struct {
		user, id string
		status   int
		kind     string
	}{
		{"", shop.ID, http.StatusUnauthorized, "unauthenticated"},
		{nobody, shop.ID, http.StatusNotFound, "not-found"},
		{everywhere, shop.ID, http.StatusForbidden, "forbidden"},
		{inBoth, shop.ID, http.StatusForbidden, "forbidden"},
		{inShop, wide.ID, http.StatusNotFound, "not-found"},
		{everywhere, wide.ID, http.StatusForbidden, "forbidden"},
	} {
		wantProblem(t, p.ask(t, tt.user, http.MethodDelete, snapshots+"/"+tt.id), tt.status, tt.kind)
	}
	for _, m := range []store.Manifest{shop, wide} {
		if _, err := world.Store.Snapshot(t.Context(), query.ClusterWide(), m.ID); err != nil {
			t.Errorf("%s is gone: %v", m.ID, err)
		}
	}
	if answer := p.ask(t, inShop, http.MethodDelete, snapshots+"/"+shop.ID); answer.Status != http.StatusNoContent {
		t.Fatalf("status %d: %s", answer.Status, answer.Body)
	}
	wantProblem(t, p.get(t, inShop, snapshots+"/"+shop.ID), http.StatusNotFound, "not-found")
	marks, err := world.Store.SnapshotMarks(t.Context())
	if err != nil || !slices.ContainsFunc(marks, func(m store.SnapshotMark) bool { return m.Kind == store.MarkDeleted && m.ID == shop.ID }) {
		t.Errorf("marks %+v, %v", marks, err)
	}
	records, err := world.Records.View(t.Context(), query.ClusterWide(), store.ViewRequest{
		Filter: query.Filter{Terms: query.Terms{Actions: []string{"project.audit_snapshot_delete"}, ResourceNames: []string{shop.ID}}},
		Window: query.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}, Limit: 10,
	})
	if err != nil || len(records.Events) != 2 || records.Events[0].Namespace != "shop" || records.Events[0].Method != http.MethodDelete {
		t.Errorf("records %+v, %v", records.Events, err)
	}
}

// A list says of which snapshots the query is gone.
func TestOrphansAreListed(t *testing.T) {
	p := newPrograms(t)
	m := saveIn(t, "shop")
	since := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	if err := world.Store.MarkSnapshot(t.Context(), store.SnapshotMark{Kind: store.MarkOrphan, ID: m.Owner.UID, At: since}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = world.Store.UnmarkSnapshots(t.Context(), store.MarkOrphan, m.Owner.UID) }()
	list := decode[struct {
		Items []struct {
			store.Manifest
			OrphanSince time.Time `json:"orphanSince"`
		} `json:"items"`
		Next string `json:"next"`
	}](t, p.get(t, inShop, snapshots))
	found := 0
	for _, item := range list.Items {
		if got, want := item.OrphanSince.Equal(since), item.ID == m.ID; got != want {
			t.Errorf("%s is an orphan since %v", item.ID, item.OrphanSince)
		}
		if item.ID == m.ID {
			found++
		}
	}
	if found != 1 {
		t.Errorf("found %d times", found)
	}
}
