package crdconv

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
)

var equalPrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func moment(s string) *metav1.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return &metav1.Time{Time: t}
}

func everyTerm() v1alpha1.Terms {
	return v1alpha1.Terms{
		ResourceTypes: []string{"application", "environment_group"},
		Actors:        []string{"alice@example.com", "system:serviceaccount:ci:*"},
		Methods:       []string{"POST", "DELETE"},
		Actions:       []string{"application.*"},
		IPAddresses:   []string{"10.1.2.3/8", "2001:db8::1"},
		StatusCodes:   []string{"403", "5xx"},
		ResourceNames: []string{"checkout"},
		Clients:       []string{"cli"},
		Stages:        []string{"ResponseComplete"},
		Resources:     []string{"pods/exec", "deployments.apps", "*/scale"},
		Groups:        []string{"system:masters", "=dev*"},
		AuditIDs:      []string{"0f0e0d0c-0b0a-4908-8706-050403020100"},
		UserAgents:    []string{"kubectl/", "=helm"},
	}
}

func everyFilterTerm() query.Terms {
	return query.Terms{
		ResourceTypes: []string{"application", "environment_group"},
		Actors:        []string{"alice@example.com", "system:serviceaccount:ci:*"},
		Methods:       []string{"POST", "DELETE"},
		Actions:       []string{"application.*"},
		IPs:           []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")},
		StatusCodes:   []string{"403", "5xx"},
		ResourceNames: []string{"checkout"},
		Clients:       []string{"cli"},
		Stages:        []string{"ResponseComplete"},
		Resources:     []string{"pods/exec", "deployments.apps", "*/scale"},
		Groups:        []string{"system:masters", "=dev*"},
		AuditIDs:      []string{"0f0e0d0c-0b0a-4908-8706-050403020100"},
		UserAgents:    []string{"kubectl/", "=helm"},
	}
}

func TestFilterFromNamespaced(t *testing.T) {
	excluded, dryRun, truncated := everyTerm(), false, true
	spec := v1alpha1.AuditLogQuerySpec{
		QuerySpec: v1alpha1.QuerySpec{
			Terms: everyTerm(), Search: "billing", DryRun: &dryRun, Truncated: &truncated,
			TimeRange: &v1alpha1.TimeRange{From: moment("2026-10-01T02:00:00.123456789+02:00"), To: moment("2026-11-01T00:00:00Z")},
		},
		Exclude: &excluded,
	}
	got, err := FilterFromNamespaced(&spec, "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := query.Filter{
		Terms: everyFilterTerm(), Exclude: everyFilterTerm(), Search: "billing", DryRun: &dryRun, Truncated: &truncated,
		Range: query.TimeRange{
			From: time.Date(2026, 10, 1, 0, 0, 0, 123456000, time.UTC),
			To:   time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		},
	}
	want.Namespaces = []string{"shop"}
	if diff := cmp.Diff(want, got, equalPrefixes); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
}

func TestFilterFromCluster(t *testing.T) {
	spec := v1alpha1.ClusterAuditLogQuerySpec{
		QuerySpec:  v1alpha1.QuerySpec{Terms: everyTerm()},
		PlaceTerms: v1alpha1.PlaceTerms{Clusters: []string{"prod-eu"}, Namespaces: []string{"shop", "-"}, Sources: []string{"control-plane-1", "control-plane-1"}},
		Exclude: &v1alpha1.ClusterTerms{
			Terms:      everyTerm(),
			PlaceTerms: v1alpha1.PlaceTerms{Clusters: []string{"test"}, Namespaces: []string{"kube-system"}, Sources: []string{"audit-operator"}},
		},
	}
	got, err := FilterFromCluster(&spec)
	if err != nil {
		t.Fatal(err)
	}
	want := query.Filter{Terms: everyFilterTerm(), Exclude: everyFilterTerm()}
	want.Clusters, want.Namespaces = []string{"prod-eu"}, []string{"shop", "-"}
	want.Exclude.Clusters, want.Exclude.Namespaces = []string{"test"}, []string{"kube-system"}
	want.Sources, want.Exclude.Sources = []string{"control-plane-1"}, []string{"audit-operator"}
	if diff := cmp.Diff(want, got, equalPrefixes); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
}

