package storetest

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Match reports whether a scope sees an event and a filter selects it,
// whatever the window. It is written for clarity, as the meaning that stores
// are held to.
func Match(e *audit.Event, scope query.Scope, f *query.Filter) bool {
	if !scope.Covers(e.Cluster, e.Namespace, e.OccurredAt) || e.Foreign && !scope.IsClusterWide() {
		return false
	}
	in, out := &f.Terms, &f.Exclude
	included := slices.Contains(f.EffectiveStages(), e.Stage) && e.Stage != "" &&
		(len(in.ResourceTypes) == 0 || exact(e.ResourceType, in.ResourceTypes)) &&
		(len(in.Actors) == 0 || pattern(e.Actor, in.Actors) || pattern(e.ActedVia, in.Actors)) &&
		(len(in.Methods) == 0 || method(e.Method, in.Methods)) &&
		(len(in.Actions) == 0 || action(e.Action, in.Actions, pattern)) &&
		(len(in.IPs) == 0 || slices.ContainsFunc(e.IPs, func(ip netip.Addr) bool { return within(ip, in.IPs) })) &&
		(len(in.StatusCodes) == 0 || status(e.StatusCode, in.StatusCodes)) &&
		(len(in.ResourceNames) == 0 || pattern(e.ResourceName, in.ResourceNames)) &&
		(len(in.Clusters) == 0 || written(e.Cluster, in.Clusters)) &&
		(len(in.Clients) == 0 || exact(e.Client, in.Clients)) &&
		(len(in.Namespaces) == 0 || namespace(e.Namespace, in.Namespaces)) &&
		(len(in.Sources) == 0 || written(e.Source, in.Sources)) &&
		(len(in.Paths) == 0 || path(e.Path, in.Paths)) &&
		(len(in.ActorKinds) == 0 || exact(e.ActorKind, in.ActorKinds)) &&
		(len(in.Resources) == 0 || resource(e, in.Resources)) &&
		(len(in.Groups) == 0 || anyGroup(e.Groups, in.Groups) || anyGroup(e.ActedViaGroups, in.Groups)) &&
		(len(in.AuditIDs) == 0 || written(e.AuditID, in.AuditIDs)) &&
		(len(in.UserAgents) == 0 || agent(e.UserAgent, in.UserAgents)) &&
		(f.Truncated == nil || e.Truncated == *f.Truncated) &&
		(f.DryRun == nil || (e.DryRun == audit.DryRunTrue) == *f.DryRun) &&
		search(e, f.Search)
	excluded := exact(e.ResourceType, out.ResourceTypes) ||
		everyActor(e, out.Actors) ||
		method(e.Method, out.Methods) ||
		action(e.Action, out.Actions, wholePattern) ||
		(len(e.IPs) > 0 && within(e.IPs[len(e.IPs)-1], out.IPs)) ||
		status(e.StatusCode, out.StatusCodes) ||
		wholePattern(e.ResourceName, out.ResourceNames) ||
		written(e.Cluster, out.Clusters) ||
		exact(e.Client, out.Clients) ||
		exact(e.Stage, out.Stages) ||
		namespace(e.Namespace, out.Namespaces) ||
		written(e.Source, out.Sources) ||
		wholePath(e.Path, out.Paths) ||
		exact(e.ActorKind, out.ActorKinds) ||
		wholeResource(e, out.Resources) ||
		everyGroup(e, out.Groups) ||
		written(e.AuditID, out.AuditIDs) ||
		wholeAgent(e.UserAgent, out.UserAgents)
	return included && !excluded
}

func exact(value string, terms []string) bool {
	return value != "" && slices.Contains(terms, value)
}

func pattern(value string, terms []string) bool {
	return value != "" && slices.ContainsFunc(terms, func(term string) bool {
		if strings.HasPrefix(term, "=") {
			return value == term[1:]
		}
		if prefix, open := strings.CutSuffix(term, "*"); open {
			return strings.HasPrefix(value, prefix)
		}
		return value == term
	})
}

// written is exact where a term that begins with = is literal after it.
func written(value string, terms []string) bool {
	return value != "" && (slices.Contains(terms, "="+value) || slices.Contains(terms, value) && value[0] != '=')
}

// wholePattern is what an exclude matches: of a cut text nobody knows the rest.
func wholePattern(value string, terms []string) bool {
	return pattern(value, slices.DeleteFunc(slices.Clone(terms), func(term string) bool {
		return audit.IsCut(value) && strings.HasSuffix(term, "*") && !strings.HasPrefix(term, "=")
	}))
}

