package postgres

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// where is a condition on events. Its terms are apart by the table that they
// are about: the dictionaries of kinds (k), places (p), actors (a) and agents
// (g), and the rows (r). Values are bound, never written into the text.
type where struct {
	kinds  []string
	places []string
	actors []string
	agents []string
	rows   []string // but for the search
	search *needle  // nil for none
	args   pgx.NamedArgs
	chosen *choice // once the dictionaries were asked
}

// newWhere is the one place where a scope and a filter become SQL, for rows that
// occurred from a time on.
func newWhere(scope query.Scope, f *query.Filter, from time.Time) (*where, error) {
	c := scoped(scope, from)
	c.kinds = append(c.kinds, c.anyOf("k.stage", f.EffectiveStages()))
	if err := c.filter(&f.Terms, true); err != nil {
		return nil, err
	}
	if err := c.filter(&f.Exclude, false); err != nil {
		return nil, err
	}
	if f.DryRun != nil {
		// What is unknown is with what is real.
		c.kinds = append(c.kinds, map[bool]string{true: "k.dry_run IS TRUE", false: "k.dry_run IS NOT TRUE"}[*f.DryRun])
	}
	if f.Truncated != nil {
		c.kinds = append(c.kinds, "k.truncated = "+c.bind(*f.Truncated))
	}
	if strings.TrimSpace(f.Search) != "" {
		c.search = c.newNeedle(f.Search)
	}
	return c, nil
}

// scoped is the condition that the caller may see an event, of those that
// occurred from a time on. It comes first and nothing takes it away.
func scoped(scope query.Scope, from time.Time) *where {
	c := &where{args: pgx.NamedArgs{}}
	if scope.IsClusterWide() {
		return c
	}
	cluster, namespaces := store.Visible(scope)
	if len(namespaces) == 0 {
		c.places = append(c.places, "FALSE")
		return c
	}
	c.places = append(c.places, "p.cluster = "+c.bind(cluster), c.anyOf("p.namespace", store.NamesOf(namespaces)), "NOT p.is_foreign")
	if young := store.Younger(namespaces, from); len(young) > 0 {
		since := make([]time.Time, len(young))
		for i, n := range young {
			since[i] = n.Since
		}
		// Only rows know their time to the microsecond, so no roll-up answers this.
		c.rows = append(c.rows, "NOT EXISTS (SELECT FROM unnest("+c.bind(store.NamesOf(young))+"::text[], "+c.bind(since)+"::timestamptz[]) AS young (namespace, since)"+
			" JOIN audit_places earlier ON earlier.namespace = young.namespace WHERE earlier.id = r.place_id AND r.occurred_at < young.since)")
	}
	return c
}

// ofRowsAlone is the condition on rows whose dictionaries are joined, but for
// what those must hold.
func (c *where) ofRowsAlone() string {
	terms := slices.Clip(c.rows)
	if c.search != nil {
		terms = append(terms, c.search.inRow(c.search.in("a.actor")))
	}
	return allOf(terms)
}

// ofJoined is the condition on rows whose dictionaries are joined.
func (c *where) ofJoined() string {
	return allOf(slices.Concat(c.kinds, c.places, c.actors, c.agents, []string{c.ofRowsAlone()}))
}

func allOf(terms []string) string {
	if len(terms) == 0 {
		return "TRUE"
	}
	return strings.Join(terms, " AND ")
}

// bind returns what stands for a value in the text.
func (c *where) bind(v any) string {
	name := "v" + strconv.Itoa(len(c.args))
	c.args[name] = v
	return "@" + name
}

