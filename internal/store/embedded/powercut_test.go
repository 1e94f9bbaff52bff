package embedded

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/porter-dev/audit-operator/hack/torture/faultfs"
)

// disk is a volume that loses what was not synced, with a store's directory.
type disk struct {
	*faultfs.FS
	mounted string
}

func newDisk(t *testing.T) *disk { return &disk{FS: faultfs.New(1 << 30), mounted: t.TempDir()} }

// dir is the store's, which it makes.
func (d *disk) dir() string { return filepath.Join(d.mounted, "data") }

// on runs something while the volume is mounted.
func (d *disk) on(t *testing.T, use func()) {
	t.Helper()
	if err := d.Mount(d.mounted); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Unmount(); err != nil {
			t.Error(err)
		}
	}()
	use()
}

// TestPowerCut cuts the power in the middle of appends: what was not synced is
// lost, or some part of it. What was acknowledged is stored all the same. More
// rounds, on the whole manager, are in hack/torture.
func TestPowerCut(t *testing.T) {
	d := newDisk(t)
	acknowledged := map[string]bool{}
	for round := range 8 {
		d.on(t, func() {
			if round%2 == 1 { // between any two operations, not only when all is quiet
				d.CutAfter(150+37*round, "")
			}
			appendAndKill(t, d.dir(), round, 5+15*round, acknowledged)
		})
		var chance *rand.Rand // without it, the first rounds lose everything
		if round >= 3 {
			chance = rand.New(rand.NewPCG(uint64(round), 0))
		}
		d.Cut(chance)
		d.on(t, func() { checkStored(t, d.dir(), acknowledged) })
	}
}

// TestPowerCutInCheckpoint cuts the power between any two operations of a
// checkpoint on the database's file, which nothing else writes.
func TestPowerCutInCheckpoint(t *testing.T) {
	d := newDisk(t)
	acknowledged := map[string]bool{}
	for round := range 16 {
		d.on(t, func() {
			if round >= 2 {
				d.CutAfter(round/2, "events.duckdb")
			}
			follow(t, child(t, "append and close", d.dir(), fmt.Sprint(round)), math.MaxInt, acknowledged)
		})
		d.Cut(rand.New(rand.NewPCG(uint64(round), 1)))
		d.on(t, func() { checkStored(t, d.dir(), acknowledged) })
	}
}
