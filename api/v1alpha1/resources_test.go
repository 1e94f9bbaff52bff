package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/query"
)

// Queries name resources as kubectl prints them, and those of the apiserver and
// ours that are in one group alone, and not in the core one, need it.
func TestNamesOfResources(t *testing.T) {
	apiserver(t)
	groups := map[string][]string{}
	for name := range strings.FieldsSeq(kubectl(t, "api-resources", "-o", "name")) {
		resource, group, _ := strings.Cut(name, ".")
		groups[resource] = append(groups[resource], group)
		f := query.Filter{Terms: query.Terms{Resources: []string{name}}}
		if err := f.Validate(); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
	if len(groups) < 50 {
		t.Fatalf("the apiserver serves %d resources", len(groups))
	}
	for resource, of := range groups {
		want := resource
		if len(of) == 1 && of[0] != "" {
			want += "." + of[0]
		}
		if got := query.FullResource(resource); got != want {
			t.Errorf("%s is completed as %s, want %s", resource, got, want)
		}
	}
}
