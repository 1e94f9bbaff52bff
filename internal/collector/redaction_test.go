package collector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/redact"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// What a source says of redaction is what is done to its events.
func TestRedaction(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	c := collector.New(collector.Options{Writer: events, Classifier: classifier(t)})
	at := time.Now().UTC().Format(time.RFC3339)
	delivery := `{"items":[{"level":"Request","auditID":"a","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/configmaps/a?command=cat&command=shadow","verb":"update","user":{"username":"alice"},
		"objectRef":{"resource":"configmaps","namespace":"shop","name":"a"},"requestObject":{"kind":"ConfigMap","data":{"colour":"blue"}},"requestReceivedTimestamp":"` + at + `"}]}`
	for name, tc := range map[string]struct {
		policy       redact.Policy
		blue, shadow bool
	}{
		"default": {redact.Policy{}, false, true},
		"changed": {redact.Policy{KeepConfigMapValues: true, DropExecArguments: true}, true, false},
	} {
		source := collector.Source{Name: name, Cluster: "c", Redaction: tc.policy}
		if got, err := c.Ingest(t.Context(), source, strings.NewReader(delivery)); err != nil || got.Stored != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		found, err := events.View(t.Context(), query.ClusterWide(), store.ViewRequest{
			Filter: query.Filter{Terms: query.Terms{Sources: []string{name}}}, Window: query.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}, Limit: 2,
		})
		if err != nil || len(found.Events) != 1 {
			t.Fatalf("%d events, %v", len(found.Events), err)
		}
		e, err := events.Event(t.Context(), query.ClusterWide(), found.Events[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if blue, shadow := strings.Contains(string(e.Raw), "blue"), strings.Contains(e.Path, "shadow"); blue != tc.blue || shadow != tc.shadow {
			t.Errorf("%s: values are kept: %t, arguments: %t, in %s", name, blue, shadow, e.Raw)
		}
	}
}
