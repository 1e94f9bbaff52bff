package audit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func numbered(n int) []string {
	var groups []string
	for i := range n {
		groups = append(groups, fmt.Sprintf("group-%03d", i))
	}
	return groups
}

// Of many groups system:masters stays, then the first and the last ones, in
// their order.
func TestLimitGroups(t *testing.T) {
	with := func(at int, group string) []string { return slices.Insert(numbered(99), at, group) }
	ends := slices.Concat(numbered(100)[:5], numbered(100)[95:])
	for name, tc := range map[string]struct {
		groups      []string
		most, bytes int
		want        []string
		cut         bool
	}{
		"none":                     {nil, 10, 100, nil, false},
		"as many":                  {numbered(10), 10, 90, numbered(10), false},
		"one more":                 {numbered(11), 10, 1000, slices.Delete(numbered(11), 5, 6), true},
		"one byte more":            {numbered(10), 10, 89, slices.Delete(numbered(10), 5, 6), true},
		"many":                     {numbered(100), 10, 1000, ends, true},
		"masters in the middle":    {with(50, "system:masters"), 3, 1000, []string{"group-000", "system:masters", "group-098"}, true},
		"masters among others":     {with(50, "system:mastersx"), 2, 1000, []string{"group-000", "group-098"}, true},
		"masters alone has room":   {with(99, "system:masters"), 100, 14, []string{"system:masters"}, true},
		"a long one is passed by":  {[]string{strings.Repeat("x", 99), "a", "b"}, 3, 10, []string{"a", "b"}, true},
		"no room":                  {numbered(2), 0, 1000, nil, true},
		"masters stays at its end": {append(numbered(10), "system:masters"), 2, 1000, []string{"group-000", "system:masters"}, true},
	} {
		got, cut := LimitGroups(tc.groups, tc.most, tc.bytes)
		if diff := cmp.Diff(tc.want, got); diff != "" || cut != tc.cut {
			t.Errorf("%s: cut is %t; (-want +got):\n%s", name, cut, diff)
		}
	}
}

// The groups of both identities are kept, each to its bounds, and the event says
// where some are not.
func TestGroups(t *testing.T) {
	list := func(groups []string) string { return `"groups":["` + strings.Join(groups, `","`) + `"]` }
	const impersonated = `"impersonatedUser":{"username":"bob",%s},"sourceIPs"`
	longest, tooLong := strings.Repeat("é", MaxExactText), strings.Repeat("é", MaxExactText+1)
	sum := (Key{}).Hash([]byte(tooLong))
	for name, tc := range map[string]struct {
		groups, want []string
		truncated    bool
	}{
		"usual":           {[]string{"dev", "system:authenticated"}, []string{"dev", "system:authenticated"}, false},
		"without a name":  {[]string{"", "dev", ""}, []string{"dev"}, false},
		"as many":         {numbered(MaxGroups), numbered(MaxGroups), false},
		"one more":        {numbered(MaxGroups + 1), slices.Delete(numbered(MaxGroups+1), MaxGroups/2, MaxGroups/2+1), true},
		"the longest":     {[]string{longest}, []string{longest}, false},
		"longer":          {[]string{tooLong}, []string{strings.Repeat("é", MaxExactText-cutEnd) + fmt.Sprintf("~%x", sum)}, true},
		"as many bytes":   {slices.Repeat([]string{longest}, MaxGroupBytes/len(longest)), slices.Repeat([]string{longest}, MaxGroupBytes/len(longest)), false},
		"one more of one": {append(slices.Repeat([]string{longest}, MaxGroupBytes/len(longest)), "x"), append(slices.Repeat([]string{longest}, MaxGroupBytes/len(longest)-1), "x"), true},
	} {
		d := newDecoder(t)
		e := one(t, d, change(t, `"groups":["dev"]`, list(tc.groups)))
		if diff := cmp.Diff(tc.want, e.Groups); diff != "" || e.ActedViaGroups != nil || e.Truncated != tc.truncated {
			t.Errorf("%s: Truncated is %t, groups of the authenticated user %v (-want +got):\n%s", name, e.Truncated, e.ActedViaGroups, diff)
		}
		e = one(t, d, change(t, `"sourceIPs"`, fmt.Sprintf(impersonated, list(tc.groups))))
		if diff := cmp.Diff(tc.want, e.Groups); diff != "" || !slices.Equal(e.ActedViaGroups, []string{"dev"}) || e.Truncated != tc.truncated {
			t.Errorf("%s, impersonated: Truncated is %t, groups of the authenticated user %v (-want +got):\n%s", name, e.Truncated, e.ActedViaGroups, diff)
		}
		e = one(t, d, change(t, `"groups":["dev"]`, list(tc.groups), `"sourceIPs"`, fmt.Sprintf(impersonated, list([]string{"ops"}))))
		if diff := cmp.Diff(tc.want, e.ActedViaGroups); diff != "" || !slices.Equal(e.Groups, []string{"ops"}) || e.Truncated != tc.truncated {
			t.Errorf("%s, impersonating: Truncated is %t, groups of the actor %v (-want +got):\n%s", name, e.Truncated, e.Groups, diff)
		}
	}
}

// What was decoded keeps its groups when more is decoded.
func TestGroupsStay(t *testing.T) {
	var in strings.Builder
	for i := range 300 {
		in.WriteString(change(t, `"groups":["dev"`, fmt.Sprintf(`"groups":["dev-%d"`, i), `"a1"`, fmt.Sprintf(`"a%d"`, i)) + "\n")
	}
	events, _ := decode(t, newDecoder(t), in.String())
	for i, e := range events {
		if want := []string{fmt.Sprintf("dev-%d", i)}; !slices.Equal(e.Groups, want) {
			t.Fatalf("event %d has the groups %v", i, e.Groups)
		}
	}
	if len(events) != 300 {
		t.Errorf("%d events", len(events))
	}
}
