package torture

import (
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/porter-dev/audit-operator/hack/torture/faultfs"
)

// volume is a data directory on a file system that fails on demand.
type volume struct {
	*faultfs.FS
	mounted string
}

func newVolume(t *testing.T, bytes int64) *volume {
	t.Helper()
	v := &volume{FS: faultfs.New(bytes), mounted: t.TempDir()}
	v.mount(t)
	t.Cleanup(func() { v.unmount(t) })
	return v
}

func (v *volume) mount(t *testing.T) {
	t.Helper()
	if err := v.Mount(v.mounted); err != nil {
		t.Fatal(err)
	}
}

func (v *volume) unmount(t *testing.T) {
	t.Helper()
	if err := v.Unmount(); err != nil {
		t.Error(err)
	}
}

// data is the store's directory, which the manager makes.
func (v *volume) data() string { return filepath.Join(v.mounted, "store") }

// TestPowerCut cuts the power under load: what was not synced is lost, all of
// it or any part.
func TestPowerCut(t *testing.T) {
	w := inWorld(t)
	r := scenario(t, "power cut")
	chance := rand.New(rand.NewPCG(5, 0))
	var disk *volume
	var l *ledger
	var s *sender
	for round := range rounds(t, 50) {
		if round%roundsPerStore == 0 {
			disk = newVolume(t, 4<<30)
			l = newLedger(t, folder(disk.data()))
			s = newSender(w, "honest", uint64(5000+round))
		}
		m := w.mustStart(t, l.storage)
		stop := s.start(t)
		rate := s.loadFor(t, moment(chance))
		how := disk.end(t, m, chance)
		stop()
		r.before(t, rate)
		l.note(t, s.source.name, s.settled())
		kept := chance
		if chance.IntN(3) == 0 {
			kept = nil
		}
		disk.cut(t, kept)
		if chance.IntN(4) == 0 {
			how += ", and again as it recovered"
			disk.CutAfter(chance.IntN(40), "")
			if again, err := w.start(t.Context(), l.storage); err == nil {
				if err := again.kill(); err != nil {
					t.Fatal(err)
				}
			}
			disk.cut(t, kept)
		}
		v := l.compare(t)
		t.Logf("round %d: %s at %.0f events/s, some of the unsynced kept: %t: %v", round+1, how, rate, kept != nil, v)
		r.round(t, l, v)
		if t.Failed() {
			return
		}
	}
}

// end ends a manager by a power cut, in one of the ways that there are.
func (v *volume) end(t *testing.T, m *manager, chance *rand.Rand) (how string) {
	t.Helper()
	switch chance.IntN(3) {
	case 0:
		how = "killed, then cut off"
	case 1:
		how = "cut off between two operations on the disk"
		v.CutAfter(chance.IntN(100), "")
		await(t, v.Off)
	case 2:
		how = "cut off as it ended, folding its log into the database"
		if err := m.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		v.CutAfter(chance.IntN(100), "")
		await(t, func() bool { return v.Off() || !m.alive() })
	}
	if err := m.kill(); err != nil {
		t.Fatal(err)
	}
	return how
}

func (v *volume) cut(t *testing.T, chance *rand.Rand) {
	t.Helper()
	v.unmount(t)
	v.Cut(chance)
	v.mount(t)
}
