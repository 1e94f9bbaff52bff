package process

import (
	"net/http"
	"os"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// A running manager has no open door: what nobody vouches for gets nothing.
func TestDoors(t *testing.T) {
	api := startAPIServer(t)
	reader := api.serviceAccount(t, "reader")
	api.grant(t, "reader", shippedRule(t, "config/rbac/metrics_reader_role.yaml"))
	profiler := api.serviceAccount(t, "profiler")
	api.grant(t, "profiler", shippedRule(t, "config/rbac/profiler_role.yaml"))
	stranger := api.serviceAccount(t, "stranger")
	m := api.startManager(t)
	ingest, pages, metrics := "https://"+m.ingest, "http://"+m.pages, "https://"+m.metrics
	m.await(t, metrics+"/metrics", reader, http.StatusOK)
	m.await(t, metrics+"/debug/pprof/", profiler, http.StatusOK)

	for _, tt := range []struct {
		name, method, url, token string
		want                     int
	}{
		{"ingest", http.MethodPost, ingest + "/audit/v1/sources/any", "", http.StatusUnauthorized},
		{"ingest, a user's token", http.MethodPost, ingest + "/audit/v1/sources/any", reader, http.StatusUnauthorized},
		{"ingest, another path", http.MethodGet, ingest + "/metrics", reader, http.StatusNotFound},
		{"list", http.MethodGet, pages + "/security/audit-logs", "", http.StatusUnauthorized},
		{"list, without rights", http.MethodGet, pages + "/security/audit-logs", stranger, http.StatusForbidden},
		{"metrics", http.MethodGet, metrics + "/metrics", "", http.StatusUnauthorized},
		{"metrics, without rights", http.MethodGet, metrics + "/metrics", stranger, http.StatusForbidden},
		{"metrics, of the profiler", http.MethodGet, metrics + "/metrics", profiler, http.StatusForbidden},
		{"health of the store", http.MethodGet, "http://" + m.health + "/healthz/store", "", http.StatusOK},
		{"readiness of the store", http.MethodGet, "http://" + m.health + "/readyz/store", "", http.StatusOK},
		{"readiness of the collector", http.MethodGet, "http://" + m.health + "/readyz/collector", "", http.StatusOK},
		{"pprof", http.MethodGet, metrics + "/debug/pprof/", "", http.StatusUnauthorized},
		{"pprof, of the reader of metrics", http.MethodGet, metrics + "/debug/pprof/", reader, http.StatusForbidden},
		{"command line", http.MethodGet, metrics + "/debug/pprof/cmdline", reader, http.StatusForbidden},
		{"command line, of the profiler", http.MethodGet, metrics + "/debug/pprof/cmdline", profiler, http.StatusNotFound},
		{"CPU profile", http.MethodGet, metrics + "/debug/pprof/profile?seconds=1", reader, http.StatusForbidden},
		{"symbols", http.MethodPost, metrics + "/debug/pprof/symbol", reader, http.StatusForbidden},
		{"execution trace", http.MethodGet, metrics + "/debug/pprof/trace?seconds=1", reader, http.StatusForbidden},
		{"heap", http.MethodGet, metrics + "/debug/pprof/heap", reader, http.StatusForbidden},
		{"heap, of the profiler", http.MethodGet, metrics + "/debug/pprof/heap", profiler, http.StatusOK},
		{"CPU profile, of the profiler", http.MethodGet, metrics + "/debug/pprof/profile?seconds=1", profiler, http.StatusOK},
		{"pprof where people come in", http.MethodGet, pages + "/debug/pprof/", profiler, http.StatusNotFound},
		{"pprof where probes come in", http.MethodGet, "http://" + m.health + "/debug/pprof/", profiler, http.StatusNotFound},
		{"pprof where deliveries come in", http.MethodGet, ingest + "/debug/pprof/", profiler, http.StatusNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, _, err := request(t, tt.method, tt.url, tt.token, nil); err != nil || got != tt.want {
				t.Errorf("status %d, want %d (%v)", got, tt.want, err)
			}
		})
	}
}

// shippedRule returns the one rule of a ClusterRole that ships.
func shippedRule(t *testing.T, path string) rbacv1.PolicyRule {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	role := rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(data, &role); err != nil || len(role.Rules) != 1 {
		t.Fatalf("%s: %d rules, %v", path, len(role.Rules), err)
	}
	return role.Rules[0]
}

// A proxy that is trusted says who is before it, and so do the operator's own
// records.
func TestOwnRecordsNameTheClient(t *testing.T) {
	api := startAPIServer(t)
	exporter := api.serviceAccount(t, "exporter")
	api.grant(t, "exporter", rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"auditlogqueries/events"}, Verbs: []string{"get"}})
	m := api.startManager(t, "--proxy-trusted-cidrs=127.0.0.0/8,::1/128")
	pages := "http://" + m.pages
	m.await(t, pages+"/api/v1/audit-logs", exporter, http.StatusOK)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, pages+"/api/v1/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+exporter)
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	if status, body, err := send(r); err != nil || status != http.StatusOK {
		t.Fatalf("export: status %d, %v: %s", status, err, body)
	}
	status, body, err := request(t, http.MethodGet, pages+"/api/v1/audit-logs?action=project.audit_export&ip=203.0.113.9", exporter, nil)
	if err != nil || status != http.StatusOK || !strings.Contains(body, `"ips":["203.0.113.9"]`) {
		t.Errorf("status %d, %v: no export from 203.0.113.9 in %s", status, err, body)
	}
}
