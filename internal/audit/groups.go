package audit

import "slices"

// Bounds of the groups that a row keeps of one identity. Whoever may impersonate
// chooses any number of them, and a directory may have hundreds.
const (
	MaxGroups = 64
	// MaxGroupBytes bounds the texts of all of them together.
	MaxGroupBytes = 4 << 10
)

// mastersGroup may do everything, whatever RBAC says.
const mastersGroup = "system:masters"

// LimitGroups returns at most so many groups of at most so many bytes together,
// in their order, and whether others are left out: system:masters stays wherever
// it stands, then the first and the last ones, by turns.
func LimitGroups(groups []string, most, bytes int) (kept []string, cut bool) {
	size := 0
	for _, group := range groups {
		size += len(group)
	}
	if len(groups) <= most && size <= bytes {
		return groups, false
	}
	keep := make([]bool, len(groups))
	take := func(i int) {
		if !keep[i] && most > 0 && len(groups[i]) <= bytes {
			keep[i] = true
			most--
			bytes -= len(groups[i])
		}
	}
	if i := slices.Index(groups, mastersGroup); i >= 0 {
		take(i)
	}
	for i := range (len(groups) + 1) / 2 {
		take(i)
		take(len(groups) - 1 - i)
	}
	for i, group := range groups {
		if keep[i] {
			kept = append(kept, group)
		}
	}
	return kept, true
}

// groups bounds those of an identity.
func (c *cutter) groups(all []string) []string {
	for i, group := range all {
		if len(group) > MaxExactText {
			all[i] = c.exact(group)
		}
	}
	kept, cut := LimitGroups(all, MaxGroups, MaxGroupBytes)
	c.cut = c.cut || cut
	return kept
}

// groups keeps a list of groups, without those that have no name.
func (r *room) groups(all []string) []string {
	if len(all) == 0 {
		return nil
	}
	if len(all) > len(r.names) {
		r.names = make([]string, max(len(all), 64))
	}
	list := r.names[:0:len(all)]
	r.names = r.names[len(all):]
	for _, group := range all {
		if group != "" {
			list = append(list, group)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}
