package process

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// otlpReceiver is what traces are sent to: it takes OTLP over HTTP.
type otlpReceiver struct {
	*httptest.Server
	mu       sync.Mutex
	service  string
	spans    []*tracepb.Span
	requests int
	problem  error
}

func startReceiver(t *testing.T) *otlpReceiver {
	t.Helper()
	r := &otlpReceiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		export := &coltracepb.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(body, export)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests++
		if err != nil || req.URL.Path != "/v1/traces" {
			r.problem = fmt.Errorf("a body of %d bytes at %s: %w", len(body), req.URL.Path, err)
		}
		for _, resource := range export.ResourceSpans {
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					r.service = a.Value.GetStringValue()
				}
			}
			for _, scope := range resource.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// named returns the spans of a name.
func (r *otlpReceiver) named(name string) []*tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.spans), func(s *tracepb.Span) bool { return s.Name != name })
}

// child returns the span of a name within another.
func (r *otlpReceiver) child(name string, parent *tracepb.Span) *tracepb.Span {
	for _, s := range r.named(name) {
		if parent != nil && string(s.TraceId) == string(parent.TraceId) && string(s.ParentSpanId) == string(parent.SpanId) {
			return s
		}
	}
	return nil
}

// A traced manager sends a span for each step on the way of a delivery, a page
// and a query, within the caller's, and nothing of what they hold.
func TestTracing(t *testing.T) {
	api := startAPIServer(t)
	receiver := startReceiver(t)
	m := api.startManager(t, "--tracing-endpoint="+receiver.URL, "--tracing-sample-ratio=1")
	person := api.serviceAccount(t, "traced")
	api.grant(t, "traced", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"audit.porter.run"}, Resources: []string{"auditlogqueries/events"}})
	source := api.connect(t, m, "traced")
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, tt := range []struct{ method, url, token, body string }{
		{http.MethodPost, m.deliveries("traced"), source, delivery("a", "b")},
		{http.MethodGet, "http://" + m.pages + "/security/audit-logs?actor=alice%40example.com", person, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Traceparent", "00-"+trace+"-"+parent+"-01")
		r.Header.Set("Authorization", "Bearer "+tt.token)
		if status, _, err := send(r); status != http.StatusOK {
			t.Fatalf("%s: status %d, %v", tt.url, status, err)
		}
	}
	question := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: "traced-query"}}
	api.create(t, question)
	m.until(t, func() bool {
		key := client.ObjectKeyFromObject(question)
		return api.client.Get(t.Context(), key, question) == nil && question.Status.Snapshot != nil
	}, func() string { return "the query got no snapshot" })
	if err := m.stop(); err != nil { // sends what waits
		t.Fatal(err)
	}

	if receiver.problem != nil || receiver.service != "audit-operator" {
		t.Errorf("received from %q: %v", receiver.service, receiver.problem)
	}
	within := &tracepb.Span{TraceId: unhex(t, trace), SpanId: unhex(t, parent)}
	for _, way := range [][]string{
		{"delivery", "store.append", "store.commit"},
		{"GET /security/audit-logs", "store.view"},
	} {
		at := within
		for _, name := range way {
			if at = receiver.child(name, at); at == nil {
				t.Errorf("no span %s of the way %v", name, way)
				break
			}
		}
	}
	found := false
	for _, reconcile := range receiver.named("reconcile ClusterAuditLogQuery") {
		take := receiver.child("snapshot.take", reconcile)
		found = found || take != nil && receiver.child("store.capture", take) != nil
	}
	if !found {
		t.Error("no reconciliation has the spans snapshot.take and store.capture")
	}
	if len(receiver.named("reconcile AuditSource")) == 0 {
		t.Error("no span of an AuditSource's reconciliation")
	}
	for _, span := range receiver.spans {
		text := span.String()
		for _, secret := range []string{source, person, "Bearer", "alice", "shop", "settings", m.dataDir} {
			if strings.Contains(text, secret) {
				t.Errorf("the span %s holds %q: %s", span.Name, secret, text)
			}
		}
	}
}

// Without the flag nothing is sent, whatever the environment says.
func TestNoTracingByDefault(t *testing.T) {
	receiver := startReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	t.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	api := startAPIServer(t)
	m := api.startManager(t)
	source := api.connect(t, m, "untraced")
	if status, _, err := request(t, http.MethodPost, m.deliveries("untraced"), source, strings.NewReader(delivery("a"))); status != http.StatusOK {
		t.Fatalf("status %d, %v", status, err)
	}
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	if receiver.requests != 0 {
		t.Errorf("%d requests came", receiver.requests)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
