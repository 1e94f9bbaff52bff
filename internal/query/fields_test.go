package query

import (
	"os"
	"strings"
	"testing"
)

// The documents name each field: that of the resources where there is one, and
// the parameter of the URL.
func TestDocumentedFields(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../../docs/spec/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	namespaced, cluster, api := read("auditlogqueries.md"), read("clusterauditlogqueries.md"), read("api.md")
	var parameters []string
	for _, f := range Fields {
		parameters = append(parameters, "`"+f.Name+"`")
		table := namespaced
		if f.Place {
			table = cluster
		}
		if f.Spec != "" && !strings.Contains(table, "\n| `"+f.Spec+"` | ") {
			t.Errorf("no table has %s", f.Spec)
		}
		if f.Label == "" {
			t.Errorf("%s has no name for people", f.Name)
		}
	}
	if list := strings.Join(parameters, ", ") + ", each also with `_exclude`"; !strings.Contains(api, list) {
		t.Errorf("api.md lacks the list %s", list)
	}
}
