package collector

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the log says of a delivery is bounded, whatever its items are.
func TestReasons(t *testing.T) {
	var none reasons
	if d := cmp.Diff([]string(nil), none.list(0)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"3: refused by the store, see the quarantine"}, none.list(3)); d != "" {
		t.Error(d)
	}
	var r reasons
	long := strings.Repeat("x", maxReasonText+1)
	for i := range maxReasons + 7 {
		r.add(fmt.Sprintf("reason %d", i))
	}
	r.add("reason 3")
	want := []string{"2: reason 3", "1: reason 0", "1: reason 1", "1: reason 2", "1: reason 4", "7: other reasons", "1: refused by the store, see the quarantine"}
	if d := cmp.Diff(want, r.list(14)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	var cut reasons
	cut.add(long[:maxReasonText])
	cut.add(long)
	if d := cmp.Diff([]string{"1: " + long[:maxReasonText], "1: " + long[:maxReasonText] + "…"}, cut.list(2)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
