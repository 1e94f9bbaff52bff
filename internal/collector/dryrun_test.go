package collector_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// A real API server says which requests are dry runs by what is left afterwards.
// What is said of the events must agree, whatever the query pretends.
func TestDryRunsOfARealAPIServer(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	_, config := startAPIServer(t, events, policy)
	admin := newClient(t, config)
	const namespace, all = "/api/v1/namespaces/default", "dryRun=All"
	asJSON := http.Header{"Content-Type": {"application/json"}}
	exists := func(name string) bool {
		return admin.do(t, http.MethodGet, namespace+"/configmaps/"+name, nil, "") == http.StatusOK
	}
	for name, tt := range map[string]struct {
		query, body string
		collection  bool
		want        audit.DryRun
	}{
		"by-options":               {body: `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`, want: audit.DryRunTrue},
		"by-query":                 {query: all, want: audit.DryRunTrue},
		"real":                     {body: `{"kind":"DeleteOptions","apiVersion":"v1"}`},
		"real-without-options":     {},
		"pretended":                {query: all, body: `{"kind":"DeleteOptions","apiVersion":"v1"}`},
		"collection-by-options":    {body: `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`, collection: true, want: audit.DryRunTrue},
		"collection-pretended":     {query: all, body: `{"kind":"DeleteOptions","apiVersion":"v1"}`, collection: true},
		"options-of-another-group": {body: `{"kind":"DeleteOptions","apiVersion":"apps/v1","dryRun":["All"]}`, want: audit.DryRunTrue},
	} {
		object := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"` + name + `","labels":{"only":"` + name + `"}}}`
		if code := admin.do(t, http.MethodPost, namespace+"/configmaps", asJSON, object); code != http.StatusCreated {
			t.Fatalf("%s: create: %d", name, code)
		}
		uri := namespace + "/configmaps/" + name + "?" + tt.query
		if tt.collection {
			uri = namespace + "/configmaps?labelSelector=only%3D" + name + "&" + tt.query
		}
		began := time.Now()
		header := asJSON.Clone()
		header.Set("User-Agent", "dry-run/"+name)
		if code := admin.do(t, http.MethodDelete, uri, header, tt.body); code != http.StatusOK {
			t.Errorf("%s: delete: %d", name, code)
		}
		if left := exists(name); left != (tt.want == audit.DryRunTrue) {
			t.Errorf("%s: it is there afterwards: %t", name, left)
		}
		e := await(t, events, began, 1, func(e *audit.Event) bool { return e.UserAgent == "dry-run/"+name })[0]
		if e.DryRun != tt.want {
			t.Errorf("%s: dry run is %s, want %s: %s", name, e.DryRun, tt.want, e.Path)
		}
	}
}
