package v1alpha1_test

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

// What "Save as AuditLogQuery" writes is what kubectl applies, and the object
// asks for exactly what the filter did.
func TestManifestsOfFilters(t *testing.T) {
	c := apiserver(t)
	for i, tt := range []struct {
		name, filter, kind string
		limited            []string
	}{
		{"nothing", "", crdconv.KindCluster, nil},
		{"a namespace", "namespace=default&method_exclude=GET", crdconv.KindNamespaced, nil},
		{"no namespace", "namespace=-", crdconv.KindCluster, nil},
		{"two namespaces", "namespace=default&namespace=kube-system", crdconv.KindCluster, nil},
		{"every term", "resource_type=application&resource_type_exclude=my_type&actor=system%3Aserviceaccount%3Aci%3A*&actor_exclude=a%27%22%5C%3A+%23b&method=POST&method_exclude=GET&action=application.*&action_exclude=addon.create&ip=10.0.0.0%2F8&ip=2001%3Adb8%3A%3A1&ip_exclude=192.0.2.7&status_code=403&status_code=5xx&status_code_exclude=404&resource_name=yes&resource_name=123&resource_name=null&resource_name_exclude=~&cluster=prod-eu&cluster_exclude=other&client=cli&client_exclude=node&stage=ResponseComplete&stage_exclude=Panic&namespace=default&namespace_exclude=kube-system&source=control-plane-1&source_exclude=audit-operator&truncated=true&search=%22%3E%3Cscript%3E%E2%80%AE%1B+%2F&dry_run=false&from=2026-10-01T00%3A00%3A00.123456Z&to=2026-11-01T00%3A00%3A00.000001Z", crdconv.KindCluster, nil},
		{"terms of a namespace", "actor=multi%0Aline&resource_name=-+x&namespace=default&truncated=false&dry_run=true&range=90d", crdconv.KindNamespaced, nil},
		{"an open range", "namespace=default&from=2026-10-01T00%3A00%3A00.5Z", crdconv.KindNamespaced, nil},
		{"a preset", "range=last_30_days&client=cli", crdconv.KindCluster, nil},
		{"limited rights", "actor=alice", crdconv.KindNamespaced, []string{"default", "kube-public"}},
		{"limited rights that exclude", "actor=alice&namespace_exclude=kube-public", crdconv.KindNamespaced, []string{"default", "kube-public"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			values, err := url.ParseQuery(tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			want, err := query.ParseValues(values)
			if err != nil {
				t.Fatal(err)
			}
			manifests, err := crdconv.Manifests("saved-"+string(rune('a'+i)), want, tt.limited)
			if err != nil {
				t.Fatal(err)
			}
			if len(manifests) == 0 || len(tt.limited) == 0 && len(manifests) != 1 {
				t.Fatalf("there are %d manifests", len(manifests))
			}
			for _, m := range manifests {
				file := filepath.Join(t.TempDir(), "query.yaml")
				if err := os.WriteFile(file, []byte(m.YAML), 0o600); err != nil {
					t.Fatal(err)
				}
				kubectl(t, "apply", "-f", file)
				var q v1alpha1.Query = &v1alpha1.AuditLogQuery{}
				if m.Kind == crdconv.KindCluster {
					q = &v1alpha1.ClusterAuditLogQuery{}
				}
				if m.Kind != tt.kind {
					t.Errorf("it is a %s, want %s", m.Kind, tt.kind)
				}
				if err := c.Get(t.Context(), client.ObjectKey{Namespace: m.Namespace, Name: m.Name}, q.(client.Object)); err != nil {
					t.Fatal(err)
				}
				got, err := crdconv.Filter(q)
				if err != nil {
					t.Fatal(err)
				}
				expected := want
				if m.Kind == crdconv.KindNamespaced {
					expected.Namespaces, expected.Exclude.Namespaces = []string{m.Namespace}, nil
				}
				if diff := cmp.Diff(expected, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
					t.Errorf("filter (-given +applied):\n%s\n%s", diff, m.YAML)
				}
			}
		})
	}
}
