// Package prometheus_test checks what ships for Prometheus and Grafana. That
// the metrics exist which it uses is checked with a running manager, by the
// tests of package main.
package prometheus_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func rules(t *testing.T) *monitoringv1.PrometheusRule {
	t.Helper()
	rule := &monitoringv1.PrometheusRule{}
	if err := yaml.UnmarshalStrict(read(t, "rules.yaml"), rule); err != nil {
		t.Fatal(err)
	}
	return rule
}

// promtool runs it in a folder that holds the rules as Prometheus reads them.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not on the PATH; run: export PATH=$(hack/promtool.sh):$PATH")
	}
	dir := t.TempDir()
	spec, err := yaml.Marshal(rules(t).Spec)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"rules.yaml": spec, "rules_test.yaml": read(t, "rules_test.yaml")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), path, args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRules(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
	promtool(t, "test", "rules", "rules_test.yaml")
}

// Each alert says how bad it is, what it means and what to do, and its tests
// see it fire and not fire.
func TestAlerts(t *testing.T) {
	var tests struct {
		Tests []struct {
			AlertRuleTest []struct {
				AlertName string `json:"alertname"`
				ExpAlerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(read(t, "rules_test.yaml"), &tests); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, at := range test.AlertRuleTest {
			if len(at.ExpAlerts) > 0 {
				fires[at.AlertName] = true
			} else {
				silent[at.AlertName] = true
			}
		}
	}
	for _, group := range rules(t).Spec.Groups {
		for _, rule := range group.Rules {
			if !fires[rule.Alert] || !silent[rule.Alert] {
				t.Errorf("%s: tested to fire %t, not to %t", rule.Alert, fires[rule.Alert], silent[rule.Alert])
			}
			if s := rule.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s: severity %q", rule.Alert, s)
			}
			for _, annotation := range []string{"summary", "description"} {
				if rule.Annotations[annotation] == "" {
					t.Errorf("%s has no %s", rule.Alert, annotation)
				}
			}
			checkRunbook(t, rule.Alert, rule.Annotations["runbook_url"])
		}
	}
}

// checkRunbook checks that the address leads to a heading of the handbook.
func checkRunbook(t *testing.T, alert, url string) {
	t.Helper()
	page, anchor, _ := strings.Cut(strings.TrimPrefix(url, "https://github.com/porter-dev/audit-operator/blob/main/"), "#")
	if anchor != strings.ToLower(alert) {
		t.Errorf("%s: the runbook is %q", alert, url)
	}
	if !bytes.Contains(read(t, filepath.Join("../..", page)), []byte("\n## "+alert+"\n")) {
		t.Errorf("%s has no heading ## %s", page, alert)
	}
}

// What kustomize makes of it holds what the Prometheus Operator and Grafana
// look for, and the port that is scraped is the Service's.
func TestManifests(t *testing.T) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(assets, "kubectl"), "kustomize", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]byte{}
	for document := range bytes.SplitSeq(out, []byte("\n---\n")) {
		var object struct{ Kind string }
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		kinds[object.Kind] = document
	}
	monitor := monitoringv1.ServiceMonitor{}
	if err := yaml.UnmarshalStrict(kinds["ServiceMonitor"], &monitor); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(kinds["PrometheusRule"], &monitoringv1.PrometheusRule{}); err != nil {
		t.Error(err)
	}
	token := corev1.Secret{}
	if err := yaml.UnmarshalStrict(kinds["Secret"], &token); err != nil {
		t.Fatal(err)
	}
	endpoint := monitor.Spec.Endpoints[0]
	if credentials := endpoint.Authorization.Credentials; credentials.Name != token.Name || monitor.Namespace != token.Namespace {
		t.Errorf("the token is in %s, the Secret is %s/%s", credentials, token.Namespace, token.Name)
	}
	if !bytes.Contains(read(t, "../manager/services.yaml"), []byte("{name: "+endpoint.Port+", ")) {
		t.Errorf("no Service has the port %s", endpoint.Port)
	}
	dashboard := corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict(kinds["ConfigMap"], &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.Labels["grafana_dashboard"] != "1" || !json.Valid([]byte(dashboard.Data["audit-operator.json"])) {
		t.Errorf("the dashboard's labels are %v", dashboard.Labels)
	}
}
