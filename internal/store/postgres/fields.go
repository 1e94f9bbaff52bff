package postgres

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// table is one of those that a condition is about: a dictionary, by which key
// of the rows, or the rows.
type table struct{ name, alias, key string }

var (
	ofKinds  = table{"audit_kinds", "k", "kind_id"}
	ofPlaces = table{"audit_places", "p", "place_id"}
	ofActors = table{"audit_actors", "a", "actor_id"}
	ofAgents = table{"audit_agents", "g", "agent_id"}
	ofRows   = table{"audit_rows", "r", ""}
)

// column is where a field is, or what is made of the columns of one table.
type column struct {
	table
	sql string
	// lateral gives a row for each value, where an entry has several.
	lateral string
}

var columnOf = map[string]column{
	"resource_type": {table: ofKinds, sql: "k.resource_type"}, "method": {table: ofKinds, sql: "k.method"}, "action": {table: ofKinds, sql: "k.action"}, "client": {table: ofKinds, sql: "k.client"},
	"stage": {table: ofKinds, sql: "k.stage"}, "status_code": {table: ofKinds, sql: "k.status_code"}, "resource": {table: ofKinds, sql: resourceText},
	"cluster": {table: ofPlaces, sql: "p.cluster"}, "namespace": {table: ofPlaces, sql: "p.namespace"},
	"actor": {table: ofActors, sql: "a.actor"}, "actor_kind": {table: ofActors, sql: "a.actor_kind"},
	"group":  {table: ofActors, sql: "of_actor.name", lateral: ` CROSS JOIN LATERAL (SELECT DISTINCT unnest(a.groups || a.acted_via_groups) COLLATE "C") AS of_actor (name)`},
	"source": {table: ofAgents, sql: "g.source"}, "user_agent": {table: ofAgents, sql: "g.user_agent"},
	"resource_name": {table: ofRows, sql: "r.resource_name"}, "path": {table: ofRows, sql: "r.path"}, "ip": {table: ofRows, sql: "r.ip"}, "audit_id": {table: ofRows, sql: ""}, // of two columns
}

// resourceText is query.ResourceText.
const resourceText = `(CASE WHEN k.resource = '' THEN '' ELSE k.resource || CASE WHEN k.api_group = '' THEN '' ELSE '.' || k.api_group END ||
	CASE WHEN k.subresource = '' THEN '' ELSE '/' || k.subresource END END)`

// terms are those about a table.
func (c *where) terms(of table) *[]string {
	switch of {
	case ofKinds:
		return &c.kinds
	case ofPlaces:
		return &c.places
	case ofActors:
		return &c.actors
	case ofAgents:
		return &c.agents
	}
	return &c.rows
}

// filter adds terms: each field that has some must match, or must not.
func (c *where) filter(t *query.Terms, include bool) error {
	for _, field := range query.Fields {
		values := field.Values(t)
		if len(values) == 0 || include && field.Name == string(query.ByStage) { // included stages are those of EffectiveStages
			continue
		}
		at, ok := columnOf[field.Name]
		if !ok {
			return fmt.Errorf("no column for %s", field.Name)
		}
		match, err := c.field(field, t, values, include)
		if err != nil {
			return err
		}
		if !include {
			match = "NOT " + match
		}
		terms := c.terms(at.table)
		*terms = append(*terms, match)
	}
	return nil
}

// field matches the values of one field, in parentheses.
func (c *where) field(field *query.Field, t *query.Terms, values []string, include bool) (string, error) {
	if patterns, ok := field.Patterns(t); ok {
		return c.anyPattern(columnOf[field.Name].sql, patterns, include), nil
	}
	switch field.Name {
	case "ip":
		return c.anyIP(t.IPs, include)
	case "status_code":
		return c.anyStatus(values)
	}
	own, ok := ownWays[field.Name]
	if !ok {
		return "", fmt.Errorf("no way to match %s", field.Name)
	}
	return own(c, values, include), nil
}

// ownWays are how the fields match that one text does not say.
var ownWays = map[string]func(*where, []string, bool) string{
	"actor": (*where).anyActor, "action": (*where).anyAction, "namespace": (*where).anyNamespace, "resource": (*where).anyResource, "group": (*where).anyGroup, "audit_id": (*where).anyAuditID,
}

// anyOf matches one of the values exactly. The empty value stands for a field
// that the event lacks, which nothing matches.
func (c *where) anyOf(column string, values []string) string {
	var texts []string
	for _, v := range values {
		if v != "" {
			texts = append(texts, store.Text(v))
		}
	}
	switch len(texts) {
	case 0:
		return "FALSE"
	case 1:
		return "(" + column + " = " + c.bind(texts[0]) + ")"
	}
	return "(" + column + " = ANY(" + c.bind(texts) + "::text[]))"
}

// isCut is audit.IsCut, and audit.IsCutAt of what is cut at a number of bytes.
func isCut(column string) string {
	long := "char_length(" + column + ") = " + strconv.Itoa(audit.MaxExactText)
	if most := map[string]int{"g.user_agent": audit.MaxUserAgent, "r.path": audit.MaxPath}[column]; most > 0 {
		long = "octet_length(" + column + ") BETWEEN " + strconv.Itoa(most-utf8.UTFMax+1) + " AND " + strconv.Itoa(most)
	}
	return "(" + long + " AND " + column + " ~ '~[0-9a-f]{32}$')"
}