// action matches an action as a whole, or where a term begins with *. what
// follows the resource type, which has no dot.
func action(value string, terms []string, matches func(string, []string) bool) bool {
	return slices.ContainsFunc(terms, func(term string) bool {
		if strings.HasPrefix(term, "*.") {
			_, rest, ok := strings.Cut(value, ".")
			// Nothing escapes there: a space before both keeps = from it.
			return ok && rest != "" && matches(" "+rest, []string{" " + term[2:]})
		}
		return matches(value, []string{term})
	})
}

func anyGroup(groups, terms []string) bool {
	return slices.ContainsFunc(groups, func(group string) bool { return written(group, terms) })
}

// everyGroup reports whether each identity of the event has one of the groups.
func everyGroup(e *audit.Event, terms []string) bool {
	identities := [][]string{e.Groups}
	if e.ActedVia != "" || len(e.ActedViaGroups) > 0 {
		identities = append(identities, e.ActedViaGroups)
	}
	return !slices.ContainsFunc(identities, func(groups []string) bool { return !anyGroup(groups, terms) })
}

func method(value string, terms []string) bool {
	return value != "" && slices.ContainsFunc(terms, func(term string) bool { return strings.EqualFold(value, term) })
}

func namespace(value string, terms []string) bool {
	return value == "" && slices.Contains(terms, query.NoNamespace) || value != query.NoNamespace && written(value, terms) ||
		value == query.NoNamespace && slices.Contains(terms, "=-")
}

func path(value string, terms []string) bool {
	bare, _, _ := strings.Cut(value, "?")
	return pattern(value, terms) || pattern(bare, slices.DeleteFunc(slices.Clone(terms), func(term string) bool {
		return strings.HasSuffix(term, "*") && !strings.HasPrefix(term, "=")
	}))
}

// wholePath is what an exclude matches.
func wholePath(value string, terms []string) bool {
	if audit.IsCutAt(value, audit.MaxPath) {
		return written(value, terms)
	}
	return path(value, terms)
}

// resourceOf is written as kubectl writes it, with the subresource behind it.
func resourceOf(e *audit.Event) string {
	var parts []string
	for _, part := range []string{e.Resource, e.APIGroup} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	whole := []string{strings.Join(parts, ".")}
	if e.Subresource != "" {
		whole = append(whole, e.Subresource)
	}
	if e.Resource == "" {
		return ""
	}
	return strings.Join(whole, "/")
}

func resource(e *audit.Event, terms []string) bool {
	return e.Resource != "" && slices.ContainsFunc(terms, func(term string) bool {
		if strings.HasPrefix(term, "*/") {
			return e.Subresource != "" && term == "*/"+e.Subresource
		}
		return written(resourceOf(e), []string{term})
	})
}

// wholeResource is what an exclude matches.
func wholeResource(e *audit.Event, terms []string) bool {
	isCut := audit.IsCut(e.Resource) || audit.IsCut(e.APIGroup) || audit.IsCut(e.Subresource)
	return resource(e, slices.DeleteFunc(slices.Clone(terms), func(term string) bool { return isCut && strings.HasPrefix(term, "*/") }))
}

// agent matches beginnings, and after = whole texts.
func agent(value string, terms []string) bool {
	return value != "" && slices.ContainsFunc(terms, func(term string) bool {
		if whole, literal := strings.CutPrefix(term, "="); literal {
			return value == whole
		}
		return strings.HasPrefix(value, strings.TrimSuffix(term, "*"))
	})
}

// wholeAgent is what an exclude matches.
func wholeAgent(value string, terms []string) bool {
	return agent(value, slices.DeleteFunc(slices.Clone(terms), func(term string) bool {
		return audit.IsCutAt(value, audit.MaxUserAgent) && !strings.HasPrefix(term, "=")
	}))
}

func within(ip netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func status(code int, terms []string) bool {
	return code != 0 && slices.ContainsFunc(terms, func(term string) bool {
		if strings.EqualFold(term[1:], "xx") {
			return strconv.Itoa(code/100) == term[:1]
		}
		return strconv.Itoa(code) == term
	})
}

// everyActor reports whether every identity of the event, and at least one, matches.
func everyActor(e *audit.Event, terms []string) bool {
	var identities []string
	for _, identity := range []string{e.Actor, e.ActedVia} {
		if identity != "" {
			identities = append(identities, identity)
		}
	}
	return len(identities) > 0 && !slices.ContainsFunc(identities, func(identity string) bool { return !wholePattern(identity, terms) })
}

func search(e *audit.Event, needle string) bool {
	if strings.TrimSpace(needle) == "" {
		return true
	}
	return slices.ContainsFunc([]string{e.Path, e.Actor, e.ResourceName}, func(text string) bool {
		return strings.Contains(lower(text), lower(needle))
	})
}

func lower(s string) string { return strings.Map(unicode.ToLower, s) }

// oracle answers from a slice what a store answers from its tables.
type oracle []audit.Event

// matches returns what a query selects, newest first.
func (o oracle) matches(scope query.Scope, f *query.Filter, w query.Window) []audit.Event {
	var found []audit.Event
	for _, e := range o {
		if !e.OccurredAt.Before(w.From) && e.OccurredAt.Before(w.To) && Match(&e, scope, f) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b audit.Event) int {
		return cmp.Or(b.OccurredAt.Compare(a.OccurredAt), slices.Compare(b.ID[:], a.ID[:]))
	})
	return found
}

