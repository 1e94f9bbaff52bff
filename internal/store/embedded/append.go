package embedded

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/intake"
	"github.com/porter-dev/audit-operator/internal/store/spans"
)

// job is a batch, or work that must not meet a commit, on its way through the
// committer.
type job struct {
	intake.Job
	source      string
	receivedAt  time.Time
	days        []*dayEvents
	quarantined []audit.Quarantined
	imported    bool   // from another store, which has counted it
	run         func() // instead of a commit, when set

	span   trace.Span // of the caller
	done   chan struct{}
	result store.Appended
	err    error
}

// Append implements store.Writer.
func (s *Store) Append(ctx context.Context, batch store.Batch) (_ store.Appended, err error) {
	if err := s.calls.Enter(); err != nil {
		return store.Appended{}, fmt.Errorf("append: %w", err)
	}
	defer s.calls.Leave()
	if err := ctx.Err(); err != nil {
		return store.Appended{}, err
	}
	now, err := s.clock.Admit(&batch, s.opts.Retention)
	if err != nil {
		return store.Appended{}, fmt.Errorf("append: %w", err)
	}
	s.skews.Note(&batch)
	result, err := s.take(ctx, "store.append", &batch, func(batch *store.Batch) *job { return s.prepare(batch, now) })
	if err != nil {
		return store.Appended{}, fmt.Errorf("append: %w", err)
	}
	return result, nil
}

// take commits what prepare makes of a batch, if there is room for it.
func (s *Store) take(ctx context.Context, name string, batch *store.Batch, prepare func(*store.Batch) *job) (_ store.Appended, err error) {
	items := len(batch.Events) + len(batch.Quarantined)
	var bytes int64
	for i := range batch.Events {
		bytes += int64(len(batch.Events[i].Raw))
	}
	for i := range batch.Quarantined {
		bytes += int64(len(batch.Quarantined[i].Redacted))
	}
	if !s.queue.Reserve(items, bytes) {
		return store.Appended{}, store.ErrOverloaded
	}
	defer s.queue.Release(items, bytes)
	ctx, span := tracer.Begin(ctx, name, attribute.Int("audit.items", items), attribute.Int64("audit.raw_bytes", bytes))
	defer func() { spans.End(span, err) }()
	j := prepare(batch)
	defer j.release(&s.chunks)
	j.Items, j.Bytes = items, bytes
	if err := s.commit(ctx, j); err != nil {
		return store.Appended{}, err
	}
	return j.result, nil
}

// commit hands a job to the committer and waits for it. When ctx ends, a job
// that waits is withdrawn; one being committed is waited for, since it may
// already be durable and still uses the caller's memory.
func (s *Store) commit(ctx context.Context, j *job) error {
	j.done, j.span = make(chan struct{}), trace.SpanFromContext(ctx)
	s.queue.Push(j)
	select {
	case <-j.done:
	case <-ctx.Done():
		if s.queue.Withdraw(j) {
			return ctx.Err()
		}
		<-j.done
	}
	return j.err
}

// prepare sorts a batch by day, sets aside what belongs to no retained day and
// packs the raws.
func (s *Store) prepare(batch *store.Batch, now time.Time) *job {
	j := &job{source: batch.Source, receivedAt: batch.ReceivedAt}
	for _, q := range batch.Quarantined {
		if q.Source == "" {
			q.Source = batch.Source
		}
		if q.ReceivedAt.IsZero() {
			q.ReceivedAt = batch.ReceivedAt
		}
		j.quarantined = append(j.quarantined, q)
	}
	kept := make([]*audit.Event, 0, len(batch.Events))
	for i := range batch.Events {
		e := &batch.Events[i]
		if reason := intake.Outside(e, now, s.opts.Retention); reason != "" {
			j.quarantined = append(j.quarantined, audit.Quarantined{
				Source: batch.Source, Cluster: e.Cluster, ReceivedAt: batch.ReceivedAt, Reason: reason,
				Size: int64(len(e.Raw)), Hash: e.RawSHA256, Redacted: e.Raw,
			})
			continue
		}
		kept = append(kept, store.Bounded(e))
	}
	j.days = splitDays(kept)
	for _, d := range j.days {
		d.pack()
		d.fill(&s.chunks)
	}
	return j
}

// splitDays sorts events by day.
func splitDays(events []*audit.Event) []*dayEvents {
	var days []*dayEvents
	var current *dayEvents
	byDay := map[int]*dayEvents{}
	for _, e := range events {
		day := dayOf(e.OccurredAt)
		if current == nil || current.day != day {
			if current = byDay[day]; current == nil {
				current = &dayEvents{day: day}
				byDay[day] = current
				days = append(days, current)
			}
		}
		current.events = append(current.events, e)
	}
	return days
}
