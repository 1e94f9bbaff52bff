package embedded

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// commitHangs is how long a commit may take until the store counts as hung, as
// it does when a network volume stops answering. After commitLost it is not
// waited for any longer.
const (
	commitHangs = 10 * time.Second
	commitLost  = 2 * time.Minute
)

// Ready implements store.Store: there is space, and the last commit succeeded
// or one without events does now. Nobody delivers to a store that isn't ready,
// so it must find out by itself when it is again.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.calls.Enter(); err != nil {
		return err
	}
	defer s.calls.Leave()
	if err := s.hung(commitHangs); err != nil {
		return err
	}
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != nil {
		// First, since it gives the space of what failed back.
		var failure error
		if err := s.commit(ctx, &job{run: func() { failure = s.probe(context.WithoutCancel(ctx)) }}); err != nil {
			return err
		}
		if failure != nil {
			return fmt.Errorf("%w: %w", store.ErrUnavailable, failure)
		}
	}
	if err := s.checkSpace(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return nil
}

// Live implements store.Store: neither a commit nor what else the committer does
// hangs, be it in the volume or in DuckDB.
func (s *Store) Live() error {
	err := s.hung(commitLost)
	if err != nil {
		s.log.Error(err, "The store hangs, and only a new process can help")
	}
	return err
}

// hung fails when what the committer does now takes longer than a limit.
func (s *Store) hung(limit time.Duration) error {
	s.mu.Lock()
	began := s.committing
	s.mu.Unlock()
	if began.IsZero() || s.opts.Now().Sub(began) <= limit {
		return nil
	}
	return fmt.Errorf("%w: a commit has been running since %s", store.ErrUnavailable, began.UTC().Format(time.RFC3339))
}

// timed does some of the committer's work, for hung to see.
func (s *Store) timed(work func()) {
	s.mu.Lock()
	s.committing = s.opts.Now()
	s.mu.Unlock()
	work()
	s.mu.Lock()
	s.committing = time.Time{}
	s.mu.Unlock()
}

// probe does all that a commit does, with no event in it. The committer runs it.
func (s *Store) probe(ctx context.Context) error {
	err := s.restore(ctx)
	if err == nil {
		err = s.writer.rehearse(dayOf(s.now()))
	}
	if err != nil {
		s.writer.broken = true
	}
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
	return err
}

// rehearse writes behind the committed part of a day's segment, which is cut
// again, and changes a row into what it was.
func (w *writer) rehearse(day int) error {
	if err := w.ensureDay(day); err != nil {
		return err
	}
	g, err := w.segment(day)
	if err != nil {
		return err
	}
	if err := errors.Join(g.write(make([]byte, frameHeader)), g.file.Sync(), g.cut()); err != nil {
		return fmt.Errorf("write raw segment: %w", err)
	}
	return w.inTransaction(func() error {
		return w.bulk.exec("UPDATE days SET segment_bytes = $2 WHERE day = $1", int64(day), w.sizes[day])
	})
}

// checkSpace fails when the volume has less space than Options.MinFree.
func (s *Store) checkSpace() error {
	free, err := freeSpace(s.opts.Dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errVolume, err)
	}
	if free < s.opts.MinFree {
		return fmt.Errorf("%w: %d bytes are free, %d are needed", errVolume, free, s.opts.MinFree)
	}
	return nil
}

func freeSpace(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}
