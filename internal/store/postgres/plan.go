package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// plan is what one transaction writes, and what becomes of it: one that is
// tried again is a new plan.
type plan struct {
	group      []*job
	ingestedAt time.Time
	rows       []*plannedRow // each event once
	byID       map[audit.ID]*plannedRow
	blobs      [][]plannedBlob // of each job
	days       []dayNumber
	// deltaNumbers are those of what is added to each day's roll-ups.
	deltaNumbers map[dayNumber]int64
	committing   bool // whether the transaction was asked to commit
	skews        []sharedSkew
	// maxQuarantined is the size of the largest item kept with its content.
	maxQuarantined int64
}

type plannedRow struct {
	*row
	job    int // of the group
	ids    [dictionaries]int32
	number int64 // its raw_batch
	stored bool
	block  int64 // of the day's table, once it is stored
}

type plannedBlob struct {
	*blob
	batch  int64 // its number in audit_raw; 0 until it is known
	stored bool  // an event in it was
}

// plan puts jobs together.
func (s *Store) plan(group []*job) *plan {
	p := &plan{
		group: group, ingestedAt: s.now(), byID: map[audit.ID]*plannedRow{}, blobs: make([][]plannedBlob, len(group)),
		deltaNumbers: map[dayNumber]int64{}, maxQuarantined: s.opts.QuarantineBytes / 4,
	}
	for i, j := range group {
		j.result = store.Appended{Quarantined: len(j.quarantined)}
		for b := range j.blobs {
			p.blobs[i] = append(p.blobs[i], plannedBlob{blob: &j.blobs[b]})
		}
		for n := range j.rows {
			r := &plannedRow{row: &j.rows[n], job: i}
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
	p.skews = s.sharedSkews(group)
	slices.Sort(p.days)
	return p
}

func (p *plan) blobOf(r *plannedRow) *plannedBlob { return &p.blobs[r.job][r.place.blob] }

// storedOne records that an event was new, and in which block it lies.
func (p *plan) storedOne(id audit.ID, block int64) {
	r := p.byID[id]
	r.stored, r.block = true, block
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
		if j.imported {
			continue
		}
		name := store.Text(j.batch.Source)
		stats := bySource[name]
		if stats == nil {
			stats = &store.SourceStats{Source: name, LastReceivedAt: j.batch.ReceivedAt}
			bySource[name] = stats
		}
		stats.Received += int64(j.Items)
		stats.Stored += int64(j.result.Stored)
		stats.Duplicate += int64(j.result.Duplicate)
		stats.Quarantined += int64(j.result.Quarantined)
		if j.batch.ReceivedAt.After(stats.LastReceivedAt) {
			stats.LastReceivedAt = j.batch.ReceivedAt
		}
	}
	for _, r := range p.rows {
		if !r.stored || p.group[r.job].imported {
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
