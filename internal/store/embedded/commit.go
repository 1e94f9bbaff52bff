package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/spans"
)

// commitLoop is the committer: the one goroutine that writes events.
func (s *Store) commitLoop() {
	for {
		group := s.queue.Take()
		if len(group) == 0 {
			return
		}
		for len(group) > 0 {
			n := slices.IndexFunc(group, func(j *job) bool { return j.run != nil })
			switch n {
			case -1:
				n = len(group)
				s.commitGroup(group)
			case 0:
				n = 1
				s.timed(group[0].run)
				close(group[0].done)
			default:
				s.commitGroup(group[:n])
			}
			group = group[n:]
		}
	}
}

// commitGroup commits jobs together and answers them. When that fails for
// what is in one of them, the others get a commit of their own.
func (s *Store) commitGroup(group []*job) {
	err := s.tryCommit(group)
	if err == nil || len(group) == 1 || errors.Is(err, errVolume) {
		s.answer(group, err)
		return
	}
	s.log.Error(err, "A commit of several batches failed; trying them one by one", "batches", len(group))
	for failures := 0; len(group) > 0; group = group[1:] {
		err := s.tryCommit(group[:1])
		if err != nil {
			failures++
		}
		if failures > 1 { // it is no batch's own fault, and each attempt takes long
			s.answer(group, err)
			return
		}
		s.answer(group[:1], err)
	}
}

// tryCommit commits jobs together.
func (s *Store) tryCommit(group []*job) (err error) {
	began := time.Now()
	ctx, span := beginCommit(context.Background(), group)
	s.timed(func() {
		if err = s.write(ctx, group); isOutOfMemory(err) {
			err = s.writeAlone(ctx, group)
		}
	})
	s.askForCheckpoint()
	spans.End(span, err)
	s.opts.Metrics.committed(time.Since(began), err)
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
	return err
}

// answer tells the jobs what became of them.
func (s *Store) answer(group []*job, err error) {
	if err != nil {
		s.log.Error(err, "A commit failed")
	}
	for _, j := range group {
		if err != nil {
			// The driver's words stay in the log.
			j.err = fmt.Errorf("the commit failed: %w", store.ErrUnavailable)
		}
		close(j.done)
	}
}

// errVolume marks failures that every batch would share.
var errVolume = errors.New("the volume can't be written")

func markVolume(err error) error {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", errVolume, err)
		}
	}
	var failure *duckdb.Error
	if errors.As(err, &failure) && (failure.Type == duckdb.ErrorTypeIO || failure.Type == duckdb.ErrorTypeFatal) {
		return fmt.Errorf("%w: %w", errVolume, err)
	}
	return err
}

// plan is what one commit writes.
type plan struct {
	ingestedAt  time.Time
	days        map[int]*dayPlan
	sources     map[string]store.SourceStats // new totals
	quarantined []audit.Quarantined
	results     []store.Appended // of each job
}

type dayPlan struct {
	chunks []*chunk // complete rows
	// lastChunked is the last event of the chunks.
	lastChunked audit.ID
	rows        []plannedRow // the others, which come after them
	ids         []audit.ID
	frames      []byte
}

type plannedRow struct {
	event      *audit.Event
	place      place
	ingestedAt time.Time
}

// write makes jobs durable: segments, fsync, then the rows that refer to them.
func (s *Store) write(ctx context.Context, group []*job) error {
	// First, since it gives the space of what failed back.
	if err := s.restore(ctx); err != nil {
		return markVolume(err)
	}
	if err := s.checkSpace(); err != nil {
		return err
	}
	p, err := s.plan(ctx, group)
	if err == nil {
		err = s.writePlan(ctx, p)
	}
	if err != nil {
		// Whether rows refer to the new end of a segment is for the database to
		// say: restore asks it, and cuts what it doesn't know.
		s.writer.broken = true
		return markVolume(err)
	}
	for i, j := range group {
		j.result = p.results[i]
	}
	return nil
}

// plan decides which events are new and where their raws go.
func (s *Store) plan(ctx context.Context, group []*job) (*plan, error) {
	p := &plan{
		ingestedAt: s.now(), days: map[int]*dayPlan{},
		sources: map[string]store.SourceStats{}, results: make([]store.Appended, len(group)),
	}
	fresh, err := s.freshEvents(ctx, group)
	if err != nil {
		return nil, err
	}
	for i, j := range group {
		name := store.Text(j.source)
		stats, ok := p.sources[name]
		if !ok {
			stats = s.writer.sources[name]
			stats.Source = name
		}
		result := &p.results[i]
		for _, d := range j.days {
			stored := p.addDay(d, fresh, s.writer.sizes[d.day], &stats)
			result.Stored += stored
			result.Duplicate += len(d.events) - stored
		}
		result.Quarantined = len(j.quarantined)
		p.quarantined = append(p.quarantined, j.quarantined...)
		if j.imported {
			continue
		}
		stats.Received += int64(j.Items)
		stats.Stored += int64(result.Stored)
		stats.Duplicate += int64(result.Duplicate)
		stats.Quarantined += int64(result.Quarantined)
		stats.LastReceivedAt = j.receivedAt
		p.sources[name] = stats
	}
	return p, nil
}

