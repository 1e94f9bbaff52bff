package storetest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
)

// The generators draw from few values, so that filters and events meet, and
// from those that databases get wrong.
var (
	someActors     = []string{"alice", "alice@example.com", "Alice", "system:node:n1", "system:serviceaccount:ci:deploy", "100%", "a_b", `back\slash`, "ΣΊΣΥΦΟΣ", "jürgen", cutText("alice"), "ali*", "=ali*", "*", ""}
	someNames      = []string{"checkout", "check", "CHECKOUT", "o'neill", `"quoted"`, "%", "_", `\`, "größe", "ИМЯ", "emoji🙂", cutText("check"), cutText("größe"), "che*", "=", "=check", ""}
	somePaths      = []string{"/api/v1/pods", "/API/V1/Pods", "/apis/apps/v1/namespaces/shop/deployments/checkout?limit=10%25", "/api/v1/pods?watch=true", "/api/v1/pods??", `/a\b`, "/a_b", "/ÄÖÜ", "/äöü", "", cutBytes("/api/v1/pods?", audit.MaxPath)}
	someUserGroups = []string{"system:masters", "system:authenticated", "dev", "Dev", "de", "dev*", "=dev", "dev,ops", "dev\nops", `dev\nops`, `dev\`, "größe", "{dev}", "*", cutText("dev")}
	someNamespaces = []string{"shop", "shop2", "Shop", "kube-system", "-", "=-", ""}
	someClusters   = []string{"prod", "staging", ""}
	someTypes      = []string{"application", "datastore", "cluster", "my_type", ""}
	someActions    = []string{"application.create", "application.create2", "application.delete", "project.token", "application.exec", "cluster.exec", "application.a.exec", "exec", "cluster.", ".exec", "a_b.100%", "a.=a", cutText("application.exec"), ""}
	someSources    = []string{"s", "S", "other", audit.OwnSource, ""}
	someGroups     = []string{"apps", "apps", "a.b", cutText("apps"), "", ""}
	someResources  = []string{"deployments", "deployments.apps", "pods", "po*", "=pods", "", cutText("pods"), cutText("größe")}
	someSubs       = []string{"scale", "exec", "exec", "EXEC", "", "", "e/x", "*", cutText("exec")}
	someAgents     = []string{"agent/1", "agent/10", "Agent/1", "agent/*", "=agent/1", "a_b", "größe", "", cutBytes("agent/", audit.MaxUserAgent), cutBytes("größe", audit.MaxUserAgent-3), cutBytes("agent/", audit.MaxUserAgent-4)}
	someAuditIDs   = []string{"0f0e0d0c-0b0a-4908-8706-050403020100", "0F0E0D0C-0b0a-4908-8706-050403020100", "0f0e0d0c-0b0a-4908-8706-050403020101", "chosen by the client", "=chosen", "*", "", cutText("chosen")}
	someKinds      = []string{audit.ActorUser, audit.ActorServiceAccount, audit.ActorAnonymous, ""}
	someMethods    = []string{"GET", "POST", "DELETE", "OTHER", ""}
	someCodes      = []int{0, 200, 201, 299, 300, 403, 404, 500, 599}
	someIPs        = []string{"10.0.0.1", "10.255.255.255", "11.0.0.0", "192.168.1.7", "::1", "2001:db8::1", "2001:db8:ffff::", "fe80::1", "255.255.255.255", "0.0.0.0"}
	somePrefixes   = []string{"10.0.0.0/8", "10.0.0.1/32", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1/128", "::/64", "192.168.0.0/23"}
	someTerms      = []string{"403", "200", "2xx", "4XX", "5xx", "1xx"}
	someParts      = []string{"", " ", "a", "ALI", "E", "0", "40", "1.", "::", "%", "_", `\`, "'", "ΣΊΣ", "größe", "🙂", "o", "application", "shop"}
	someSearches   = []string{"", "  ", "pods", "PODS", "%", "_", `\`, "a_b", "äöü", "ÄÖÜ", "σίσυφοσ", "имя", "check", "'", `"`, "🙂", "Größe", "nothing has this"}
)

// cutText is what is left of a text that was cut.
func cutText(begin string) string {
	rest := audit.MaxExactText - len([]rune(begin)) - 33
	return begin + strings.Repeat("x", rest) + "~" + strings.Repeat("0123456789abcdef", 2)
}

// cutBytes is what is left of a text that was cut at so many bytes.
func cutBytes(begin string, most int) string {
	return begin + strings.Repeat("x", most-len(begin)-33) + "~" + strings.Repeat("0123456789abcdef", 2)
}

func oneOf[T any](t *rapid.T, label string, values []T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

// someOf draws no term in most cases, so that filters let something through.
func someOf[T any](t *rapid.T, label string, values []T) []T {
	if rapid.IntRange(0, 3).Draw(t, label+"?") > 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(values), 1, 3).Draw(t, label)
}

// eventsAround generates events of the five days before and the hour after a
// time, many of them at equal times.
func eventsAround(now time.Time) *rapid.Generator[audit.Event] {
	return rapid.Custom(func(t *rapid.T) audit.Event {
		e := audit.Event{
			Source: oneOf(t, "source", someSources), Cluster: oneOf(t, "cluster", someClusters), AuditID: oneOf(t, "auditID", someAuditIDs),
			Level: "Metadata", Stage: oneOf(t, "stage", audit.Stages),
			Actor: oneOf(t, "actor", someActors), ActorKind: oneOf(t, "actorKind", someKinds), ActedVia: oneOf(t, "actedVia", someActors), CredentialID: "X509SHA256=1",
			Groups: groups(t, "groups"), ActedViaGroups: groups(t, "actedViaGroups"),
			Method: oneOf(t, "method", someMethods), Verb: "verb", ResourceType: oneOf(t, "type", someTypes), Action: oneOf(t, "action", someActions),
			APIGroup: oneOf(t, "group", someGroups), APIVersion: "v1", Resource: oneOf(t, "resource", someResources), Subresource: oneOf(t, "subresource", someSubs),
			Namespace: oneOf(t, "namespace", someNamespaces), ResourceName: oneOf(t, "name", someNames),
			Path: oneOf(t, "path", somePaths), StatusCode: oneOf(t, "code", someCodes), DryRun: audit.DryRun(rapid.IntRange(0, 2).Draw(t, "dryRun")),
			Client: oneOf(t, "client", audit.Clients), UserAgent: oneOf(t, "agent", someAgents),
			Truncated: oneOf(t, "truncated", []bool{false, false, true}), Foreign: oneOf(t, "foreign", []bool{false, false, false, true}),
		}
		for range rapid.IntRange(0, 3).Draw(t, "ips") {
			e.IPs = append(e.IPs, netip.MustParseAddr(oneOf(t, "ip", someIPs)))
		}
		minutes := rapid.IntRange(-5*24*60, 59).Draw(t, "minute")
		e.OccurredAt = now.Truncate(time.Minute).Add(time.Duration(minutes) * time.Minute)
		if rapid.Bool().Draw(t, "evenHour") {
			e.OccurredAt = e.OccurredAt.Truncate(12 * time.Hour).Add(-time.Duration(rapid.IntRange(0, 1).Draw(t, "µs")) * time.Microsecond)
		}
		// A watch may end hours after it began.
		e.StageAt = e.OccurredAt.Add(time.Duration(oneOf(t, "lasts", []int{0, 0, 0, 200}))*time.Minute + 1234*time.Microsecond)
		return e
	})
}

func groups(t *rapid.T, label string) []string {
	list := rapid.SliceOfN(rapid.SampledFrom(someUserGroups), 0, 3).Draw(t, label)
	if len(list) == 0 {
		return nil // as stores give it back
	}
	return list
}

// number gives an event an ID and a raw of its own.
func number(e audit.Event, n int) audit.Event {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	copy(e.ID[:], sum[:])
	e.Raw = fmt.Appendf(nil, `{"kind":"Event","n":%d}`, n)
	e.RawSHA256 = sha256.Sum256(e.Raw)
	return e
}

// corpus returns n generated events, always the same ones for a time.
func corpus(now time.Time, n int) oracle {
	generator := eventsAround(now)
	events := make(oracle, n)
	for i := range events {
		events[i] = number(generator.Example(i), i)
	}
	return events
}

func drawTerms(t *rapid.T, label string) query.Terms {
	var prefixes []netip.Prefix
	for _, p := range someOf(t, label+"ips", somePrefixes) {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	return query.Terms{
		ResourceTypes: someOf(t, label+"types", someTypes),
		Actors:        someOf(t, label+"actors", append([]string{"*", "alice*", "system:*", "a_*", "%*", "al*e", "=alice", "=ali*", "==ali*", "=*"}, someActors...)),
		Methods:       someOf(t, label+"methods", []string{"GET", "post", "Delete"}),
		Actions:       someOf(t, label+"actions", append([]string{"*", "application.*", "application.create*", "*.exec", "*.create", "*.create*", "*.*", "*.a.exec", "*.100%", "*.1*", "*._", "*.=a", "*.=a*", "*.EXEC", "*.exec" + cutText("application.exec")[16:]}, someActions...)),
		IPs:           prefixes,
		StatusCodes:   someOf(t, label+"codes", someTerms),
		ResourceNames: someOf(t, label+"names", append([]string{"*", "check*", `\*`, "_*", "=che*", "==", "==check", "=check"}, someNames...)),
		Clusters:      someOf(t, label+"clusters", append([]string{"=prod"}, someClusters...)),
		Clients:       someOf(t, label+"clients", audit.Clients),
		Stages:        someOf(t, label+"stages", audit.Stages),
		Namespaces:    someOf(t, label+"namespaces", append([]string{query.NoNamespace, "=-", "==-", "=shop"}, someNamespaces...)),
		Sources:       someOf(t, label+"sources", append([]string{"=s"}, someSources...)),
		Paths:         someOf(t, label+"paths", append([]string{"*", "/api/*", "/api/v1/pods*", "/api/v1/pods?*", "/api/v1/pods?", `/a\*`, "/a_*", "?"}, somePaths...)),
		ActorKinds:    someOf(t, label+"kinds", someKinds),
		Resources:     someOf(t, label+"resources", []string{"deployments.apps", "deployments.apps/scale", "deployments.apps.apps", "deployments.a.b/exec", "=deployments", "pods", "pods/exec", "=po*", "==pods", "=pods/*", "*/exec", "*/exec", "*/scale", "*/*", "=*/exec", "*/e/x", "*/EXEC", "*/" + cutText("exec"), cutText("pods") + "/exec"}),
		Groups:        someOf(t, label+"groups", append([]string{"==dev", "=dev*", "=dev", `dev\\`, "ops"}, someUserGroups...)),
		AuditIDs:      someOf(t, label+"auditIDs", append([]string{"==chosen", "=chosen by the client", "=*"}, someAuditIDs...)),
		UserAgents:    someOf(t, label+"agents", append([]string{"*", "agent/", "agent/*", "a", "gr", "=agent/1", "=agent/", "==agent/1", "a_*", "%"}, someAgents...)),
	}
}

func drawFilter(t *rapid.T) query.Filter {
	f := query.Filter{Terms: drawTerms(t, "")}
	if rapid.Bool().Draw(t, "excludes?") {
		f.Exclude = drawTerms(t, "exclude ")
	}
	if rapid.IntRange(0, 2).Draw(t, "searches?") == 0 {
		f.Search = oneOf(t, "search", someSearches)
	}
	if rapid.IntRange(0, 4).Draw(t, "dryRun?") == 0 {
		f.DryRun = new(rapid.Bool().Draw(t, "dryRun"))
	}
	if rapid.IntRange(0, 4).Draw(t, "truncated?") == 0 {
		f.Truncated = new(rapid.Bool().Draw(t, "truncated"))
	}
	return f
}

func drawScope(t *rapid.T) query.Scope {
	switch rapid.IntRange(0, 5).Draw(t, "scope") {
	case 0:
		return query.Scope{}
	case 1, 2:
		var namespaces []query.Namespace
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(someNamespaces), 0, 3).Draw(t, "scope namespaces") {
			n := query.Namespace{Name: name}
			if ago := rapid.IntRange(-60, 6*24*60).Draw(t, "created minutes ago"); ago > 0 {
				n.Since = start.Add(-time.Duration(ago) * time.Minute)
			}
			namespaces = append(namespaces, n)
		}
		return query.SinceCreation(oneOf(t, "scope cluster", someClusters), namespaces...)
	}
	return query.ClusterWide()
}

func drawWindow(t *rapid.T, now time.Time) query.Window {
	if rapid.Bool().Draw(t, "whole") {
		return always(now)
	}
	from := now.Add(-time.Duration(rapid.IntRange(0, 6*24*60).Draw(t, "from")) * time.Minute).Truncate(time.Minute)
	return query.Window{From: from, To: from.Add(time.Duration(rapid.IntRange(1, 4*24*60).Draw(t, "minutes")) * time.Minute)}
}
