package crdconv

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
)

// The share URL must ask for what the resource asked for.
func TestRoundTripThroughTheURL(t *testing.T) {
	excluded, dryRun, truncated := everyTerm(), false, true
	shared := v1alpha1.QuerySpec{
		Terms: everyTerm(), Search: "  a b&c=d%+*# ", DryRun: &dryRun, Truncated: &truncated,
		TimeRange: &v1alpha1.TimeRange{From: moment("2026-10-01T02:00:00.1234567+02:00"), To: moment("2026-11-01T00:00:00Z")},
	}
	places := v1alpha1.PlaceTerms{Clusters: []string{"prod-eu"}, Namespaces: []string{"shop", "-"}, Sources: []string{"control-plane-1"}}
	within := func(r v1alpha1.TimeRange) v1alpha1.Query {
		return &v1alpha1.ClusterAuditLogQuery{Spec: v1alpha1.ClusterAuditLogQuerySpec{QuerySpec: v1alpha1.QuerySpec{TimeRange: &r}}}
	}
	namespaced := &v1alpha1.AuditLogQuery{Spec: v1alpha1.AuditLogQuerySpec{QuerySpec: shared, Exclude: &excluded}}
	namespaced.Namespace = "shop"
	for name, q := range map[string]v1alpha1.Query{
		"namespaced": namespaced,
		"cluster": &v1alpha1.ClusterAuditLogQuery{Spec: v1alpha1.ClusterAuditLogQuerySpec{
			QuerySpec: shared, PlaceTerms: places, Exclude: &v1alpha1.ClusterTerms{Terms: excluded, PlaceTerms: places},
		}},
		"empty":    &v1alpha1.ClusterAuditLogQuery{},
		"default":  within(v1alpha1.TimeRange{Preset: v1alpha1.Last7Days}),
		"preset":   within(v1alpha1.TimeRange{Preset: v1alpha1.Last30Days}),
		"duration": within(v1alpha1.TimeRange{Duration: "90d"}),
		"open":     within(v1alpha1.TimeRange{From: moment("2026-10-01T00:00:00Z")}),
	} {
		t.Run(name, func(t *testing.T) {
			want, err := Filter(q)
			if err != nil {
				t.Fatal(err)
			}
			values, err := url.ParseQuery(want.Encode())
			if err != nil {
				t.Fatal(err)
			}
			got, err := query.ParseValues(values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, equalPrefixes); diff != "" {
				t.Errorf("%s (-resource +URL):\n%s", want.Encode(), diff)
			}
		})
	}
}

func TestURLOfTheExamples(t *testing.T) {
	types := v1alpha1.QuerySpec{Terms: v1alpha1.Terms{ResourceTypes: []string{"application", "environment_group"}}}
	namespaced := &v1alpha1.AuditLogQuery{Spec: v1alpha1.AuditLogQuerySpec{QuerySpec: types}}
	namespaced.Namespace = "shop"
	for want, q := range map[string]v1alpha1.Query{
		"resource_type=application&resource_type=environment_group":                &v1alpha1.ClusterAuditLogQuery{Spec: v1alpha1.ClusterAuditLogQuerySpec{QuerySpec: types}},
		"resource_type=application&resource_type=environment_group&namespace=shop": namespaced,
	} {
		f, err := Filter(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Encode(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