func TestTimeRanges(t *testing.T) {
	tests := []struct {
		name string
		in   *v1alpha1.TimeRange
		want query.TimeRange
	}{
		{"absent", nil, query.TimeRange{}},
		{"the default by name", &v1alpha1.TimeRange{Preset: v1alpha1.Last7Days}, query.TimeRange{}},
		{"hour", &v1alpha1.TimeRange{Preset: v1alpha1.LastHour}, query.TimeRange{Preset: query.LastHour}},
		{"day", &v1alpha1.TimeRange{Preset: v1alpha1.Last24Hours}, query.TimeRange{Preset: query.Last24Hours}},
		{"30 days", &v1alpha1.TimeRange{Preset: v1alpha1.Last30Days}, query.TimeRange{Preset: query.Last30Days}},
		{"duration", &v1alpha1.TimeRange{Duration: "90d"}, query.TimeRange{Duration: "90d"}},
		{"open", &v1alpha1.TimeRange{From: moment("2026-10-01T00:00:00Z")}, query.TimeRange{From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := FilterFromCluster(&v1alpha1.ClusterAuditLogQuerySpec{QuerySpec: v1alpha1.QuerySpec{TimeRange: tt.in}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Range); diff != "" {
				t.Errorf("range (-want +got):\n%s", diff)
			}
		})
	}
}

// What admission refuses elsewhere must not become a wider filter here.
func TestWrongSpecsNameTheField(t *testing.T) {
	in := func(terms v1alpha1.Terms) v1alpha1.ClusterAuditLogQuerySpec {
		return v1alpha1.ClusterAuditLogQuerySpec{QuerySpec: v1alpha1.QuerySpec{Terms: terms}}
	}
	within := func(r v1alpha1.TimeRange) v1alpha1.ClusterAuditLogQuerySpec {
		return v1alpha1.ClusterAuditLogQuerySpec{QuerySpec: v1alpha1.QuerySpec{TimeRange: &r}}
	}
	without := func(terms v1alpha1.Terms) v1alpha1.ClusterAuditLogQuerySpec {
		return v1alpha1.ClusterAuditLogQuerySpec{Exclude: &v1alpha1.ClusterTerms{Terms: terms}}
	}
	tests := []struct {
		name  string
		spec  v1alpha1.ClusterAuditLogQuerySpec
		field string
	}{
		{"address", in(v1alpha1.Terms{IPAddresses: []string{"10.0.0.1", "10.0.0.300"}}), "spec.ipAddresses[1]"},
		{"zone", in(v1alpha1.Terms{IPAddresses: []string{"fe80::1%eth0"}}), "spec.ipAddresses[0]"},
		{"excluded address", without(v1alpha1.Terms{IPAddresses: []string{""}}), "spec.exclude.ipAddresses[0]"},
		{"method", in(v1alpha1.Terms{Methods: []string{"FETCH"}}), "spec.methods"},
		{"code", in(v1alpha1.Terms{StatusCodes: []string{"6xx"}}), "spec.statusCodes"},
		{"excluded actor", without(v1alpha1.Terms{Actors: []string{"a*b"}}), "spec.exclude.actors"},
		{"resource without its group", in(v1alpha1.Terms{Resources: []string{"deployments"}}), "spec.resources"},
		{"part of a group", without(v1alpha1.Terms{Groups: []string{"dev*"}}), "spec.exclude.groups"},
		{"part of an audit ID", without(v1alpha1.Terms{AuditIDs: []string{"a*"}}), "spec.exclude.auditIDs"},
		{"user agent", in(v1alpha1.Terms{UserAgents: []string{"a*b"}}), "spec.userAgents"},
		{"client", in(v1alpha1.Terms{Clients: []string{"browser"}}), "spec.clients"},
		{"stage", without(v1alpha1.Terms{Stages: []string{"Done"}}), "spec.exclude.stages"},
		{"preset", within(v1alpha1.TimeRange{Preset: "Yesterday"}), "spec.timeRange.preset"},
		{"duration", within(v1alpha1.TimeRange{Duration: "1h30m"}), "spec.timeRange"},
		{"nothing", within(v1alpha1.TimeRange{}), "spec.timeRange"},
		{"several", within(v1alpha1.TimeRange{Preset: v1alpha1.LastHour, Duration: "1h"}), "spec.timeRange"},
		{"default and duration", within(v1alpha1.TimeRange{Preset: v1alpha1.Last7Days, Duration: "1h"}), "spec.timeRange"},
		{"zero from", within(v1alpha1.TimeRange{From: &metav1.Time{}}), "spec.timeRange.from"},
		{"five digits", within(v1alpha1.TimeRange{From: moment("9999-12-31T23:59:59-01:00")}), "spec.timeRange.from"},
		{"zero to", within(v1alpha1.TimeRange{From: moment("2026-01-01T00:00:00Z"), To: &metav1.Time{}}), "spec.timeRange.to"},
		{"to alone", within(v1alpha1.TimeRange{To: moment("2026-01-01T00:00:00Z")}), "spec.timeRange.from"},
		{"backwards", within(v1alpha1.TimeRange{From: moment("2026-02-01T00:00:00Z"), To: moment("2026-01-01T00:00:00Z")}), "spec.timeRange.from"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := FilterFromCluster(&tt.spec)
			var wrong *query.FieldError
			if !errors.As(err, &wrong) {
				t.Fatalf("got %v, want a query.FieldError", err)
			}
			if wrong.Field != tt.field || wrong.Problem == "" {
				t.Errorf("error %q names %q, want %q", wrong, wrong.Field, tt.field)
			}
		})
	}
}