// freshEvents returns the group's events that are not stored yet, each once.
func (s *Store) freshEvents(ctx context.Context, group []*job) (map[audit.ID]*audit.Event, error) {
	fresh := map[audit.ID]*audit.Event{}
	suspects := map[int][]*audit.Event{} // that a filter may hold, by day
	for _, j := range group {
		for _, d := range j.days {
			_, exists := s.writer.sizes[d.day]
			if err := s.filters.ensure(ctx, s.writer.conn, d.day, exists); err != nil {
				return nil, fmt.Errorf("read the IDs of a day: %w", err)
			}
			if err := s.writer.ensureDay(d.day); err != nil {
				return nil, err
			}
			for _, e := range d.events {
				if fresh[e.ID] != nil {
					continue
				}
				fresh[e.ID] = e
				if s.filters.mayHold(d.day, e.ID) {
					suspects[d.day] = append(suspects[d.day], e)
				}
			}
		}
	}
	for day, events := range suspects {
		stored, err := storedIDs(ctx, s.writer.conn, day, events)
		if err != nil {
			return nil, fmt.Errorf("look up known IDs: %w", err)
		}
		for id := range stored {
			delete(fresh, id)
		}
	}
	return fresh, nil
}

// addDay plans the fresh events of one batch and day, takes them out of fresh,
// and returns how many there were. Frames without a fresh event aren't written.
func (p *plan) addDay(d *dayEvents, fresh map[audit.ID]*audit.Event, committed int64, stats *store.SourceStats) int {
	day := p.days[d.day]
	if day == nil {
		day = &dayPlan{}
		p.days[d.day] = day
	}
	offsets := make(map[int64]int64, len(d.frames))
	first := len(day.rows)
	for i, e := range d.events {
		if fresh[e.ID] == nil {
			continue
		}
		delete(fresh, e.ID)
		ingestedAt := p.ingestedAt
		if d.imported {
			ingestedAt = e.IngestedAt
		}
		at := d.places[i]
		if at.size > 0 {
			offset, written := offsets[at.frame]
			if !written {
				offset = committed + int64(len(day.frames))
				offsets[at.frame] = offset
				day.frames = append(day.frames, d.frames[at.frame]...)
			}
			at.frame = offset
		}
		day.rows = append(day.rows, plannedRow{e, at, ingestedAt})
		day.ids = append(day.ids, e.ID)
		if e.Client == audit.ClientOperator {
			stats.Own++
		}
		if e.StageAt.After(stats.LastEventAt) {
			stats.LastEventAt = e.StageAt
		}
	}
	rows := day.rows[first:]
	if d.chunks != nil && len(rows) == len(d.events) {
		for i, r := range rows {
			d.chunks[i/chunkRows].settle(i%chunkRows, p.ingestedAt.UnixMicro(), r.place.frame)
		}
		day.chunks = append(day.chunks, d.chunks...)
		day.lastChunked = d.events[len(d.events)-1].ID
		day.rows = day.rows[:first]
	}
	return len(rows)
}

// writePlan commits a plan and, once that is durable, records it in memory.
func (s *Store) writePlan(ctx context.Context, p *plan) (err error) {
	w := &s.writer
	synced := make(chan error, 1)
	if err := w.writeFrames(p, synced); err != nil {
		return err
	}
	waited := false
	defer func() {
		if !waited {
			err = errors.Join(err, <-synced)
		}
	}()
	quarantineBytes := w.quarantineBytes
	err = w.inTransaction(func() error {
		for _, day := range slices.Sorted(maps.Keys(p.days)) {
			if err := w.appendRows(day, p); err != nil {
				return fmt.Errorf("append rows: %w", err)
			}
		}
		var err error
		if quarantineBytes, err = w.appendQuarantine(p, s.opts.QuarantineBytes); err != nil {
			return fmt.Errorf("append to quarantine: %w", err)
		}
		for _, stats := range p.sources {
			if err := w.saveSource(stats); err != nil {
				return fmt.Errorf("save a source's totals: %w", err)
			}
		}
		// The rows were appended while the segments went to disk; the commit
		// may only follow both.
		waited = true
		return <-synced
	})
	if err != nil {
		return err
	}
	s.arrivals.add(p)
	for number, day := range p.days {
		s.filters.add(number, day.ids)
		s.opts.Metrics.grew(number, len(day.ids), len(day.frames))
		if len(day.frames) > 0 {
			w.sizes[number] += int64(len(day.frames))
			w.segments[number].size = w.sizes[number]
		}
	}
	maps.Copy(w.sources, p.sources)
	w.quarantineSeq += int64(len(p.quarantined))
	w.quarantineBytes = quarantineBytes
	return nil
}

// writeFrames writes the segments and sends the result of their fsync.
func (w *writer) writeFrames(p *plan, synced chan<- error) error {
	var written []*segment
	for number, day := range p.days {
		if len(day.frames) == 0 {
			continue
		}
		g, err := w.segment(number)
		if err != nil {
			return err
		}
		if err := g.write(day.frames); err != nil {
			return fmt.Errorf("write raw segment: %w", err)
		}
		written = append(written, g)
	}
	go func() {
		var errs []error
		for _, g := range written {
			errs = append(errs, g.file.Sync())
		}
		synced <- errors.Join(errs...)
	}()
	return nil
}

// appendRows adds a day's rows and its segment's new size to the transaction.
func (w *writer) appendRows(number int, p *plan) error {
	day := p.days[number]
	if len(day.chunks) > 0 {
		if err := w.bulk.fill(tableOf(number), day.chunks); err != nil {
			return err
		}
	}
	for rows := range slices.Chunk(day.rows, chunkRows) {
		w.scratch.reset(eventNullable)
		for i, r := range rows {
			w.scratch.addEvent(r.event, r.place)
			w.scratch.settle(i, r.ingestedAt.UnixMicro(), r.place.frame)
		}
		if err := w.bulk.fill(tableOf(number), []*chunk{w.scratch}); err != nil {
			return err
		}
	}
	if len(day.frames) == 0 {
		return nil
	}
	return w.bulk.exec("UPDATE days SET segment_bytes = $2 WHERE day = $1", int64(number), w.sizes[number]+int64(len(day.frames)))
}
