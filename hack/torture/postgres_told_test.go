package torture

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// observer looks at what a manager tells of itself.
type observer struct {
	api     client.Client
	client  *http.Client
	metrics string
	token   string
	query   client.ObjectKey
}

func newObserver(t *testing.T, w *world, metrics string) *observer {
	t.Helper()
	api, err := w.cluster.Client()
	if err != nil {
		t.Fatal(err)
	}
	o := &observer{
		api: api, metrics: "https://" + metrics + "/metrics", token: w.tokenOf(t, "scraper", "auditlog-metrics-reader"),
		// Its certificate is made as it starts.
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
		query:  client.ObjectKey{Namespace: "default", Name: "through-an-outage"},
	}
	query := &v1alpha1.AuditLogQuery{ObjectMeta: metav1.ObjectMeta{Namespace: o.query.Namespace, Name: o.query.Name}}
	if err := api.Create(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.client.CloseIdleConnections() })
	return o
}

// ask has the query be answered anew.
func (o *observer) ask(t *testing.T) {
	t.Helper()
	var q v1alpha1.AuditLogQuery
	if err := o.api.Get(t.Context(), o.query, &q); err != nil {
		t.Fatal(err)
	}
	changed := q.DeepCopy()
	metav1.SetMetaDataAnnotation(&changed.ObjectMeta, v1alpha1.ReconcileRequestAnnotation, time.Now().Format(time.RFC3339Nano))
	if err := o.api.Patch(t.Context(), changed, client.MergeFrom(&q)); err != nil {
		t.Fatal(err)
	}
}

// told is what metrics and conditions say.
func (o *observer) told(t *testing.T) string {
	t.Helper()
	var q v1alpha1.AuditLogQuery
	var s v1alpha1.AuditSource
	if err := o.api.Get(t.Context(), o.query, &q); err != nil {
		return err.Error()
	}
	if err := o.api.Get(t.Context(), client.ObjectKey{Name: "honest"}, &s); err != nil {
		return err.Error()
	}
	said := func(conditions []metav1.Condition, kind string) string {
		c := meta.FindStatusCondition(conditions, kind)
		if c == nil {
			return "nothing"
		}
		return fmt.Sprintf("%s/%s", c.Status, c.Reason)
	}
	return fmt.Sprintf("%s; query Ready %s; source Receiving %s", o.gauge(t, "audit_store_up"),
		said(q.Status.Conditions, v1alpha1.ReadyCondition), said(s.Status.Conditions, v1alpha1.ReceivingCondition))
}

// gauge returns a metric with its value.
func (o *observer) gauge(t *testing.T, name string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.metrics, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+o.token)
	response, err := o.client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, name+" ") {
			return strings.TrimSpace(line)
		}
	}
	return "no " + name
}

// await waits until it is told.
func (o *observer) await(t *testing.T, want string) {
	t.Helper()
	if err := poll(t.Context(), backWithin, func() error {
		if got := o.told(t); got != want {
			return fmt.Errorf("told is %q, want %q", got, want)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestPostgresAway has the server stay away for longer than anything waits for
// it. Whoever looks is told: by metrics, by the conditions of queries and of
// sources, and by the log.
func TestPostgresAway(t *testing.T) {
	server, d := startPostgres(t, postgrestest.Options{})
	metrics, err := freeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x := newTrial(t, scenario(t, "PostgreSQL: away for long"), 203, d, "--metrics-bind-address="+metrics)
	told := newObserver(t, x.manager.world, metrics)
	const well = "audit_store_up 1; query Ready True/SnapshotTaken; source Receiving True/EventsArriving"
	told.await(t, well)
	x.through(t, outage{
		name: "away", lasts: time.Second, // and until a source is looked at again
		begin: func() { server.Stop(t, "fast"); told.ask(t) },
		meanwhile: func() {
			told.await(t, "audit_store_up 0; query Ready False/StoreUnavailable; source Receiving False/DeliveriesPutOff")
		},
		end:        func() { server.Restart(t) },
		afterwards: func() { told.await(t, well) },
	})
	x.conclude(t)
}
