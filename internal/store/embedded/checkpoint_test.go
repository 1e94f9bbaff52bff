package embedded

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Reads that overlap, one of which never ends by itself, keep no checkpoint from
// being made for long: the log stays bounded, and whose read was ended is told
// to ask again.
func TestReadsDontKeepTheLogLong(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	const most = 4 << 20
	s.logMost = most
	ctx, cancel := context.WithCancel(t.Context())
	var ended, others atomic.Int64
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				err := s.read(ctx, "test", func(ctx context.Context, _ *readTx) error {
					<-ctx.Done()
					return ctx.Err()
				})
				switch {
				case errors.Is(err, store.ErrBusy):
					ended.Add(1)
				case ctx.Err() == nil:
					others.Add(1)
					t.Errorf("a read ended with %v", err)
				}
			}
		})
	}
	defer readers.Wait()
	defer cancel()
	m, longest := newMaker(1), int64(0)
	for deadline := time.Now().Add(time.Minute); ended.Load() < 8; { // of two checkpoints
		if _, err := s.Append(t.Context(), m.batch(400)); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, logSize(s.opts.Dir))
		if time.Now().After(deadline) {
			t.Fatalf("%d reads were ended within a minute, the log has %d bytes", ended.Load(), logSize(s.opts.Dir))
		}
	}
	// What comes within readPatience and a checkpoint, on a slow machine.
	if longest > most+96<<20 {
		t.Errorf("the log grew to %d bytes, though reads are to be ended from %d on", longest, most)
	}
	if n := others.Load(); n > 0 {
		t.Errorf("%d reads ended otherwise", n)
	}
}

// A read that comes while others are held up waits, no longer than its context.
func TestReadsWaitForACheckpoint(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	nothing := func(context.Context, *readTx) error { return nil }
	release := s.readers.hold()
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.read(short, "test", nothing); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while reads are held up: %v", err)
	}
	if _, alone := s.readers.drain(0); !alone {
		t.Error("a read runs though none may begin")
	}
	read := make(chan error, 1)
	go func() { read <- s.read(t.Context(), "test", nothing) }()
	release()
	if err := <-read; err != nil {
		t.Errorf("after it: %v", err)
	}
}

// A backup is no read to end: the log may grow until it is done.
func TestBackupIsNotEnded(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	done := s.readers.backup()
	began := make(chan struct{})
	read, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.read(read, "test", func(ctx context.Context, _ *readTx) error {
			close(began)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-began
	if err := s.checkpointAlone(); err != nil {
		t.Errorf("beside a backup: %v", err)
	}
	if read.Err() != nil || len(ended) > 0 {
		t.Error("a read was ended for nothing")
	}
	done()
	if err := s.checkpointAlone(); err != nil {
		t.Errorf("after the backup: %v", err)
	}
	if err := <-ended; !errors.Is(err, store.ErrBusy) {
		t.Errorf("the read in the way: %v", err)
	}
	cancel()
}
