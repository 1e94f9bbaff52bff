package embedded

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

// filter adds terms: each field that has some must match, or must not.
func (c *where) filter(t *query.Terms, include bool) error {
	for _, field := range query.Fields {
		values := field.Values(t)
		if len(values) == 0 || include && field.Name == string(query.ByStage) { // included stages are those of EffectiveStages
			continue
		}
		match, err := c.field(field, t, values, include)
		switch {
		case err != nil:
			return err
		case include:
			c.and(match)
		default:
			c.and("NOT (" + match + ")")
		}
	}
	return nil
}

// field matches the values of one field.
func (c *where) field(field *query.Field, t *query.Terms, values []string, include bool) (string, error) {
	if patterns, ok := field.Patterns(t); ok {
		return c.anyPattern(columnOf[field.Name], patterns, include), nil
	}
	switch field.Name {
	case "ip":
		return c.anyIP(t.IPs, include)
	case "status_code":
		return c.anyStatus(values)
	}
	own, ok := ownWays[field.Name]
	if !ok {
		return "", fmt.Errorf("no column for %s", field.Name)
	}
	return own(c, values, include), nil
}

// columnOf are the columns that fields are in, or what is made of columns.
var columnOf = map[string]string{
	"resource_type": "resource_type", "actor": "actor", "method": "method", "action": "action", "resource_name": "resource_name",
	"cluster": "cluster", "client": "client", "stage": "stage", "namespace": "namespace", "source": "source",
	"resource": resourceText, "group": eachGroup, "user_agent": "user_agent", "path": "path", "actor_kind": "actor_kind",
}

// resourceText is query.ResourceText.
const resourceText = `(CASE WHEN resource = '' THEN '' ELSE resource || CASE WHEN api_group = '' THEN '' ELSE '.' || api_group END ||
	CASE WHEN subresource = '' THEN '' ELSE '/' || subresource END END)`

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
	switch n := len(texts); {
	case n == 0:
		return "FALSE"
	case n > fewValues:
		return column + " IN (SELECT unnest(" + c.bind(texts) + "::VARCHAR[]))"
	}
	matches := make([]string, len(texts))
	for i, text := range texts {
		matches[i] = column + " = " + c.bind(text)
	}
	return eitherOf(matches...)
}

// fewValues are compared one by one faster than by a join. Each takes its time
// in every branch of a UNION, too, before a row is looked at.
const fewValues = 16

// eitherOf matches one of several conditions, none of which is NULL. DuckDB
// takes OR and IN apart into selections of rows that it sorts and joins again;
// CASE goes on with the rows that have not matched, in less than half the time.
func eitherOf(matches ...string) string {
	if len(matches) == 1 {
		return matches[0]
	}
	return "CASE WHEN " + strings.Join(matches, " THEN TRUE WHEN ") + " THEN TRUE ELSE FALSE END"
}

// isCut is audit.IsCut, and audit.IsCutAt of what is cut at a number of bytes.
func isCut(column string) string {
	long := "length(" + column + ") = " + strconv.Itoa(audit.MaxExactText)
	if most := map[string]int{"user_agent": audit.MaxUserAgent, "path": audit.MaxPath}[column]; most > 0 {
		long = "strlen(" + column + ") BETWEEN " + strconv.Itoa(most-utf8.UTFMax+1) + " AND " + strconv.Itoa(most)
	}
	return "(" + long + " AND regexp_matches(" + column + ", '~[0-9a-f]{32}$'))"
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
	const action = "substr(action, strpos(action, '.') + 1)"
	whole, ofAnyType := query.ActionPatterns(values)
	if len(ofAnyType) == 0 {
		return c.anyPattern("action", whole, include)
	}
	return "(" + c.anyPattern("action", whole, include) + " OR contains(action, '.') AND " + c.anyPattern(action, ofAnyType, include) + ")"
}

// anyActor matches an event by its identities: one of them to include it, every
// one that it has, and at least one, to exclude it.
func (c *where) anyActor(values []string, include bool) string {
	effective, authenticated := c.anyPattern("actor", query.Patterns(values), include), c.anyPattern("acted_via", query.Patterns(values), include)
	if include {
		return "(" + effective + " OR " + authenticated + ")"
	}
	return "(actor <> '' OR acted_via <> '') AND (actor = '' OR " + effective + ") AND (acted_via = '' OR " + authenticated + ")"
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
	open := "resource <> '' AND " + c.anyOf("subresource", ofAny)
	if !include {
		open += " AND NOT (" + isCut("resource") + " OR " + isCut("api_group") + " OR " + isCut("subresource") + ")"
	}
	return "(" + match + " OR " + open + ")"
}

// anyAuditID matches the ID of a request, which stands in one of two columns,
// depending on its form.
func (c *where) anyAuditID(values []string, _ bool) string {
	var uuids, texts []string
	for _, v := range values {
		if uuid, ok := parseUUID(query.Exact(v)); ok {
			uuids = append(uuids, "audit_uuid = "+c.bind(uuidText(uuid[:]))+"::UUID")
		} else {
			texts = append(texts, query.Exact(v))
		}
	}
	match := c.anyOf("audit_id", texts)
	if len(uuids) > 0 {
		match = "(" + match + " OR audit_uuid IS NOT NULL AND (" + strings.Join(uuids, " OR ") + "))"
	}
	return match
}

func (c *where) anyNamespace(values []string, _ bool) string {
	var named []string
	match := ""
	for _, v := range values {
		if v == query.NoNamespace {
			match = "namespace = '' OR "
		} else {
			named = append(named, query.Exact(v))
		}
	}
	return "(" + match + c.anyOf("namespace", named) + ")"
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
		alternatives = append(alternatives, "status_code BETWEEN "+c.bind(low)+" AND "+c.bind(high))
	}
	return "(" + strings.Join(alternatives, " OR ") + ")", nil
}

// anyIP matches addresses: an include looks at all of an event's addresses, an
// exclude only at the last one.
func (c *where) anyIP(prefixes []netip.Prefix, include bool) (string, error) {
	var last, earlier []string
	for _, p := range prefixes {
		if !p.IsValid() {
			return "", &query.FieldError{Field: "ip", Value: p.String(), Problem: "is no address or CIDR"}
		}
		last = append(last, c.inPrefix("ip", p))
		if include {
			earlier = append(earlier, c.inPrefix("x", p))
		}
	}
	match := "ip IS NOT NULL AND (" + strings.Join(last, " OR ") + ")"
	if include {
		match = "(" + match + " OR more_ips IS NOT NULL AND len(list_filter(more_ips, lambda x: " + strings.Join(earlier, " OR ") + ")) > 0)"
	}
	return match, nil
}
