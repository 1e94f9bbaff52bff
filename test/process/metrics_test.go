package process

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// Each address is counted as the door that it is.
func TestDoorsAreCounted(t *testing.T) {
	api := startAPIServer(t)
	m := api.startManager(t)
	scraper := api.serviceAccount(t, "counter", "/metrics")
	want := map[string]int{}
	for path, door := range map[string]string{
		"/security/audit-logs":                             "page",
		"/security/audit-logs/values/actor":                "values",
		"/security/audit-logs/tail":                        "tail",
		"/security/audit-logs/csv":                         "export",
		"/security/audit-logs/ndjson":                      "export",
		"/security/audit-logs/query":                       "save",
		"/security/audit-logs/query/yaml":                  "save",
		"/security/audit-logs/events/0":                    "event",
		"/security/audit-logs/events/0/raw":                "event",
		"/security/snapshots":                              "snapshot",
		"/security/snapshots/0":                            "snapshot",
		"/security/snapshots/0/ndjson":                     "download",
		"/api/v1/audit-logs":                               "api_list",
		"/api/v1/audit-logs/0":                             "api_event",
		"/api/v1/audit-logs/histogram":                     "api_histogram",
		"/api/v1/audit-logs/facets/actor":                  "api_facet",
		"/api/v1/snapshots":                                "api_snapshots",
		"/api/v1/snapshots/0":                              "api_snapshots",
		"/api/v1/snapshots/0/records":                      "download",
		"/api/v1/export":                                   "api_export",
		"POST /api/v2/projects/shop/api-audit-logs/query":  "api_list",
		"POST /api/v2/projects/shop/api-audit-logs/export": "api_export",
	} {
		method := http.MethodGet
		if rest, ok := strings.CutPrefix(path, "POST "); ok {
			method, path = http.MethodPost, rest
		}
		if status, _, err := request(t, method, "http://"+m.pages+path, "", nil); err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: status %d, %v", path, status, err)
		}
		want[door]++
	}
	got := map[string]int{}
	text := m.await(t, "https://"+m.metrics+"/metrics", scraper, http.StatusOK)
	for _, found := range regexp.MustCompile(`audit_query_duration_seconds_count\{door="(\w+)",outcome="refused"\} ([1-9]\d*)`).FindAllStringSubmatch(text, -1) {
		got[found[1]], _ = strconv.Atoi(found[2])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked for (-) and counted (+) differ:\n%s", diff)
	}
}

// What a running manager exposes is well formed, holds nothing of what it
// stores, and is what the rules, the dashboard and the handbook speak of.
func TestMetrics(t *testing.T) {
	api := startAPIServer(t)
	m := api.startManager(t)
	reader := api.serviceAccount(t, "scraper", "/metrics")
	m.await(t, "https://"+m.metrics+"/metrics", reader, http.StatusOK)
	source := api.connect(t, m, "measured")
	for _, body := range []string{delivery("a", "b"), `{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE"}]}`} {
		if status, _, err := request(t, http.MethodPost, m.deliveries("measured"), source, strings.NewReader(body)); status != http.StatusOK {
			t.Fatalf("status %d, %v", status, err)
		}
	}
	question := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: "measured-query"}}
	api.create(t, question)
	var text string
	m.until(t, func() bool {
		text = m.await(t, "https://"+m.metrics+"/metrics", reader, http.StatusOK)
		return strings.Contains(text, `audit_snapshot_duration_seconds_count{outcome="taken"} 1`)
	}, func() string { return "no snapshot is counted" })
	if err := api.client.Delete(t.Context(), question); err != nil {
		t.Fatal(err)
	}

	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not on the PATH; run: export PATH=$(hack/promtool.sh):$PATH")
	}
	own := ownMetrics(text)
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = strings.NewReader(own)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	for _, kept := range []string{"alice", "shop", "settings", "configmaps", "measured-query"} {
		if strings.Contains(own, kept) {
			t.Errorf("a metric names %q", kept)
		}
	}

	series := labelsOf(text)
	series["leader_election_master_status"] = map[string]bool{"name": true} // of several replicas; TestReplicas has them
	for _, where := range []string{"config/prometheus/rules.yaml", "config/prometheus/dashboard.json"} {
		for _, expression := range expressionsOf(t, where) {
			for name, labels := range selectorsOf(expression) {
				exposed, ok := series[name]
				if !ok {
					t.Errorf("%s: the manager has no metric %s, which %s uses", where, name, expression)
				}
				for _, label := range labels {
					if !exposed[label] {
						t.Errorf("%s: %s has no label %s, which %s uses", where, name, label, expression)
					}
				}
			}
		}
	}
	handbook := embeddedHandbook(t)
	for line := range strings.Lines(own) {
		if family, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(family, " ")
			if !strings.Contains(handbook, "`"+name) {
				t.Errorf("docs/operations/metrics.md does not say what %s is", name)
			}
		}
	}
	for _, name := range regexp.MustCompile("`(audit_[a-z_]+)").FindAllStringSubmatch(handbook, -1) {
		if !strings.Contains(own, "# TYPE "+name[1]+" ") {
			t.Errorf("docs/operations/metrics.md speaks of %s, which does not exist", name[1])
		}
	}
}

