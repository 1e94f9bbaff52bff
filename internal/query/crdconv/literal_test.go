package crdconv

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/query"
)

// chosen is a filter of texts that a facet offers.
func chosen(texts ...string) query.Filter {
	var t query.Terms
	for _, field := range query.Fields {
		for _, text := range texts {
			if field.Text && field.Spec != "" {
				_ = field.Add(&t, query.Literal(field.Name, text)) // fails for addresses alone
			}
		}
	}
	return query.Filter{Terms: t, Exclude: t}
}

// What can be chosen can be saved: the resource asks for the same.
func TestOddTextsInResources(t *testing.T) {
	for _, text := range audittest.OddTexts() {
		f := chosen(text)
		manifests, err := Manifests("odd", f, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var q v1alpha1.ClusterAuditLogQuery
		if err := yaml.UnmarshalStrict([]byte(manifests[0].YAML), &q); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		got, err := FilterFromCluster(&q.Spec)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if diff := cmp.Diff(f, got, equalPrefixes); diff != "" {
			t.Errorf("%q (-filter +resource):\n%s", text, diff)
		}
	}
}

// A namespace that = was written before is that namespace: its query stays in it.
func TestLiteralNamespaceIsNamespaced(t *testing.T) {
	for namespace, want := range map[string]string{"=shop": KindNamespaced, "=-": KindCluster, "-": KindCluster, "=Shop": KindCluster} {
		f := query.Filter{Terms: query.Terms{Namespaces: query.Canonical("namespace", []string{namespace})}}
		got, err := Manifests("q", f, nil)
		if err != nil || len(got) != 1 || got[0].Kind != want {
			t.Errorf("%q gives %+v, %v; want a %s", namespace, got, err, want)
		}
	}
}
