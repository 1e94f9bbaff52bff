package embedded

import (
	"strings"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A list of groups is one text in its column: each group with a line feed before
// it, and one at the end. The groups that nearly every event has are written in
// short, since a text costs by its length, and so are a backslash and a line feed,
// so that no name of a group reads as another one.
var shortGroups = []struct{ name, short string }{
	{"system:authenticated", `\a`},
	{"system:serviceaccounts", `\s`},
	{"system:nodes", `\k`},
	{"system:masters", `\m`},
	{"system:unauthenticated", `\u`},
}

// What begins the group of a namespace's service accounts.
const ofServiceAccounts, shortOfServiceAccounts = "system:serviceaccounts:", `\o`

var groupEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

// groupUnescaper reads what shortGroup writes.
var groupUnescaper = func() *strings.Replacer {
	pairs := []string{`\\`, `\`, `\n`, "\n", shortOfServiceAccounts, ofServiceAccounts}
	for _, g := range shortGroups {
		pairs = append(pairs, g.short, g.name)
	}
	return strings.NewReplacer(pairs...)
}()

// shortGroup returns a group as a list has it: its beginning and its rest.
func shortGroup(group string) (begin, rest string) {
	if strings.HasPrefix(group, "system:") {
		for i := range shortGroups {
			if group == shortGroups[i].name {
				return shortGroups[i].short, ""
			}
		}
		if of, ok := strings.CutPrefix(group, ofServiceAccounts); ok {
			begin, group = shortOfServiceAccounts, of
		}
	}
	if strings.ContainsAny(group, "\\\n") {
		group = groupEscaper.Replace(group)
	}
	return begin, group
}

// joinGroups returns the text of a list; "" of an empty one.
func joinGroups(groups []string) string {
	if len(groups) == 0 {
		return ""
	}
	var buffer [256]byte
	text := buffer[:0]
	for _, group := range groups {
		begin, rest := shortGroup(group)
		text = append(append(append(text, '\n'), begin...), rest...)
	}
	return string(append(text, '\n'))
}

// splitGroups reads what joinGroups returns.
func splitGroups(text string) []string {
	if len(text) < 2 {
		return nil
	}
	groups := strings.Split(text[1:len(text)-1], "\n")
	for i, group := range groups {
		if strings.Contains(group, `\`) {
			groups[i] = groupUnescaper.Replace(group)
		}
	}
	return groups
}

// The groups of both identities of a row as its columns have them, each once, with
// empty texts where there is none.
const (
	eachGroup = "unnest(list_distinct(string_split(coalesce(groups, '') || coalesce(acted_via_groups, ''), chr(10))))"
	hasGroups = "(groups <> '' OR acted_via_groups <> '')"
)

// nameOfGroup is what groupUnescaper makes of one (v). No text has a NUL, see
// store.Text.
var nameOfGroup = func() string {
	name := `replace(replace(v, '\\', chr(0)), '\n', chr(10))`
	for _, g := range append(shortGroups, struct{ name, short string }{ofServiceAccounts, shortOfServiceAccounts}) {
		name = "replace(" + name + ", '" + g.short + "', '" + g.name + "')"
	}
	return "replace(" + name + `, chr(0), '\')`
}()

// anyGroup matches an event by the groups of its identities: those of one to
// include it, those of every one to exclude it, since whoever impersonates chooses
// the groups of the effective user.
func (c *where) anyGroup(values []string, include bool) string {
	effective, authenticated := c.hasGroup("groups", values), c.hasGroup("acted_via_groups", values)
	if include {
		return "(" + effective + " OR " + authenticated + ")"
	}
	return "(" + effective + " AND (acted_via = '' AND coalesce(acted_via_groups, '') = '' OR " + authenticated + "))"
}

func (c *where) hasGroup(column string, values []string) string {
	var matches []string
	for _, v := range values {
		if name := query.Exact(v); name != "" {
			matches = append(matches, "contains(coalesce("+column+", ''), "+c.bind(joinGroups([]string{store.Text(name)}))+")")
		}
	}
	if len(matches) == 0 {
		return "FALSE"
	}
	return eitherOf(matches...)
}
