package postgres

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

// job is a batch on its way through a committer.
type job struct {
	intake.Job
	batch       *store.Batch // the caller's, until the job is done
	rows        []row
	blobs       []blob
	quarantined []audit.Quarantined
	judgedBy    time.Time // what sets events aside
	imported    bool      // from another store, which has counted it

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
	items, bytes := sizeOf(batch)
	if !s.queue.Reserve(items, bytes) {
		return store.Appended{}, store.ErrOverloaded
	}
	defer s.queue.Release(items, bytes)
	ctx, span := tracer.Begin(ctx, name, attribute.Int("audit.items", items), attribute.Int64("audit.raw_bytes", bytes))
	defer func() { spans.End(span, err) }()
	j := prepare(batch)
	if err := s.commit(ctx, j); err != nil {
		return store.Appended{}, err
	}
	return j.result, nil
}

func sizeOf(batch *store.Batch) (items int, bytes int64) {
	for i := range batch.Events {
		bytes += int64(len(batch.Events[i].Raw))
	}
	for i := range batch.Quarantined {
		bytes += int64(len(batch.Quarantined[i].Redacted))
	}
	return len(batch.Events) + len(batch.Quarantined), bytes
}

// commit hands a job to a committer and waits for it. When ctx ends, a job
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

// prepare does in the caller's goroutine what needs no connection: it sets
// aside what belongs to no retained day, encodes the rows and packs the raws.
func (s *Store) prepare(batch *store.Batch, now time.Time) *job {
	j := &job{batch: batch, judgedBy: now}
	j.Items, j.Bytes = sizeOf(batch)
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
			j.quarantined = append(j.quarantined, quarantinedEvent(batch, e, reason))
			continue
		}
		kept = append(kept, store.Bounded(e))
	}
	j.addDays(kept)
	return j
}

// addDays adds events, those of each day together.
func (j *job) addDays(events []*audit.Event) {
	var days []dayNumber
	byDay := map[dayNumber][]*audit.Event{}
	for _, e := range events {
		day := dayOf(e.OccurredAt)
		if byDay[day] == nil {
			days = append(days, day)
		}
		byDay[day] = append(byDay[day], e)
	}
	for _, day := range days {
		j.add(day, byDay[day])
	}
}

// quarantinedEvent is an event of a batch as an item of the quarantine.
func quarantinedEvent(batch *store.Batch, e *audit.Event, reason string) audit.Quarantined {
	return audit.Quarantined{
		Source: batch.Source, Cluster: e.Cluster, ReceivedAt: batch.ReceivedAt, Reason: reason,
		Size: int64(len(e.Raw)), Hash: e.RawSHA256, Redacted: e.Raw,
	}
}