// filter adds terms: each field that has some must match, or must not.
func (c *where) filter(t *query.Terms, include bool) error {
	add := func(to *[]string, used int, match string) {
		switch {
		case used == 0:
		case include:
			*to = append(*to, match)
		default:
			*to = append(*to, "NOT "+match)
		}
	}
	methods := make([]string, len(t.Methods))
	for i, m := range t.Methods {
		methods[i] = strings.ToUpper(m)
	}
	add(&c.kinds, len(t.ResourceTypes), c.anyOf("k.resource_type", t.ResourceTypes))
	add(&c.kinds, len(t.Methods), c.anyOf("k.method", methods))
	add(&c.kinds, len(t.Actions), c.anyAction(t.Actions, include))
	add(&c.kinds, len(t.Clients), c.anyOf("k.client", t.Clients))
	add(&c.places, len(t.Clusters), c.anyOf("p.cluster", query.Texts(t.Clusters)))
	add(&c.places, len(t.Namespaces), c.anyNamespace(t.Namespaces))
	if !include { // included stages are those of EffectiveStages
		add(&c.kinds, len(t.Stages), c.anyOf("k.stage", t.Stages))
	}
	codes, err := c.anyStatus(t.StatusCodes)
	if err != nil {
		return err
	}
	add(&c.kinds, len(t.StatusCodes), codes)
	add(&c.actors, len(t.Actors), c.actor(t.Actors, include))
	add(&c.agents, len(t.Sources), c.anyOf("g.source", query.Texts(t.Sources)))
	add(&c.actors, len(t.ActorKinds), c.anyOf("a.actor_kind", t.ActorKinds))
	add(&c.rows, len(t.Paths), c.anyPattern("r.path", query.PathPatterns(t.Paths), true))
	add(&c.rows, len(t.ResourceNames), c.anyPattern("r.resource_name", query.Patterns(t.ResourceNames), include))
	return c.ips(t.IPs, include)
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

// isCut is audit.IsCut.
func isCut(column string) string {
	return "(char_length(" + column + ") = " + strconv.Itoa(audit.MaxExactText) + " AND " + column + " ~ '~[0-9a-f]{32}$')"
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

// actor matches an event by its identities: one of them to include it, every
// one that it has, and at least one, to exclude it.
func (c *where) actor(values []string, include bool) string {
	effective, authenticated := c.anyPattern("a.actor", query.Patterns(values), include), c.anyPattern("a.acted_via", query.Patterns(values), include)
	if include {
		return "(" + effective + " OR " + authenticated + ")"
	}
	return "((a.actor <> '' OR a.acted_via <> '') AND (a.actor = '' OR " + effective + ") AND (a.acted_via = '' OR " + authenticated + "))"
}

func (c *where) anyNamespace(values []string) string {
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

// ips adds the terms on addresses: an include looks at all of an event's
// addresses, an exclude only at the last one.
func (c *where) ips(prefixes []netip.Prefix, include bool) error {
	if len(prefixes) == 0 {
		return nil
	}
	masked := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		if !p.IsValid() {
			return &query.FieldError{Field: "ip", Value: p.String(), Problem: "is no address or CIDR"}
		}
		masked[i] = p.Masked()
	}
	within := "r.ip <<= ANY(" + c.bind(masked) + "::inet[])"
	if !include {
		c.rows = append(c.rows, "(r.ip IS NULL OR NOT "+within+")")
		return nil
	}
	// Prefix by prefix rather than address by address, which would be a query
	// of its own for each row and keep the statement from running in parallel.
	alternatives := []string{within}
	for _, p := range masked {
		alternatives = append(alternatives, c.bind(p)+"::inet >>= ANY(r.more_ips)")
	}
	c.rows = append(c.rows, "("+strings.Join(alternatives, " OR ")+")")
	return nil
}

// sameRequest is the condition on the other events with an event's audit ID,
// which stands in one of two columns, depending on its form.
func sameRequest(scope query.Scope, e *audit.Event) *where {
	c := scoped(scope, store.SameRequestWindow(e).From)
	if uuid, ok := parseUUID(e.AuditID); ok {
		c.rows = append(c.rows, "r.audit_uuid = "+c.bind(uuid))
	} else {
		c.rows = append(c.rows, "r.audit_id = "+c.bind(store.Text(e.AuditID)))
	}
	c.rows = append(c.rows, "r.id <> "+c.bind([16]byte(e.ID)))
	return c
}
