package embedded

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr/testr"

	"github.com/porter-dev/audit-operator/internal/store"
)

// hog takes all the memory that DuckDB has.
const hog = "SELECT len(list(i || '-' || i)) FROM range(200000000) AS r(i)"

func (s *Store) hogMemory(ctx context.Context) error {
	return s.read(ctx, "test", func(ctx context.Context, tx *readTx) error {
		var n int64
		return tx.QueryRowContext(ctx, hog).Scan(&n)
	})
}

// A read that lacks memory may be made again later if others have it, and not
// if it is alone.
func TestReadsThatLackMemory(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), MemoryLimit: 64 << 20})
	defer closed(t, s)
	if err := s.hogMemory(t.Context()); !isOutOfMemory(err) || errors.Is(err, store.ErrBusy) {
		t.Errorf("alone: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.read(ctx, "test", func(ctx context.Context, _ *readTx) error {
			close(began)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-began
	if err := s.hogMemory(t.Context()); !errors.Is(err, store.ErrBusy) {
		t.Errorf("beside another: %v", err)
	}
	cancel()
	<-ended
}

// Reads that take all memory fail no commit.
func TestCommitsHaveMemory(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), MemoryLimit: 96 << 20, Log: testr.New(t)})
	defer closed(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	var hogged atomic.Int64
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if err := s.hogMemory(ctx); err != nil {
					hogged.Add(1)
				}
			}
		})
	}
	defer readers.Wait()
	defer cancel()
	m := newMaker(1)
	for i := 0; i < 20 || hogged.Load() < 8; i++ {
		if _, err := s.Append(t.Context(), m.batch(500)); err != nil {
			t.Fatalf("delivery %d, after %d reads that took all memory: %v", i, hogged.Load(), err)
		}
	}
	t.Logf("%d reads took all memory", hogged.Load())
}
