package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
)

const (
	namespaced = "AuditLogQuery"
	cluster    = "ClusterAuditLogQuery"
	source     = "AuditSource"
	typ        = "AuditResourceType"
)

func TestAdmissionRefuses(t *testing.T) {
	many := "{actors: [" + strings.Repeat("a,", 10_000) + "]}"
	long := strings.Repeat("x", 257)
	tests := []struct {
		name, kind, object, spec string
		want                     []string // each is part of the message
	}{
		{"unknown method", namespaced, "q", `{methods: [FETCH]}`, []string{"spec.methods[0]", `supported values: "GET", "POST"`}},
		{"lower-case method", cluster, "q", `{methods: [get]}`, []string{"spec.methods[0]", `"GET"`}},
		{"unknown client", namespaced, "q", `{clients: [browser]}`, []string{"spec.clients[0]", `"cli"`}},
		{"unknown stage", namespaced, "q", `{stages: [Done]}`, []string{"spec.stages[0]", `"ResponseComplete"`}},
		{"no class of codes", namespaced, "q", `{statusCodes: ["403", 6xx]}`, []string{"spec.statusCodes[1]", "a class from 1xx to 5xx"}},
		{"no code", namespaced, "q", `{statusCodes: ["1000"]}`, []string{"spec.statusCodes[0]", "a code from 100 to 599"}},
		{"upper-case class", namespaced, "q", `{statusCodes: [5XX]}`, []string{"spec.statusCodes[0]", "a class from 1xx to 5xx"}},
		{"resource type with a dash", namespaced, "q", `{resourceTypes: [environment-group]}`, []string{"spec.resourceTypes[0]", "like environment_group"}},
		{"inner * in actors", namespaced, "q", `{actors: ["a*b"]}`, []string{"spec.actors[0]", "* may only be the last character"}},
		{"inner * in actions", namespaced, "q", `{actions: ["app*.exec"]}`, []string{"spec.actions[0]", "a leading *., like *.exec"}},
		{"any type's nothing", cluster, "q", `{exclude: {actions: ["*."]}}`, []string{"spec.exclude.actions[0]", "a leading *., like *.exec"}},
		{"two leading * in actions", cluster, "q", `{actions: ["*.*.exec"]}`, []string{"spec.actions[0]", "a leading *., like *.exec"}},
		{"two * in actors", namespaced, "q", `{actors: ["ab**"]}`, []string{"spec.actors[0]", "* may only be the last character"}},
		{"inner * in names", cluster, "q", `{exclude: {resourceNames: ["*-1"]}}`, []string{"spec.exclude.resourceNames[0]", "like checkout-*"}},
		{"10,000 actors", namespaced, "q", many, []string{"spec.actors", "must have at most 100 items"}},
		{"long actor", namespaced, "q", `{actors: [` + long + `]}`, []string{"spec.actors[0]", "at most 256 characters"}},
		{"long literal actor", namespaced, "q", `{actors: ["=` + long + `"]}`, []string{"spec.actors[0]", "may not be more than 257"}},
		{"long literal namespace", cluster, "q", `{exclude: {namespaces: ["=` + long + `"]}}`, []string{"spec.exclude.namespaces[0]", "may not be more than 257"}},
		{"long name", cluster, "q", `{resourceNames: [` + long + `]}`, []string{"spec.resourceNames[0]", "at most 256 characters"}},
		{"long action", cluster, "q", `{actions: [` + long + `]}`, []string{"spec.actions[0]", "at most 256 characters"}},
		{"trailing * in resources", namespaced, "q", `{resources: ["pods*"]}`, []string{"spec.resources[0]", "a leading */, like */exec"}},
		{"subresource of nothing", cluster, "q", `{exclude: {resources: ["*/"]}}`, []string{"spec.exclude.resources[0]", "a leading */, like */exec"}},
		{"long resource", namespaced, "q", `{resources: [` + strings.Repeat("x", 771) + `]}`, []string{"spec.resources[0]", "at most 770 characters"}},
		{"part of a group", namespaced, "q", `{groups: ["dev*"]}`, []string{"spec.groups[0]", "write the whole name"}},
		{"part of an audit ID", namespaced, "q", `{auditIDs: ["a*"]}`, []string{"spec.auditIDs[0]", "write the whole ID"}},
		{"inner * in user agents", cluster, "q", `{exclude: {userAgents: ["a*b"]}}`, []string{"spec.exclude.userAgents[0]", "like kubectl/*"}},
		{"long user agent", namespaced, "q", `{userAgents: [` + strings.Repeat("x", 1025) + `]}`, []string{"spec.userAgents[0]", "at most 1024 characters"}},
		{"empty literal actor", namespaced, "q", `{actors: ["="]}`, []string{"spec.actors[0]", "not counting the = before a literal value"}},
		{"empty literal source", cluster, "q", `{sources: ["="]}`, []string{"spec.sources[0]", "like prod-eu-1"}},
		{"long namespace", cluster, "q", `{namespaces: [` + long[:64] + `]}`, []string{"spec.namespaces[0]", "or - for requests to none"}},
		{"literal method", namespaced, "q", `{methods: ["=GET"]}`, []string{"spec.methods[0]", `"GET"`}},
		{"empty actor", namespaced, "q", `{actors: [""]}`, []string{"spec.actors[0]", "at least 1 chars"}},
		{"long search", namespaced, "q", `{search: ` + long + `}`, []string{"spec.search", "may not be more than 255"}},
		{"bad range of addresses", namespaced, "q", `{ipAddresses: [10.0.0.0/40]}`, []string{"spec.ipAddresses[0]", "a CIDR range like 10.0.0.0/8"}},
		{"bad address", cluster, "q", `{exclude: {ipAddresses: [10.0.0.300]}}`, []string{"spec.exclude.ipAddresses[0]", "an address like 192.0.2.7"}},
		{"address with a zone", namespaced, "q", `{ipAddresses: ["fe80::1%eth0"]}`, []string{"spec.ipAddresses[0]", "leave the zone out"}},
		{"unknown preset", namespaced, "q", `{timeRange: {preset: Yesterday}}`, []string{"spec.timeRange.preset", `"LastHour"`}},
		{"no time range", namespaced, "q", `{timeRange: {}}`, []string{"spec.timeRange", "give exactly one of preset, duration, or from"}},
		{"two kinds of time range", namespaced, "q", `{timeRange: {preset: LastHour, duration: 1h}}`, []string{"spec.timeRange", "give exactly one of preset, duration, or from"}},
		{"preset and from", cluster, "q", `{timeRange: {preset: LastHour, from: "2026-01-01T00:00:00Z"}}`, []string{"spec.timeRange", "give exactly one of preset, duration, or from"}},
		{"to alone", namespaced, "q", `{timeRange: {to: "2026-01-01T00:00:00Z"}}`, []string{"spec.timeRange", "to needs from; add from"}},
		{"from after to", namespaced, "q", `{timeRange: {from: "2026-02-01T00:00:00Z", to: "2026-01-01T00:00:00Z"}}`, []string{"spec.timeRange", "from must be before to"}},
		{"empty range", namespaced, "q", `{timeRange: {from: "2026-01-01T01:00:00+01:00", to: "2026-01-01T00:00:00Z"}}`, []string{"spec.timeRange", "from must be before to"}},
		{"zero from", namespaced, "q", `{timeRange: {from: "0001-01-01T00:00:00Z"}}`, []string{"spec.timeRange", "from must be 1970-01-01T00:00:00Z or later"}},
		{"no time", namespaced, "q", `{timeRange: {from: yesterday}}`, []string{"spec.timeRange.from", "date-time"}},
		{"compound duration", namespaced, "q", `{timeRange: {duration: 1h30m}}`, []string{"spec.timeRange.duration", "like 90d"}},
		{"zero duration", namespaced, "q", `{timeRange: {duration: 0d}}`, []string{"spec.timeRange.duration", "a number from 1 to 99999"}},
		{"limit 0", namespaced, "q", `{limit: 0}`, []string{"spec.limit", "greater than or equal to 1"}},
		{"large limit", namespaced, "q", `{limit: 50001}`, []string{"spec.limit", "less than or equal to 50000"}},
		{"large preview", namespaced, "q", `{preview: 51}`, []string{"spec.preview", "less than or equal to 50"}},
		{"no history", namespaced, "q", `{snapshotHistoryLimit: 0}`, []string{"spec.snapshotHistoryLimit", "greater than or equal to 1"}},
		{"namespaces of a namespaced query", namespaced, "q", `{namespaces: [kube-system]}`, []string{`unknown field "spec.namespaces"`}},
		{"clusters of a namespaced query", namespaced, "q", `{exclude: {clusters: [prod-eu]}}`, []string{`unknown field "spec.exclude.clusters"`}},
		{"bad namespace", cluster, "q", `{namespaces: [Shop]}`, []string{"spec.namespaces[0]", "or - for requests to none"}},
		{"sources of a namespaced query", namespaced, "q", `{sources: [control-plane-1]}`, []string{`unknown field "spec.sources"`}},
		{"excluded sources of a namespaced query", namespaced, "q", `{exclude: {sources: [control-plane-1]}}`, []string{`unknown field "spec.exclude.sources"`}},
		{"bad source", cluster, "q", `{sources: ["control*"]}`, []string{"spec.sources[0]", "like prod-eu-1"}},
		{"bad cluster", cluster, "q", `{clusters: ["prod*"]}`, []string{"spec.clusters[0]", "like prod-eu"}},

		{"source without cluster", source, "s", `{type: Webhook}`, []string{"spec.cluster", "Required value"}},
		{"source with a bad cluster", source, "s", `{cluster: Prod EU}`, []string{"spec.cluster", "like prod-eu"}},
		{"source of an unknown type", source, "s", `{cluster: c, type: Log}`, []string{"spec.type", `"Webhook"`}},
		{"source with unknown auth", source, "s", `{cluster: c, auth: Basic}`, []string{"spec.auth", `"ClientCertificate"`}},
		{"source with tiny events", source, "s", `{cluster: c, limits: {maxEventBytes: 1}}`, []string{"spec.limits.maxEventBytes", "greater than or equal to 1024"}},
		{"source without groups", source, "s", `{cluster: c, apiGroups: []}`, []string{"spec.apiGroups", "at least 1 items"}},
		{"source that keeps some values", source, "s", `{cluster: c, redaction: {configMapValues: Some}}`, []string{"spec.redaction.configMapValues", "Keep", "Drop"}},
		{"source that keeps no arguments", source, "s", `{cluster: c, redaction: {execArguments: None}}`, []string{"spec.redaction.execArguments", "Keep", "Drop"}},
		{"source with the core group", source, "s", `{cluster: c, apiGroups: [""]}`, []string{"spec.apiGroups[0]", "at least 1 chars"}},
		{"source with every group", source, "s", `{cluster: c, apiGroups: ["*"]}`, []string{"spec.apiGroups[0]", "like metrics.k8s.io"}},
		{"source with a version", source, "s", `{cluster: c, apiGroups: [wardle.example.com/v1]}`, []string{"spec.apiGroups[0]", "like metrics.k8s.io"}},
		{"source with a group twice", source, "s", `{cluster: c, apiGroups: [a, a]}`, []string{"spec.apiGroups[1]", "Duplicate value"}},
		{"source with 65 groups", source, "s", `{cluster: c, apiGroups: [` + numbered(65) + `]}`, []string{"spec.apiGroups", "must have at most 64 items"}},
		{"source with a dot", source, "a.b", `{cluster: c}`, []string{"metadata.name", "no dots"}},
		{"source with a long name", source, strings.Repeat("s", 64), `{cluster: c}`, []string{"metadata.name", "at most 63 characters"}},
		{"source of the operator's own records", source, "audit-operator", `{cluster: c}`, []string{"metadata.name", "choose another name"}},

		{"type with a dot", typ, "a.b", `{displayName: A}`, []string{"metadata.name", "like message-queue"}},
		{"type that begins with a digit", typ, "1a", `{displayName: A}`, []string{"metadata.name", "beginning with a letter"}},
		{"type without a name to show", typ, "a", `{priority: 1}`, []string{"spec.displayName", "Required value"}},
		{"empty rule", typ, "a", `{displayName: A, match: [{}]}`, []string{"spec.match[0]", "give at least one of apiGroups"}},
		{"rule with an empty list", typ, "a", `{displayName: A, match: [{resources: []}]}`, []string{"spec.match[0].resources", "at least 1 items"}},
		{"inner * in a rule", typ, "a", `{displayName: A, match: [{apiGroups: ["*.example.com"]}]}`, []string{"spec.match[0].apiGroups[0]", "like database.*"}},
		{"broken pattern of names", typ, "a", `{displayName: A, match: [{names: ["x["]}]}`, []string{"spec.match[0].names[0]", "like *-token-?????"}},
		{"pattern with an escape", typ, "a", `{displayName: A, match: [{names: ['x\']}]}`, []string{"spec.match[0].names[0]", "like *-token-?????"}},
		{"inner * in a Secret's type", typ, "a", `{displayName: A, match: [{secretTypes: ["*/tls"]}]}`, []string{"spec.match[0].secretTypes[0]", "like kubernetes.io/*"}},
		{"rule that only says why", typ, "a", `{displayName: A, match: [{reason: mine}]}`, []string{"spec.match[0]", "give at least one of apiGroups"}},
		{"platform type with a dash", typ, "a", `{displayName: A, platformType: my-type}`, []string{"spec.platformType", "like addon"}},
		{"large priority", typ, "a", `{displayName: A, priority: 1001}`, []string{"spec.priority", "less than or equal to 1000"}},
	}
	c := apiserver(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := object(t, tt.kind, tt.object, tt.spec)
			err := c.Create(t.Context(), o, client.DryRunAll, client.FieldValidation("Strict"))
			if err == nil {
				t.Fatalf("the apiserver took the spec %.200s", tt.spec)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message lacks %q:\n%.1000s", want, err)
				}
			}
		})
	}
}

