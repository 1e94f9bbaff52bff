package postgres

import (
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
