package dashboard

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
)

// section is a group of an event's fields.
type section struct {
	Label  string
	Fields []field
}

// field is a typed field of an event: a text, or a time.
type field struct {
	Label, Value string
	Time         time.Time
	Note         string
}

// sections returns every typed field that the event has, in groups.
func (d *dashboard) sections(e *audit.Event) []section {
	var ips []string
	for _, ip := range e.IPs {
		ips = append(ips, ip.String())
	}
	ipNote := ""
	if len(ips) > 1 {
		ipNote = "Only the last one can't be forged."
	}
	arrived := ""
	if delay := late(e); delay != "" {
		arrived = "late, " + delay + " after the stage was reached"
	}
	foreign := ""
	if e.Foreign {
		foreign = "It does not serve this API group."
	}
	all := []section{
		{"Request", []field{
			{Label: "Method", Value: e.Method}, {Label: "Verb", Value: e.Verb}, {Label: "Status", Value: statusText(e.StatusCode)},
			{Label: "Dry run", Value: e.DryRun.String(), Note: dryRunNote(e)}, {Label: "Path", Value: e.Path},
			{Label: "Resource type", Value: nameOf(displayNames(d.Types()), e.ResourceType)}, {Label: "Action", Value: e.Action},
			{Label: "API group", Value: e.APIGroup}, {Label: "API version", Value: e.APIVersion}, {Label: "Resource", Value: e.Resource},
			{Label: "Subresource", Value: e.Subresource}, {Label: "Namespace", Value: e.Namespace}, {Label: "Resource name", Value: e.ResourceName},
		}},
		{"Who", []field{
			{Label: "Actor", Value: e.Actor}, {Label: "Kind of actor", Value: e.ActorKind}, {Label: "Groups", Value: groupsText(e.Groups)},
			{Label: "Acted via", Value: e.ActedVia}, {Label: "Groups of acted via", Value: groupsText(e.ActedViaGroups)},
			{Label: "Impersonation constraint", Value: constraintOf(e.Raw)},
			{Label: "Credential", Value: e.CredentialID}, {Label: "IP addresses", Value: strings.Join(ips, ", "), Note: ipNote},
			{Label: "Client", Value: e.Client}, {Label: "User agent", Value: e.UserAgent},
		}},
		{"When and where", []field{
			{Label: "Occurred at", Time: e.OccurredAt}, {Label: "Stage at", Time: e.StageAt}, {Label: "Ingested at", Time: e.IngestedAt, Note: arrived},
			{Label: "Cluster", Value: e.Cluster}, {Label: "Source", Value: e.Source, Note: foreign}, {Label: "Level", Value: e.Level}, {Label: "Stage", Value: e.Stage},
			{Label: "Audit ID", Value: e.AuditID}, {Label: "Event ID", Value: e.ID.String()},
			{Label: "SHA-256 of the raw event", Value: hex.EncodeToString(e.RawSHA256[:])},
		}},
	}
	for i := range all {
		present := all[i].Fields[:0]
		for _, f := range all[i].Fields {
			if f.Value != "" || !f.Time.IsZero() {
				present = append(present, f)
			}
		}
		all[i].Fields = present
	}
	return all
}

// dryRunNote says why nobody knows.
func dryRunNote(e *audit.Event) string {
	if e.DryRun == audit.DryRunUnknown {
		return "The options of this request, which say so, were not recorded."
	}
	return ""
}

// groupsText writes a list of groups. One whose name could be taken for two is
// quoted.
func groupsText(groups []string) string {
	texts := make([]string, len(groups))
	for i, group := range groups {
		texts[i] = group
		if strings.ContainsAny(group, `,"`) || strings.TrimSpace(group) != group {
			texts[i] = strconv.Quote(group)
		}
	}
	return strings.Join(texts, ", ")
}