func TestEveryWrongFieldIsNamed(t *testing.T) {
	_, err := FilterFromNamespaced(&v1alpha1.AuditLogQuerySpec{
		QuerySpec: v1alpha1.QuerySpec{Terms: v1alpha1.Terms{Methods: []string{"FETCH"}, StatusCodes: []string{"6xx"}}},
		Exclude:   &v1alpha1.Terms{Clients: []string{"browser"}},
	}, "shop")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"spec.methods: ", "spec.statusCodes: ", "spec.exclude.clients: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestNamespacedNeedsItsNamespace(t *testing.T) {
	for _, namespace := range []string{"", "-"} {
		if f, err := FilterFromNamespaced(&v1alpha1.AuditLogQuerySpec{}, namespace); err == nil {
			t.Errorf("namespace %q gave the filter %+v", namespace, f)
		}
	}
}

func TestFilterOfEitherKind(t *testing.T) {
	q := &v1alpha1.AuditLogQuery{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}}
	f, err := Filter(q)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shop"}, f.Namespaces); diff != "" {
		t.Errorf("namespaces of a namespaced query (-want +got):\n%s", diff)
	}
	f, err = Filter(&v1alpha1.ClusterAuditLogQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(query.Filter{}, f, equalPrefixes); diff != "" {
		t.Errorf("filter of an empty cluster-wide query (-want +got):\n%s", diff)
	}
}

// Objects come from a cache that others read.
func TestFilterSharesNothingWithTheObject(t *testing.T) {
	dryRun, excluded := true, everyTerm()
	spec := v1alpha1.AuditLogQuerySpec{
		QuerySpec: v1alpha1.QuerySpec{Terms: everyTerm(), DryRun: &dryRun}, Exclude: &excluded,
	}
	before := spec.DeepCopy()
	f, err := FilterFromNamespaced(&spec, "shop")
	if err != nil {
		t.Fatal(err)
	}
	*f.DryRun = false
	for _, terms := range []query.Terms{f.Terms, f.Exclude} {
		for _, list := range [][]string{
			terms.ResourceTypes, terms.Actors, terms.Methods, terms.Actions, terms.StatusCodes,
			terms.ResourceNames, terms.Clients, terms.Stages, terms.Resources, terms.Groups, terms.AuditIDs, terms.UserAgents,
		} {
			list[0] = "changed"
		}
	}
	if diff := cmp.Diff(before, &spec); diff != "" {
		t.Errorf("the spec changed with the filter:\n%s", diff)
	}
}

func TestRepetitionsCollapse(t *testing.T) {
	f, err := FilterFromCluster(&v1alpha1.ClusterAuditLogQuerySpec{QuerySpec: v1alpha1.QuerySpec{Terms: v1alpha1.Terms{
		Actors:      []string{"b", "a", "b"},
		IPAddresses: []string{"10.1.2.3/8", "10.0.0.0/8", "::ffff:192.0.2.7", "192.0.2.7"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	want := query.Terms{
		Actors: []string{"b", "a"},
		IPs:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")},
	}
	if diff := cmp.Diff(want, f.Terms, equalPrefixes, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("terms (-want +got):\n%s", diff)
	}
}

func TestTypeValue(t *testing.T) {
	for name, value := range map[string]string{"application": "application", "my-type": "my_type", "a-b-c": "a_b_c"} {
		if got := TypeValue(name); got != value {
			t.Errorf("TypeValue(%q) = %q, want %q", name, got, value)
		}
	}
}
