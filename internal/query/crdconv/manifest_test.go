package crdconv

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/query"
)

// What a resource can't hold is refused, never left out.
func TestManifestsRefuse(t *testing.T) {
	for _, tt := range []struct {
		name, filter string
		limited      []string
		want         string
	}{
		{"Upper", "", nil, "name: \"Upper\" is no name of an object"},
		{"a b\n", "", nil, "is no name of an object"},
		{"", "", nil, "name: is no name"},
		{"x", "namespace=Shop", []string{"Shop"}, "namespace: \"Shop\" is no name of a namespace"},
		{"x", "namespace==-", []string{"-"}, "namespace: \"=-\" is no name of a namespace"},
		{"x", "namespace=" + strings.Repeat("a", 64), []string{"a"}, "is no name of a namespace"},
		{"x", "namespace_exclude=shop", []string{"shop"}, "leaves none of the namespaces"},
		{"x", "cluster=own", []string{"shop"}, "cluster: \"own\" can't be a part of an AuditLogQuery"},
		{"x", "path=/api/*", nil, "path: \"/api/*\" can't be a part of a query that is kept"},
		{"x", "path_exclude=/api", nil, "path_exclude: \"/api\" can't be a part"},
		{"x", "actor_kind=node", []string{"shop"}, "actor_kind: \"node\" can't be a part"},
		{"x", "actor_kind_exclude=node", nil, "actor_kind_exclude: \"node\" can't be a part"},
		{"x", "source_exclude=a&namespace=shop", []string{"bills", "shop"}, "source_exclude: \"a\" can't be"},
		{"x", "cluster=a&cluster=b&namespace=shop", []string{"bills", "shop"}, "cluster: \"a, b\" can't be"},
		{"x", "cluster_exclude=own", []string{"shop"}, "cluster_exclude: \"own\" can't be a part"},
	} {
		values, err := url.ParseQuery(tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		f, err := query.ParseValues(values)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Manifests(tt.name, f, tt.limited); err == nil || !strings.Contains(err.Error(), tt.want) || got != nil {
			t.Errorf("%q %q: %v, %v; want %q", tt.name, tt.filter, got, err, tt.want)
		}
	}
}

func TestManifest(t *testing.T) {
	values := url.Values{"resource_type": {"application"}, "method_exclude": {"GET"}, "namespace": {"shop"}, "range": {"last_hour"}}
	f, err := query.ParseValues(values)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Manifests("changes", f, nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = `apiVersion: audit.porter.run/v1alpha1
kind: AuditLogQuery
metadata:
  name: changes
  namespace: shop
spec:
  exclude:
    methods:
    - GET
  resourceTypes:
  - application
  timeRange:
    preset: LastHour
`
	if diff := cmp.Diff([]Manifest{{Kind: KindNamespaced, Name: "changes", Namespace: "shop", YAML: want}}, got); diff != "" {
		t.Error(diff)
	}
}
