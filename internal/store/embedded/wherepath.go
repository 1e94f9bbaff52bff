package embedded

import (
	"strings"

	"github.com/porter-dev/audit-operator/internal/store"
)

// anyPath matches paths of requests. One that is given without a query matches
// whatever its query is.
func (c *where) anyPath(values []string) string {
	var whole, alternatives []string
	for _, v := range values {
		switch prefix, open := strings.CutSuffix(v, "*"); {
		case v == "": // no event that has a path matches it
		case open:
			alternatives = append(alternatives, "(path <> '' AND starts_with(path, "+c.bind(store.Text(prefix))+"))")
		default:
			whole = append(whole, v)
			if !strings.Contains(v, "?") {
				alternatives = append(alternatives, "starts_with(path, "+c.bind(store.Text(v)+"?")+")")
			}
		}
	}
	alternatives = append(alternatives, c.anyOf("path", whole))
	return "(" + strings.Join(alternatives, " OR ") + ")"
}