// sameRequest finds the other events with an event's audit ID.
func (o oracle) sameRequest(scope query.Scope, e *audit.Event) store.SameRequest {
	filter := everyStage()
	others := o.matches(scope, &filter, store.SameRequestWindow(e))
	others = slices.DeleteFunc(others, func(other audit.Event) bool {
		return e.AuditID == "" || other.AuditID != e.AuditID || other.ID == e.ID
	})
	slices.SortFunc(others, func(a, b audit.Event) int {
		return cmp.Or(cmp.Compare(a.OccurredAt.Sub(e.OccurredAt).Abs(), b.OccurredAt.Sub(e.OccurredAt).Abs()), slices.Compare(a.ID[:], b.ID[:]))
	})
	n := min(len(others), store.MaxSameRequest)
	return store.SameRequest{Events: others[:n], More: n < len(others)}
}

func histogram(events []audit.Event, width time.Duration) []store.Bucket {
	counts := map[int64]int64{}
	for _, e := range events {
		counts[e.OccurredAt.UnixMicro()/width.Microseconds()*width.Microseconds()]++
	}
	var buckets []store.Bucket
	for start, count := range counts {
		buckets = append(buckets, store.Bucket{Start: time.UnixMicro(start).UTC(), Count: count})
	}
	slices.SortFunc(buckets, func(a, b store.Bucket) int { return a.Start.Compare(b.Start) })
	return buckets
}

func facet(events []audit.Event, d query.Dimension, contains string, limit int) []store.FacetValue {
	counts := map[string]int64{}
	for _, e := range events {
		for _, value := range valuesOf(&e, d) {
			if value != "" && (strings.TrimSpace(contains) == "" || strings.Contains(lower(value), lower(contains))) {
				counts[value]++
			}
		}
	}
	var values []store.FacetValue
	for value, count := range counts {
		values = append(values, store.FacetValue{Value: value, Count: count})
	}
	slices.SortFunc(values, func(a, b store.FacetValue) int {
		if d == query.ByIP {
			return cmp.Or(cmp.Compare(b.Count, a.Count), netip.MustParseAddr(a.Value).Compare(netip.MustParseAddr(b.Value)))
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return values[:min(limit, len(values))]
}

func valuesOf(e *audit.Event, d query.Dimension) []string {
	if d == query.ByGroup {
		groups := slices.Sorted(slices.Values(slices.Concat(e.Groups, e.ActedViaGroups)))
		return slices.Compact(groups)
	}
	return []string{dimensionOf(e, d)}
}

func dimensionOf(e *audit.Event, d query.Dimension) string {
	switch d {
	case query.ByResourceType:
		return e.ResourceType
	case query.ByActor:
		return e.Actor
	case query.ByMethod:
		return e.Method
	case query.ByAction:
		return e.Action
	case query.ByIP:
		if len(e.IPs) > 0 {
			return e.IPs[len(e.IPs)-1].String()
		}
	case query.ByStatusCode:
		if e.StatusCode != 0 {
			return strconv.Itoa(e.StatusCode)
		}
	case query.ByResourceName:
		return e.ResourceName
	case query.ByCluster:
		return e.Cluster
	case query.ByClient:
		return e.Client
	case query.ByStage:
		return e.Stage
	case query.ByNamespace:
		return e.Namespace
	case query.BySource:
		return e.Source
	case query.ByResource:
		return resourceOf(e)
	case query.ByUserAgent:
		return e.UserAgent
	}
	return ""
}

func capture(events []audit.Event) store.Capture {
	c := store.Capture{Matched: int64(len(events)), CountsByType: map[string]int64{}, CountsByStatusClass: map[string]int64{}}
	for _, e := range events {
		if e.ResourceType != "" {
			c.CountsByType[e.ResourceType]++
		}
		if e.StatusCode != 0 {
			c.CountsByStatusClass[strconv.Itoa(e.StatusCode/100)+"xx"]++
		}
	}
	return c
}
