package embedded

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// where is a condition on a day's table. Values are bound, never written into
// the text; the parameters are numbered, so that the same text may stand in
// every branch of a UNION.
type where struct {
	terms []string
	args  []any
}

// newWhere is the one place where a scope and a filter become SQL.
func newWhere(scope query.Scope, f *query.Filter, w query.Window) (*where, error) {
	c := &where{}
	w = store.InScope(scope, w)
	c.scope(scope, w.From)
	c.and("occurred_at >= " + c.bind(w.From.UnixMicro()))
	c.and("occurred_at < " + c.bind(w.To.UnixMicro()))
	c.stages(f.EffectiveStages())
	if err := c.filter(&f.Terms, true); err != nil {
		return nil, err
	}
	if err := c.filter(&f.Exclude, false); err != nil {
		return nil, err
	}
	if f.DryRun != nil {
		// What is unknown is with what is real.
		compared := map[bool]string{true: " = ", false: " <> "}[*f.DryRun]
		c.and("dry_run" + compared + c.bind(uint8(audit.DryRunTrue)))
	}
	if f.Truncated != nil {
		c.and("truncated = " + c.bind(*f.Truncated))
	}
	if strings.TrimSpace(f.Search) != "" {
		needle := c.folded(f.Search)
		c.and(eitherOf("contains(lower(actor), "+needle+")", "contains(lower(resource_name), "+needle+")", "contains(lower(path), "+needle+")"))
	}
	return c, nil
}

// sameRequest is the condition on the other events with an event's audit ID,
// which stands in one of two columns, depending on its form.
func sameRequest(scope query.Scope, e *audit.Event) *where {
	c := &where{}
	window := store.SameRequestWindow(e)
	c.scope(scope, window.From)
	c.and("occurred_at >= " + c.bind(window.From.UnixMicro()))
	c.and("occurred_at < " + c.bind(window.To.UnixMicro()))
	if uuid, ok := parseUUID(e.AuditID); ok {
		c.and("audit_uuid = " + c.bind(uuidText(uuid[:])) + "::UUID")
	} else {
		c.and("audit_id = " + c.bind(store.Text(e.AuditID)))
	}
	c.and("id <> " + c.bind(uuidText(e.ID[:])) + "::UUID")
	return c
}

// scope limits the condition to what the caller may see of what occurred from a
// time on. It comes first and nothing takes it away.
func (c *where) scope(scope query.Scope, from time.Time) {
	if scope.IsClusterWide() {
		c.and("TRUE")
		return
	}
	cluster, namespaces := store.Visible(scope)
	if len(namespaces) == 0 {
		c.and("FALSE")
		return
	}
	c.and("cluster = " + c.bind(cluster))
	c.and(c.anyOf("namespace", store.NamesOf(namespaces)))
	c.and("NOT is_foreign")
	if young := store.Younger(namespaces, from); len(young) > 0 {
		since := "CASE namespace"
		for _, n := range young {
			since += " WHEN " + c.bind(n.Name) + " THEN occurred_at >= " + c.bind(n.Since.UnixMicro())
		}
		c.and(since + " ELSE TRUE END")
	}
}

// stages limits the condition to stages. An event has one of audit.Stages, and
// to compare with the ones left out is faster where they are few.
func (c *where) stages(included []string) {
	var others []string
	for _, stage := range audit.Stages {
		if !slices.Contains(included, stage) {
			others = append(others, stage)
		}
	}
	if len(others) > 1 {
		c.and(c.anyOf("stage", included))
		return
	}
	for _, stage := range others {
		c.and("stage <> " + c.bind(stage))
	}
}

// folded returns a text without regard to case.
func (c *where) folded(text string) string { return "lower(" + c.bind(store.Text(text)) + ")" }

// before limits the condition to events older than a position.
func (c *where) before(p query.Position) {
	at := c.bind(p.OccurredAt.UnixMicro())
	id := c.bind(uuidText(p.ID[:])) + "::UUID"
	// The first term is implied by the second, and is what skips row groups.
	c.and("occurred_at <= " + at)
	c.and("(occurred_at < " + at + " OR id < " + id + ")")
}

func (c *where) and(term string) { c.terms = append(c.terms, term) }

func (c *where) bind(v any) string {
	c.args = append(c.args, v)
	return "$" + strconv.Itoa(len(c.args))
}

func (c *where) String() string { return strings.Join(c.terms, " AND ") }

// mapped is the range in which IPv4 addresses are kept.
const (
	mappedFirst = "'00000000-0000-0000-0000-ffff00000000'::UUID"
	mappedLast  = "'00000000-0000-0000-0000-ffffffffffff'::UUID"
)

// inPrefix matches the addresses of a prefix, as a range of their 16 bytes.
func (c *where) inPrefix(column string, p netip.Prefix) string {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	first := p.Masked().Addr().WithZone("").As16()
	end := first
	for i := bits; i < 128; i++ {
		end[i/8] |= 0x80 >> (i % 8)
	}
	match := column + " BETWEEN " + c.bind(uuidText(first[:])) + "::UUID AND " + c.bind(uuidText(end[:])) + "::UUID"
	if bits < 96 {
		// A wide IPv6 prefix such as ::/0 holds no IPv4 address.
		match = "(" + match + " AND NOT " + column + " BETWEEN " + mappedFirst + " AND " + mappedLast + ")"
	}
	return match
}

// daysIn returns those of the days, newest first, that the window touches.
func daysIn(days []int, w query.Window) []int {
	var in []int
	for _, day := range days {
		start := dayStart(day)
		if start.Before(w.To) && start.Add(24*time.Hour).After(w.From) {
			in = append(in, day)
		}
	}
	return in
}

// step is a part of a window within one day.
type step struct {
	day    int
	window query.Window
}

// steps are the parts of a window, newest first, in which a page of rows is
// looked for: the last hour and the last hours of the newest day by themselves,
// since a page is mostly found there, and the rest of it day by day.
func steps(days []int, w query.Window) []step {
	var all []step
	for _, day := range daysIn(days, w) {
		part := query.Window{From: latest(w.From, dayStart(day)), To: earliest(w.To, dayStart(day+1))}
		if len(all) == 0 {
			for _, last := range []time.Duration{time.Hour, 5 * time.Hour} {
				if cut := part.To.Add(-last); cut.After(part.From) {
					all = append(all, step{day, query.Window{From: cut, To: part.To}})
					part.To = cut
				}
			}
		}
		all = append(all, step{day, part})
	}
	return all
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// overDays returns a SELECT of the columns of all the days' matching rows.
func (c *where) overDays(columns string, days []int) string {
	branches := make([]string, len(days))
	for i, day := range days {
		branches[i] = "SELECT " + columns + " FROM " + tableOf(day) + " WHERE " + c.String()
	}
	return strings.Join(branches, " UNION ALL ")
}
