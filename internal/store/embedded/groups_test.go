package embedded

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A list of groups comes back as it was, and no two lists are one text.
func TestGroupsText(t *testing.T) {
	group := rapid.SampledFrom([]string{"", "a", "b", "a\nb", `a\nb`, `\`, "\n", `\\`, "\\\n", "größe", "system:masters", "system:serviceaccounts", "system:serviceaccounts:a", "system:serviceaccounts:", `\m`, `\ox`, "system:mastersx"})
	lists := rapid.SliceOfN(group, 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := lists.Draw(t, "a"), lists.Draw(t, "b")
		if got := splitGroups(joinGroups(a)); !slices.Equal(got, a) {
			t.Errorf("%q becomes %q", a, got)
		}
		if slices.Equal(a, b) != (joinGroups(a) == joinGroups(b)) {
			t.Errorf("%q and %q become %q and %q", a, b, joinGroups(a), joinGroups(b))
		}
	})
}
