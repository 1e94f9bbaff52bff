package postgres

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// plan is what one transaction writes.
type plan struct {
	group      []*job
	ingestedAt time.Time
	rows       []*row // each event once, in the order of the table's key
	byID       map[audit.ID]*row
	days       []dayNumber
	// deltaNumbers are those of what is added to each day's roll-ups.
	deltaNumbers map[dayNumber]int64
	committing   bool // whether the transaction was asked to commit
	// maxQuarantined is the size of the largest item kept with its content.
	maxQuarantined int64
}

// plan puts jobs together. Replicas that write the same events at once must
// all do so in the same order, or they would wait for each other.
func (s *Store) plan(group []*job) *plan {
	p := &plan{group: group, ingestedAt: s.now(), byID: map[audit.ID]*row{}, deltaNumbers: map[dayNumber]int64{}, maxQuarantined: s.opts.QuarantineBytes / 4}
	for i, j := range group {
		j.result = store.Appended{Quarantined: len(j.quarantined)}
		for b := range j.blobs {
			j.blobs[b].batch, j.blobs[b].stored = 0, false
		}
		for n := range j.rows {
			r := &j.rows[n]
			r.job, r.stored = i, false
			if _, twice := p.byID[r.event.ID]; twice {
				continue
			}
			p.byID[r.event.ID] = r
			p.rows = append(p.rows, r)
			if !slices.Contains(p.days, r.day) {
				p.days = append(p.days, r.day)
			}
		}
	}
	slices.SortFunc(p.rows, func(a, b *row) int {
		if c := a.event.OccurredAt.Compare(b.event.OccurredAt); c != 0 {
			return c
		}
		return bytes.Compare(a.event.ID[:], b.event.ID[:])
	})
	slices.Sort(p.days)
	return p
}

func (p *plan) blobOf(r *row) *blob { return &p.group[r.job].blobs[r.place.blob] }

// storedOne records that an event was new.
func (p *plan) storedOne(id audit.ID) {
	r := p.byID[id]
	r.stored = true
	if r.place.size > 0 {
		p.blobOf(r).stored = true
	}
	p.group[r.job].result.Stored++
}

// settleResults counts as duplicates what was not stored.
func (p *plan) settleResults() {
	for _, j := range p.group {
		j.result.Duplicate = len(j.rows) - j.result.Stored
	}
}

// delta is what a transaction adds to the roll-ups of a day, as columns.
type delta struct {
	day                   dayNumber
	hours                 []int16
	kinds, places, actors []int32
	counts                []int32
}

// deltas counts the events that were stored.
func (p *plan) deltas() []*delta {
	type counter struct {
		day                dayNumber
		hour               int16
		kind, place, actor int32
	}
	counts := map[counter]int32{}
	for _, r := range p.rows {
		if r.stored {
			hour := r.event.OccurredAt.Sub(r.day.start()) / time.Hour
			counts[counter{r.day, int16(hour), r.ids[kinds], r.ids[places], r.ids[actors]}]++
		}
	}
	byDay := map[dayNumber]*delta{}
	for c, count := range counts {
		d := byDay[c.day]
		if d == nil {
			d = &delta{day: c.day}
			byDay[c.day] = d
		}
		d.hours = append(d.hours, c.hour)
		d.kinds = append(d.kinds, c.kind)
		d.places = append(d.places, c.place)
		d.actors = append(d.actors, c.actor)
		d.counts = append(d.counts, count)
	}
	var all []*delta
	for _, day := range p.days {
		if byDay[day] != nil {
			all = append(all, byDay[day])
		}
	}
	return all
}

// sources sums up what the jobs add to the totals of each source, by name.
func (p *plan) sources() []*store.SourceStats {
	bySource := map[string]*store.SourceStats{}
	for _, j := range p.group {
		name := store.Text(j.batch.Source)
		stats := bySource[name]
		if stats == nil {
			stats = &store.SourceStats{Source: name, LastReceivedAt: j.batch.ReceivedAt}
			bySource[name] = stats
		}
		stats.Received += int64(j.items)
		stats.Stored += int64(j.result.Stored)
		stats.Duplicate += int64(j.result.Duplicate)
		stats.Quarantined += int64(j.result.Quarantined)
		if j.batch.ReceivedAt.After(stats.LastReceivedAt) {
			stats.LastReceivedAt = j.batch.ReceivedAt
		}
	}
	for _, r := range p.rows {
		if !r.stored {
			continue
		}
		stats := bySource[store.Text(p.group[r.job].batch.Source)]
		if r.event.Client == audit.ClientOperator {
			stats.Own++
		}
		if r.event.StageAt.After(stats.LastEventAt) {
			stats.LastEventAt = r.event.StageAt
		}
	}
	var all []*store.SourceStats
	for _, stats := range bySource {
		all = append(all, stats)
	}
	slices.SortFunc(all, func(a, b *store.SourceStats) int { return cmp.Compare(a.Source, b.Source) })
	return all
}