// embeddedHandbook is what the handbook says of metrics, without the section
// about those of PostgreSQL, which the store's own tests compare.
func embeddedHandbook(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("docs/operations/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	before, section, found := strings.Cut(string(text), "\n## With PostgreSQL\n")
	_, after, more := strings.Cut(section, "\n## ")
	if !found || !more {
		t.Fatal("docs/operations/metrics.md has no section \"With PostgreSQL\" before others")
	}
	return before + after
}

// ownMetrics returns the families that are the operator's own.
func ownMetrics(text string) string {
	var own strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimLeft(line, "# HELPTY"), "audit_") {
			own.WriteString(line)
		}
	}
	return own.String()
}

var (
	sample   = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})? `)
	quoted   = regexp.MustCompile(`"[^"]*"`)
	label    = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	window   = regexp.MustCompile(`\[[^\]]*\]`)
	selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\}|\()?`)
)

// labelsOf returns the labels of each series of an exposition, by its name.
func labelsOf(text string) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, match := range sample.FindAllStringSubmatch(text, -1) {
		if all[match[1]] == nil {
			all[match[1]] = map[string]bool{}
		}
		for _, l := range label.FindAllStringSubmatch(quoted.ReplaceAllString(match[2], `""`), -1) {
			all[match[1]][l[1]] = true
		}
	}
	return all
}

// selectorsOf returns the metrics that an expression uses, with the labels
// that it matches.
func selectorsOf(expression string) map[string][]string {
	expression = quoted.ReplaceAllString(expression, `""`)
	expression = window.ReplaceAllString(grouping.ReplaceAllString(expression, ""), "")
	used := map[string][]string{}
	for _, match := range selector.FindAllStringSubmatch(expression, -1) {
		if match[2] == "(" || slices.Contains([]string{"and", "or", "unless", "bool", "sum", "max", "min", "count"}, match[1]) {
			continue // a function, an operator, an aggregation
		}
		if used[match[1]] == nil {
			used[match[1]] = []string{}
		}
		for _, l := range label.FindAllStringSubmatch(match[2], -1) {
			used[match[1]] = append(used[match[1]], l[1])
		}
	}
	return used
}

func TestSelectorsOf(t *testing.T) {
	got := selectorsOf(`sum without (door) (rate(a_total{door!="query",outcome=~"x|y"}[5m])) / ignoring (outcome) rate(b_total[$__rate_interval]) > 0.05 and on (instance) c`)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"a_total", "b_total", "c"}) || !slices.Equal(got["a_total"], []string{"door", "outcome"}) {
		t.Errorf("%v", got)
	}
}

// expressionsOf returns the values of the key expr, wherever it stands in a file.
func expressionsOf(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = yaml.YAMLToJSON(data); err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	var found []string
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if text, ok := node["expr"].(string); ok {
				found = append(found, text)
			}
			for _, child := range node {
				walk(child)
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
	if len(found) < 10 {
		t.Errorf("%s has %d expressions only", path, len(found))
	}
	return found
}
