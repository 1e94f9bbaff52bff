package embedded

import (
	"strings"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// anyPath matches paths of requests. One that is given without a query matches
// whatever its query is.
func (c *where) anyPath(values []string) string {
	var whole, alternatives []string
	for _, v := range query.Patterns(values) {
		switch {
		case v == query.Pattern{}: // no event that has a path matches it
		case v.Open:
			alternatives = append(alternatives, "(path <> '' AND starts_with(path, "+c.bind(store.Text(v.Text))+"))")
		default:
			whole = append(whole, v.Text)
			if !strings.Contains(v.Text, "?") {
				alternatives = append(alternatives, "starts_with(path, "+c.bind(store.Text(v.Text)+"?")+")")
			}
		}
	}
	alternatives = append(alternatives, c.anyOf("path", whole))
	return "(" + strings.Join(alternatives, " OR ") + ")"
}
