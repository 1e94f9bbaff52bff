package controllers

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

// The operator makes the objects that are missing, with its own rights, and
// writes nothing where there is one.
func TestBuiltInTypesAreMadeOnce(t *testing.T) {
	ours := &v1alpha1.AuditResourceType{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}}
	ours.Spec = v1alpha1.AuditResourceTypeSpec{DisplayName: "Our cluster", Match: []v1alpha1.MatchRule{{Resources: []string{"nodes"}}}}
	create(t, ours)
	t.Cleanup(func() {
		if err := admin.DeleteAllOf(context.WithoutCancel(t.Context()), &v1alpha1.AuditResourceType{}); err != nil {
			t.Error(err)
		}
	})
	var written []string
	counted := interceptor.NewClient(operator, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			written = append(written, o.GetName())
			return c.Create(ctx, o, opts...)
		},
	})
	run := func(want ...string) {
		t.Helper()
		written = nil
		if err := CreateBuiltInTypes(t.Context(), counted); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, written); diff != "" {
			t.Errorf("created (-want +got):\n%s", diff)
		}
	}
	run("application", "datastore", "addon", "environment-group", "project")
	run()

	for _, builtIn := range audit.BuiltInResourceTypes() {
		got := crdconv.ResourceTypeObject(builtIn)
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(got), got); err != nil {
			t.Fatal(err)
		}
		want := builtIn
		if got.Name == ours.Name {
			want = crdconv.ResourceType(ours)
		}
		if diff := cmp.Diff(want, crdconv.ResourceType(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", got.Name, diff)
		}
	}

	// Deleting one brings the built-in rules back.
	if err := admin.Delete(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	run("cluster")
}
