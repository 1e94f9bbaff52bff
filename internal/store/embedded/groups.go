package embedded

import "strings"

// A list of groups is one text in its column, since a few lists stand in most
// rows and DuckDB keeps equal texts once: each group with a line feed before it,
// and one at the end. In a group a line feed is \n and a backslash is doubled, so
// that no name of a group reads as another one.
var (
	groupEscaper   = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	groupUnescaper = strings.NewReplacer(`\\`, `\`, `\n`, "\n")
)

// joinGroups returns the text of a list; "" of an empty one.
func joinGroups(groups []string) string {
	if len(groups) == 0 {
		return ""
	}
	size := 1
	for _, group := range groups {
		size += 1 + len(group)
	}
	var text strings.Builder
	text.Grow(size)
	for _, group := range groups {
		text.WriteByte('\n')
		if strings.ContainsAny(group, "\\\n") {
			group = groupEscaper.Replace(group)
		}
		text.WriteString(group)
	}
	text.WriteByte('\n')
	return text.String()
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