// oddTexts is a spec with what a facet may offer, each as a literal.
func oddTexts(t *testing.T) string {
	t.Helper()
	var literals []string
	for _, text := range audittest.OddTexts() {
		literals = append(literals, "="+text)
	}
	spec := map[string]any{"exclude": map[string]any{"actors": literals}}
	for _, field := range []string{"actors", "actions", "resourceNames", "clusters", "namespaces", "sources", "resources", "groups", "auditIDs", "userAgents"} {
		spec[field] = literals
	}
	written, err := yaml.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(written)
}

// numbered are API groups.
func numbered(n int) string {
	groups := make([]string, n)
	for i := range groups {
		groups[i] = fmt.Sprintf("g%d.example.com", i)
	}
	return strings.Join(groups, ", ")
}

func TestAdmissionAccepts(t *testing.T) {
	tests := []struct{ name, kind, spec string }{
		{"nothing", namespaced, ``},
		{"empty spec", cluster, `{}`},
		{"everything", namespaced, everything},
		{"everything of a cluster", cluster, everything[:len(everything)-1] + `, clusters: [prod-eu, c.example.com], namespaces: ["-", shop], sources: [control-plane-1, audit-operator], truncated: true}`},
		{"what incident responders ask for", namespaced, `{resources: [pods/exec, deployments.apps/scale, "*/exec", "=*", ` + strings.Repeat("x", 770) + `], groups: ["system:masters", "=dev*", ` + strings.Repeat("x", 256) + `], auditIDs: [0f0e0d0c-0b0a-4908-8706-050403020100, "=a*"],
  userAgents: [kubectl/, kubectl/*, "*", "=a*b", ` + strings.Repeat("x", 1024) + `], exclude: {resources: ["*/scale"], auditIDs: [a], userAgents: ["=b"]}}`},
		{"actions of any type", namespaced, `{actions: ["*.exec", "*.port*", "*.*", "*"], exclude: {actions: ["*.get"]}}`},
		{"excluded places", cluster, `{exclude: {clusters: [prod-eu], namespaces: ["-"], sources: [sample-apiserver]}}`},
		{"from without to", namespaced, `{timeRange: {from: "2026-01-01T00:00:00.5+02:00"}}`},
		{"from and to", namespaced, `{timeRange: {from: "2026-01-01T00:00:00Z", to: "2026-01-01T00:00:01Z"}}`},
		{"preset", namespaced, `{timeRange: {preset: Last30Days}}`},
		{"no preview", namespaced, `{preview: 0}`},
		{"addresses", namespaced, `{ipAddresses: [192.0.2.7, "2001:db8::1", "2001:db8::/32", 10.1.2.3/8]}`},
		{"literal texts", cluster, oddTexts(t)},
		{"full lists", namespaced, `{actors: [` + strings.Repeat(strings.Repeat("a", 256)+",", 100) + `]}`},
		{"source", source, `{cluster: prod-eu, type: Webhook, auth: ClientCertificate, limits: {maxEventBytes: 1048576}, redaction: {configMapValues: Keep, execArguments: Drop}}`},
		{"aggregated source", source, `{cluster: prod-eu, apiGroups: [wardle.example.com, apps]}`},
		{"source with 64 groups", source, `{cluster: prod-eu, apiGroups: [` + numbered(64) + `]}`},
		{"type", typ, `{displayName: A, description: B, priority: -5, match: [{apiGroups: ["", "database.*"], resources: [pods], subresources: ["", exec], namespaces: [kube-*], names: ["x*"]}]}`},
		{"type with patterns", typ, `{displayName: A, platformType: my_type2, match: [{names: ["*-token-[abc09]?", "a*b*"]}, {secretTypes: ["", "kubernetes.io/*"], reason: tokens}]}`},
		{"type without rules", typ, `{displayName: A}`},
	}
	c := apiserver(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := object(t, tt.kind, "accepted", tt.spec)
			if err := c.Create(t.Context(), o, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
				t.Error(err)
			}
		})
	}
}

const everything = `{resourceTypes: [application], timeRange: {duration: 90d}, actors: ["system:serviceaccount:ci:*", "*"],
  methods: [GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS, OTHER], actions: [application.delete], ipAddresses: [10.0.0.0/8],
  statusCodes: ["403", 5xx], resourceNames: [checkout], resources: [pods/exec], groups: [dev], auditIDs: [a], userAgents: [kubectl/], clients: [cli, controller, node, operator, other],
  stages: [RequestReceived, ResponseStarted, ResponseComplete, Panic], search: billing, dryRun: false,
  exclude: {methods: [GET], actors: ["system:node:*"]}, limit: 50000, preview: 50, snapshotHistoryLimit: 100}`
