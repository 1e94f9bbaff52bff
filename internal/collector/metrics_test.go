package collector_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// broken is a delivery that breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

func TestMetrics(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	registry := prometheus.NewPedanticRegistry()
	c := collector.New(collector.Options{Writer: events, Classifier: classifier(t), Metrics: collector.NewMetrics(registry)})
	const item = `{"level":"Metadata","auditID":"a","stage":"ResponseComplete","requestURI":"/version","verb":"get","requestReceivedTimestamp":"2026-11-23T11:00:00Z","stageTimestamp":"2026-11-23T11:00:00Z"}`
	delivery := `{"items":[` + strings.ReplaceAll(item, "2026-11-23", "2099-01-01") + "," + item + "," + item + `,{"stage":"x"}]}`
	source := collector.Source{Name: "s", Cluster: "c"}
	if _, err := c.Ingest(t.Context(), source, strings.NewReader(strings.ReplaceAll(delivery, "2026-11-23T11", now(t)))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ingest(t.Context(), source, broken{}); err == nil {
		t.Fatal("a delivery that broke off was taken")
	}
	const other = `{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE: Checking health of destination"}]}`
	if o, err := c.Ingest(t.Context(), source, strings.NewReader(other)); err != nil || o.Skipped != 1 || o.Quarantined != 0 {
		t.Errorf("what is of another log: %+v, %v", o, err)
	}
	want := `
# HELP audit_delivery_bytes_in_flight Memory that deliveries hold now, in bytes; at --max-bytes-in-flight sources are put off.
# TYPE audit_delivery_bytes_in_flight gauge
audit_delivery_bytes_in_flight 0
# HELP audit_events_total Items that were taken, by source and what became of them: stored, duplicate, quarantined.
# TYPE audit_events_total counter
audit_events_total{outcome="duplicate",source="s"} 1
audit_events_total{outcome="quarantined",source="s"} 2
audit_events_total{outcome="stored",source="s"} 1
# HELP audit_items_skipped_total Items that their carriers say to be no Kubernetes audit events, by source and reason; they are neither stored nor quarantined.
# TYPE audit_items_skipped_total counter
audit_items_skipped_total{reason="control_message",source="s"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "audit_events_total", "audit_delivery_bytes_in_flight", "audit_items_skipped_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "audit_delivery_duration_seconds"); err != nil || n != 2 {
		t.Errorf("%d outcomes of deliveries, %v", n, err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// now is the present hour, as the beginning of a time.
func now(t *testing.T) string {
	t.Helper()
	return time.Now().UTC().Add(-time.Hour).Format("2006-01-02T15")
}
