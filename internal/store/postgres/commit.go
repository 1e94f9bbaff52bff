package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/spans"
)

// committers is how many transactions a process has in flight: while one waits
// for the disk, the other is filled.
const committers = 2

// commitLoop is a committer: one goroutine with one connection.
func (s *Store) commitLoop() {
	w := &writer{pool: s.pool}
	defer w.close()
	for {
		group := s.queue.Take()
		if len(group) == 0 {
			return
		}
		s.commitGroup(w, group)
	}
}

// commitGroup commits jobs together and answers them. When that fails for
// what is in one of them, each gets a commit of its own.
func (s *Store) commitGroup(w *writer, group []*job) {
	began := time.Now()
	err := s.tryCommit(w, group)
	if err != nil && time.Since(began) >= commitTimeout {
		// What came meanwhile would hang for as long again, and who sent it
		// would have no answer by then.
		group = append(group, s.queue.TakeAll()...)
	}
	if !isDataError(err) {
		s.answer(group, err)
		return
	}
	s.log.Error(err, "The database refuses a part of what was to be committed; looking for it", "batches", len(group))
	for _, j := range group {
		if j.imported { // quarantine is for what sources deliver
			s.answer([]*job{j}, s.tryCommit(w, []*job{j}))
			continue
		}
		search := &search{s: s, w: w, judgedBy: j.judgedBy}
		err := search.commit(*j.batch)
		j.result = search.result
		s.answer([]*job{j}, err)
	}
}

// answer tells the jobs what became of them.
func (s *Store) answer(group []*job, err error) {
	if err != nil {
		s.log.Error(s.target.explain(err), "A commit failed")
	}
	for _, j := range group {
		if err != nil {
			// The driver's words stay in the log.
			j.result, j.err = store.Appended{}, fmt.Errorf("the commit failed: %w", store.ErrUnavailable)
		}
		if j.imported && isDataError(err) { // which does not pass
			j.err = fmt.Errorf("the database refuses an imported event: %s", failedStatement(err).Message)
		}
		close(j.done)
	}
}

// maxAttempts bounds how often a transaction is tried that meets others.
const maxAttempts = 5

// tryCommit commits jobs together.
func (s *Store) tryCommit(w *writer, group []*job) error {
	ctx, span := beginCommit(context.Background(), group)
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	began := time.Now()
	var err error
	for range maxAttempts {
		p := s.plan(group)
		connected := w.conn != nil
		if err = w.write(ctx, p); err == nil {
			break
		}
		// A connection may have died since it was last used; nothing else was
		// lost if it was not asked to commit.
		if died := connected && w.conn == nil && !p.committing; !died && !isPassing(err) {
			break
		}
		s.log.V(1).Info("A commit met another one or a dead connection; tried again", "reason", err.Error())
		w.days = nil
	}
	if err != nil && ctx.Err() != nil {
		err = hangs(commitTimeout) // which the driver's words don't tell
	}
	spans.End(span, err)
	s.readiness.committed(err)
	s.opts.Metrics.committed(time.Since(began), err)
	return err
}

// search commits a batch that the database refuses for some of its events: it
// looks for them by halves, and quarantines those that it refuses while it takes
// a plain event of the same day.
type search struct {
	s        *Store
	w        *writer
	judgedBy time.Time
	refused  int
	result   store.Appended
}

// maxRefused is how many events of a batch are quarantined one by one. Where
// more are refused, it is not their fault.
const maxRefused = 32

func (f *search) commit(batch store.Batch) error {
	j := f.s.prepare(&batch, f.judgedBy)
	err := f.s.tryCommit(f.w, []*job{j})
	switch {
	case err == nil:
		f.result.Stored += j.result.Stored
		f.result.Duplicate += j.result.Duplicate
		f.result.Quarantined += j.result.Quarantined
		return nil
	case !isDataError(err), len(batch.Events) == 0, f.refused == maxRefused:
		return err
	case len(batch.Events) == 1:
		if control := f.control(&batch.Events[0]); control != nil {
			return fmt.Errorf("the database refuses a plain event of that day too: %w", control)
		}
		f.refused++
		return f.commit(quarantineOnly(batch, err))
	}
	first, second := batch, batch
	half := len(batch.Events) / 2
	first.Events, second.Events = batch.Events[:half], batch.Events[half:]
	second.Quarantined = nil
	if err := f.commit(first); err != nil {
		return err
	}
	return f.commit(second)
}

// control returns why the database takes no event at all of the day of another
// one, or nil where it does. It leaves no trace.
func (f *search) control(e *audit.Event) error {
	plain := audit.Event{ID: e.ID, OccurredAt: e.OccurredAt, StageAt: e.OccurredAt, RawSHA256: e.RawSHA256}
	j := &job{batch: &store.Batch{}}
	j.addDays([]*audit.Event{&plain})
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	var err error
	for range maxAttempts {
		if err = f.w.try(ctx, f.s.plan([]*job{j})); err == nil || !isPassing(err) {
			return err
		}
		f.w.days = nil
	}
	return err
}

// quarantineOnly is a batch whose one event the database refuses.
func quarantineOnly(batch store.Batch, err error) store.Batch {
	failed := failedStatement(err)
	reason := fmt.Sprintf("the database refuses the event: %s (SQLSTATE %s)", failed.Message, failed.Code)
	batch.Quarantined = append(slices.Clone(batch.Quarantined), quarantinedEvent(&batch, &batch.Events[0], reason))
	batch.Events = nil
	return batch
}

// write makes a plan durable.
func (w *writer) write(ctx context.Context, p *plan) error {
	err := w.tryWrite(ctx, p)
	if err != nil && w.conn != nil && w.conn.IsClosed() {
		w.close()
	}
	return err
}

func (w *writer) tryWrite(ctx context.Context, p *plan) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	if err := w.ensureDays(ctx, p.days); err != nil {
		return err
	}
	if err := w.resolve(ctx, p.rows); err != nil {
		return err
	}
	if err := w.settle(ctx, p); err != nil {
		return err
	}
	err := w.ingest(ctx, p)
	if err != nil {
		err = errors.Join(err, w.rollBack())
	}
	return err
}

// rollBack ends a transaction, in its own time: the plan's may be over.
func (w *writer) rollBack() error {
	if w.conn.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := w.conn.Exec(ctx, "ROLLBACK")
	if err != nil {
		w.close()
	}
	return err
}

// try writes the rows of a plan and takes them back.
func (w *writer) try(ctx context.Context, p *plan) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	if err := w.ensureDays(ctx, p.days); err != nil {
		return err
	}
	err := w.copyRows(ctx, p)
	return errors.Join(err, w.rollBack())
}

// settle sets in the rows what is known now, and numbers blobs and deltas by
// this connection's server, before the transaction begins.
func (w *writer) settle(ctx context.Context, p *plan) (err error) {
	for _, day := range p.days {
		if p.deltaNumbers[day], err = w.batchNumber(ctx); err != nil {
			return err
		}
	}
	for _, r := range p.rows {
		r.number = p.deltaNumbers[r.day] // where there is no raw
		if r.place.size > 0 {
			blob := p.blobOf(r)
			if blob.batch == 0 {
				if blob.batch, err = w.batchNumber(ctx); err != nil {
					return err
				}
			}
			r.number = blob.batch
		}
		ingestedAt := p.ingestedAt
		if p.group[r.job].imported {
			ingestedAt = r.event.IngestedAt
		}
		r.settle(ingestedAt, r.number, r.ids)
	}
	return nil
}