// constraintOf returns the verb by which a constrained impersonation was
// allowed, which only the event itself holds.
func constraintOf(raw []byte) string {
	var event struct {
		AuthenticationMetadata struct {
			ImpersonationConstraint string `json:"impersonationConstraint"`
		} `json:"authenticationMetadata"`
	}
	if err := json.Unmarshal(raw, &event); err != nil {
		return "" // as of an event that has none
	}
	return event.AuthenticationMetadata.ImpersonationConstraint
}

// around is how far "around this time" reaches to both sides.
const around = 5 * time.Minute

// related returns the links from an event to others. They are plain addresses
// of the list that keep the namespaces of the filter that the reader came
// with. What a filter can't say exactly has no link.
func related(e *audit.Event, scope query.Scope, from query.Filter, now time.Time) []link {
	var out []link
	add := func(label, value string, f query.Filter) {
		if len(f.Namespaces) == 0 {
			f.Namespaces, f.Exclude.Namespaces = from.Namespaces, from.Exclude.Namespaces
		}
		if f.Range.IsZero() {
			f.Range = rangeWith(e, from.Range, now)
		}
		if f.Validate() == nil {
			out = append(out, link{label, value, listLink(f.Encode())})
		}
	}
	only := func(d query.Dimension, text string) []string { return []string{query.Literal(string(d), text)} }
	if e.Actor != "" {
		add("Same actor", e.Actor, query.Filter{Terms: query.Terms{Actors: only(query.ByActor, e.Actor)}})
	}
	if e.ResourceName != "" && e.ResourceType != "" {
		// The event's own namespace is one that the reader may see.
		f := query.Filter{Terms: query.Terms{
			ResourceTypes: []string{e.ResourceType}, ResourceNames: only(query.ByResourceName, e.ResourceName), Namespaces: only(query.ByNamespace, e.Namespace),
		}}
		value := e.ResourceName + " in " + e.Namespace
		if e.Namespace == "" {
			f.Namespaces, value = []string{query.NoNamespace}, e.ResourceName
		}
		if scope.IsClusterWide() && e.Cluster != "" {
			f.Clusters = only(query.ByCluster, e.Cluster)
		}
		add("Same resource", value, f)
	}
	if text := query.ResourceText(e); text != "" {
		add("Same kind of resource", text, query.Filter{Terms: query.Terms{Resources: only(query.ByResource, text)}})
	}
	if e.UserAgent != "" {
		add("Same user agent", e.UserAgent, query.Filter{Terms: query.Terms{UserAgents: only(query.ByUserAgent, e.UserAgent)}})
	}
	if e.AuditID != "" {
		add("Same audit ID", e.AuditID, query.Filter{Terms: query.Terms{AuditIDs: only("audit_id", e.AuditID)}})
	}
	add("Around this time", "5 minutes before and after", query.Filter{Range: query.TimeRange{
		From: e.OccurredAt.Add(-around), To: e.OccurredAt.Add(around),
	}})
	if len(e.IPs) > 0 {
		// The last address is the one that can't be forged.
		last := e.IPs[len(e.IPs)-1].WithZone("").String()
		if p, err := query.ParsePrefix(last); err == nil {
			f := query.Filter{}
			f.IPs = append(f.IPs, p)
			add("Same IP address", last, f)
		}
	}
	return out
}

// rangeWith returns the reader's time range where it holds the event, else the
// shortest one that does.
func rangeWith(e *audit.Event, from query.TimeRange, now time.Time) query.TimeRange {
	for _, r := range []query.TimeRange{from, {}, {Preset: query.Last30Days}} {
		at := now
		if r.From.IsZero() {
			// It moves on with the time; the event must not leave it at once.
			at = now.Add(time.Hour)
		}
		w, err := r.Resolve(at)
		if err == nil && !e.OccurredAt.Before(w.From) && e.OccurredAt.Before(w.To) {
			return r
		}
	}
	const day = 24 * time.Hour
	return query.TimeRange{From: e.OccurredAt.Add(-day), To: e.OccurredAt.Add(day)}
}
