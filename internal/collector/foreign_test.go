package collector_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// TestForeign has who runs an aggregated API server write that alice deleted a
// secret: it is stored and marked, and no reader of the namespace finds it.
func TestForeign(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	c := collector.New(collector.Options{Writer: events, Classifier: classifier(t)})
	at := time.Now().UTC().Format(time.RFC3339)
	item := func(uri, group, resource string) string {
		return `{"level":"Metadata","auditID":"a","stage":"ResponseComplete","requestURI":"` + uri + `","verb":"delete","user":{"username":"alice"},
			"objectRef":{"apiGroup":"` + group + `","resource":"` + resource + `","namespace":"shop","name":"crown"},
			"requestReceivedTimestamp":"` + at + `","stageTimestamp":"` + at + `"}`
	}
	delivery := `{"items":[` + item("/api/v1/namespaces/shop/secrets/crown", "", "secrets") + `,` +
		item("/apis/wardle.example.com/v1/namespaces/shop/flunders/crown", "wardle.example.com", "flunders") + `]}`
	source := collector.Source{Name: "aggregated", Cluster: "c", APIGroups: []string{"wardle.example.com"}}
	if got, err := c.Ingest(t.Context(), source, strings.NewReader(delivery)); err != nil || got.Stored != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	request := store.ViewRequest{Window: query.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}, Limit: 10}
	all, err := events.View(t.Context(), query.ClusterWide(), request)
	if err != nil || len(all.Events) != 2 {
		t.Fatalf("%d events, %v", len(all.Events), err)
	}
	for _, e := range all.Events {
		forged := e.Resource == "secrets"
		if e.Foreign != forged || e.Namespace != "shop" {
			t.Errorf("%s in %q is foreign: %t", e.Resource, e.Namespace, e.Foreign)
		}
		var of audit.Event
		of, err = events.Event(t.Context(), query.InNamespaces("c", "shop"), e.ID)
		if forged && !errors.Is(err, store.ErrNotFound) || !forged && (err != nil || of.Foreign) {
			t.Errorf("a reader of shop gets %s: %v", e.Resource, err)
		}
	}
	if mine, err := events.View(t.Context(), query.InNamespaces("c", "shop"), request); err != nil || len(mine.Events) != 1 || mine.Events[0].Resource != "flunders" {
		t.Errorf("a reader of shop sees %d events, %v", len(mine.Events), err)
	}
}