// anyPattern is anyOf where one trailing * matches any rest. Of a cut text the
// rest is not known, so an exclude does not match it.
func (c *where) anyPattern(column string, values []query.Pattern, include bool) string {
	whole := ""
	if !include {
		whole = " AND NOT " + isCut(column)
	}
	var exact, alternatives []string
	for _, v := range values {
		switch {
		case !v.Open:
			exact = append(exact, v.Text)
		case v.Text == "":
			alternatives = append(alternatives, column+" <> ''"+whole)
		default:
			alternatives = append(alternatives, "starts_with("+column+", "+c.bind(store.Text(v.Text))+")"+whole)
		}
	}
	alternatives = append(alternatives, c.anyOf(column, exact))
	return "(" + strings.Join(alternatives, " OR ") + ")"
}

// anyAction is anyPattern where a leading *. leaves the resource type open: the
// action is what follows the first dot, since no type has one.
func (c *where) anyAction(values []string, include bool) string {
	const action = "substr(k.action, strpos(k.action, '.') + 1)"
	whole, ofAnyType := query.ActionPatterns(values)
	if len(ofAnyType) == 0 {
		return c.anyPattern("k.action", whole, include)
	}
	return "(" + c.anyPattern("k.action", whole, include) + " OR strpos(k.action, '.') > 0 AND " + c.anyPattern(action, ofAnyType, include) + ")"
}

// anyActor matches an event by its identities: one of them to include it, every
// one that it has, and at least one, to exclude it.
func (c *where) anyActor(values []string, include bool) string {
	effective, authenticated := c.anyPattern("a.actor", query.Patterns(values), include), c.anyPattern("a.acted_via", query.Patterns(values), include)
	if include {
		return "(" + effective + " OR " + authenticated + ")"
	}
	return "((a.actor <> '' OR a.acted_via <> '') AND (a.actor = '' OR " + effective + ") AND (a.acted_via = '' OR " + authenticated + "))"
}

// anyGroup matches an event by the groups of its identities: those of one to
// include it, those of every one to exclude it, since whoever impersonates chooses
// the groups of the effective user.
func (c *where) anyGroup(values []string, include bool) string {
	var names []string
	for _, v := range values {
		if name := store.Text(query.Exact(v)); name != "" {
			names = append(names, name)
		}
	}
	bound := c.bind(names) + "::text[]"
	effective, authenticated := "coalesce(a.groups && "+bound+", FALSE)", "coalesce(a.acted_via_groups && "+bound+", FALSE)"
	if include {
		return "(" + effective + " OR " + authenticated + ")"
	}
	return "(" + effective + " AND (a.acted_via = '' AND a.acted_via_groups IS NULL OR " + authenticated + "))"
}

// anyResource matches the text of a whole resource, or where a value leaves the
// resource open its subresource. Of a cut text it is not known which it is, so
// that such an exclude does not match it.
func (c *where) anyResource(values []string, include bool) string {
	whole, ofAny := query.ResourcePatterns(values)
	match := c.anyOf(resourceText, whole)
	if len(ofAny) == 0 {
		return match
	}
	open := "k.resource <> '' AND " + c.anyOf("k.subresource", ofAny)
	if !include {
		open += " AND NOT (" + isCut("k.resource") + " OR " + isCut("k.api_group") + " OR " + isCut("k.subresource") + ")"
	}
	return "(" + match + " OR " + open + ")"
}

// anyAuditID matches the ID of a request, which stands in one of two columns,
// depending on its form, and is NULL in the other.
func (c *where) anyAuditID(values []string, _ bool) string {
	var uuids [][16]byte
	var texts []string
	for _, v := range values {
		if uuid, ok := parseUUID(query.Exact(v)); ok {
			uuids = append(uuids, uuid)
		} else {
			texts = append(texts, query.Exact(v))
		}
	}
	match := "r.audit_id IS NOT NULL AND " + c.anyOf("r.audit_id", texts)
	if len(uuids) > 0 {
		match += " OR r.audit_uuid IS NOT NULL AND r.audit_uuid = ANY(" + c.bind(uuids) + "::uuid[])"
	}
	return "(" + match + ")"
}

func (c *where) anyNamespace(values []string, _ bool) string {
	var named []string
	match := ""
	for _, v := range values {
		if v == query.NoNamespace {
			match = "p.namespace = '' OR "
		} else {
			named = append(named, query.Exact(v))
		}
	}
	return "(" + match + c.anyOf("p.namespace", named) + ")"
}

// anyStatus matches codes and classes. An event without a status has code 0,
// which no term reaches.
func (c *where) anyStatus(values []string) (string, error) {
	var alternatives []string
	for _, v := range values {
		low, high, err := query.StatusRange(v)
		if err != nil {
			return "", err
		}
		alternatives = append(alternatives, "k.status_code BETWEEN "+c.bind(low)+" AND "+c.bind(high))
	}
	return "(" + strings.Join(alternatives, " OR ") + ")", nil
}

// anyIP matches addresses: an include looks at all of an event's addresses, an
// exclude only at the last one.
func (c *where) anyIP(prefixes []netip.Prefix, include bool) (string, error) {
	masked := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		if !p.IsValid() {
			return "", &query.FieldError{Field: "ip", Value: p.String(), Problem: "is no address or CIDR"}
		}
		masked[i] = p.Masked()
	}
	within := "r.ip <<= ANY(" + c.bind(masked) + "::inet[])"
	if !include {
		return "(r.ip IS NOT NULL AND " + within + ")", nil
	}
	// Prefix by prefix rather than address by address, which would be a query
	// of its own for each row and keep the statement from running in parallel.
	alternatives := []string{within}
	for _, p := range masked {
		alternatives = append(alternatives, c.bind(p)+"::inet >>= ANY(r.more_ips)")
	}
	return "(" + strings.Join(alternatives, " OR ") + ")", nil
}
