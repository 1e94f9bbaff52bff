package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// copyEvents copies day by day, the oldest first: it is the next to go.
func (c *copier) copyEvents(ctx context.Context) error {
	var days []store.DayCount
	if err := persist(ctx, func() (err error) {
		days, err = c.from.Days(ctx)
		return err
	}); err != nil {
		return err
	}
	for _, day := range days {
		c.total += day.Events
	}
	c.progress(0)
	for _, day := range days {
		d := &dayCopier{copier: c, day: day.Day, result: Day{Day: day.Day.Format(time.DateOnly)}}
		err := d.copy(ctx, day.Events)
		c.summary.Days = append(c.summary.Days, d.result)
		if err != nil {
			return fmt.Errorf("copy the events of %s: %w", d.result.Day, err)
		}
	}
	return nil
}

func (c *copier) progress(events int64) {
	c.done += events
	c.total = max(c.total, c.done) // more may have arrived
	if c.opts.Progress != nil {
		c.opts.Progress(c.done, c.total)
	}
}

// dayCopier copies the events of a day.
type dayCopier struct {
	*copier
	day    time.Time
	result Day
}

func (d *dayCopier) copy(ctx context.Context, events int64) error {
	if d.day.Before(d.to.OldestDay()) {
		d.result.Events, d.result.TooOld = events, events
		d.progress(events)
		return nil
	}
	source, target := newDigest(), newDigest()
	stretch := store.Stretch{Day: d.day}
	for {
		p := &page{dayCopier: d, stretch: stretch}
		if err := persist(ctx, func() error { return p.copy(ctx) }); err != nil {
			return err
		}
		if len(p.entries) == 0 {
			break
		}
		p.add(source, target)
		stretch.After = p.stretch.UpTo
		d.progress(int64(len(p.entries)))
	}
	d.result.SourceDigest, d.result.TargetDigest = source.String(), target.String()
	return nil
}
