package embedded

import (
	"errors"
	"syscall"
	"testing"

	"github.com/porter-dev/audit-operator/hack/torture/faultfs"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A store that can't commit is not ready, whichever of its files it is that
// fails, and is ready again once it can: without that anybody delivers.
func TestReadyTellsTheTruth(t *testing.T) {
	for name, fault := range map[string]faultfs.Fault{
		"segment written": {Op: faultfs.Write, Glob: "*.seg"},
		"segment synced":  {Op: faultfs.Sync, Glob: "*.seg"},
		"segment made":    {Op: faultfs.Name, Glob: "*.seg"},
		"segment name":    {Op: faultfs.SyncDir, Glob: "raw"},
		"log written":     {Op: faultfs.Write, Glob: "*.wal"},
		"log synced":      {Op: faultfs.Sync, Glob: "*.wal"},
		"synced at all":   {Op: faultfs.Sync},
		"full":            {Op: faultfs.Write, Errno: syscall.ENOSPC},
	} {
		t.Run(name, func(t *testing.T) {
			if fault.Errno == 0 {
				fault.Errno = syscall.EIO
			}
			d := newDisk(t)
			d.on(t, func() {
				s := mustOpen(t, Options{Dir: d.dir()})
				m := newMaker(1)
				if err := s.Ready(t.Context()); err != nil {
					t.Errorf("Ready at first: %v", err)
				}
				d.Inject(fault)
				batch := m.batch(20)
				if _, err := s.Append(t.Context(), batch); err == nil {
					t.Error("the fault strikes nothing")
				}
				if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("Ready while commits fail = %v, want ErrUnavailable", err)
				}
				d.Heal()
				if err := s.Ready(t.Context()); err != nil {
					t.Errorf("Ready afterwards: %v", err)
				}
				if got, err := s.Append(t.Context(), batch); err != nil || got.Stored+got.Duplicate != 20 {
					t.Errorf("Append afterwards = %+v, %v", got, err)
				}
				found := 0
				if err := s.Verify(t.Context(), func(audit.ID) error { found++; return nil }); err != nil || found != 20 {
					t.Errorf("%d events, %v", found, err)
				}
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}
