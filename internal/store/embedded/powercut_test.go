package embedded

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/porter-dev/audit-operator/hack/torture/faultfs"
)

// TestPowerCut cuts the power in the middle of appends: what was not synced is
// lost, or some part of it. What was acknowledged is stored all the same. More
// rounds, on the whole manager, are in hack/torture.
func TestPowerCut(t *testing.T) {
	volume := faultfs.New(1 << 30)
	mounted := t.TempDir()
	dir := filepath.Join(mounted, "data") // which the store makes
	acknowledged := map[string]bool{}
	on := func(use func()) {
		t.Helper()
		if err := volume.Mount(mounted); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := volume.Unmount(); err != nil {
				t.Error(err)
			}
		}()
		use()
	}
	for round := range 8 {
		on(func() {
			if round%2 == 1 { // between any two operations, not only when all is quiet
				volume.CutAfter(150 + 37*round)
			}
			appendAndKill(t, dir, round, 5+15*round, acknowledged)
		})
		var chance *rand.Rand // without it, the first rounds lose everything
		if round >= 3 {
			chance = rand.New(rand.NewPCG(uint64(round), 0))
		}
		volume.Cut(chance)
		on(func() { checkStored(t, dir, acknowledged) })
	}
}
