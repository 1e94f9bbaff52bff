package embedded

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/hack/torture/faultfs"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A commit that hangs makes the store not ready at first, and in the end not
// alive, so that another process takes over. Opening the database again, as a
// check of readiness does after a failed commit, may hang as well.
func TestHang(t *testing.T) {
	for name, tt := range map[string]struct {
		before faultfs.Fault
		do     func(s *Store, batch store.Batch) error
	}{
		"commit": {do: func(s *Store, batch store.Batch) error {
			_, err := s.Append(t.Context(), batch)
			return err
		}},
		"database opened again": {
			before: faultfs.Fault{Op: faultfs.Sync, Glob: "*.seg", Errno: syscall.EIO},
			do:     func(s *Store, _ store.Batch) error { return s.Ready(t.Context()) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			d.on(t, func() {
				var late atomic.Int64
				s := mustOpen(t, Options{Dir: d.dir(), Now: func() time.Time { return time.Now().Add(time.Duration(late.Load())) }})
				defer closed(t, s)
				defer d.Heal()
				m := newMaker(1)
				d.Inject(tt.before)
				if _, err := s.Append(t.Context(), m.batch(20)); (err == nil) != (tt.before.Op == "") {
					t.Fatalf("Append before = %v", err)
				}
				d.Heal()
				d.Inject(faultfs.Fault{Op: faultfs.Sync, Hang: true})
				ended := make(chan error, 1)
				go func() { ended <- tt.do(s, m.batch(20)) }()
				for d.Struck() == 0 {
					runtime.Gosched()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // rather than wait for the committer
				defer cancel()
				for after, live := range map[time.Duration]bool{commitHangs: true, commitLost: false} {
					late.Store(int64(after))
					if err := s.Ready(ctx); !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("Ready after %s = %v, want ErrUnavailable", after, err)
					}
					if err := s.Live(); (err == nil) != live {
						t.Errorf("Live after %s = %v", after, err)
					}
				}
				d.Heal()
				if err := errors.Join(<-ended, s.Ready(t.Context()), s.Live()); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

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
