package transfer

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// pageEvents are compared at once.
	pageEvents = 10_000
	// One import takes so many events, or raw events of so many bytes.
	importEvents = 5_000
	importBytes  = 8 << 20
)

// page is a part of a day's events.
type page struct {
	*dayCopier
	stretch store.Stretch
	entries []store.Entry
	before  int                   // how many the target held before
	held    map[audit.ID][32]byte // those that it holds now, with the SHA-256 of their raw form
	lost    map[audit.ID]error    // those whose raw form is damaged, in the source or, if nothing is copied, in the target
}

// copy reads a page, copies what the target lacks, and asks the target what it
// holds then. It may be repeated.
func (p *page) copy(ctx context.Context) (err error) {
	p.stretch.UpTo, p.lost = nil, nil
	if p.entries, err = p.from.Entries(ctx, p.stretch, pageEvents); err != nil || len(p.entries) == 0 {
		return err
	}
	p.stretch.UpTo = &p.entries[len(p.entries)-1].Position
	if err := p.ask(ctx); err != nil {
		return err
	}
	p.before = len(p.held)
	if p.opts.VerifyOnly {
		return p.readHeld(ctx)
	}
	if p.before == len(p.entries) {
		return nil
	}
	if err := p.copyMissing(ctx); err != nil {
		return err
	}
	if err := p.ask(ctx); err != nil || len(p.held) == len(p.entries) {
		return err
	}
	return p.forgetDropped(ctx)
}

// readHeld reads what the target holds and checks its raw forms.
func (p *page) readHeld(ctx context.Context) error {
	p.lost = map[audit.ID]error{}
	held := func(id audit.ID) bool {
		_, there := p.held[id]
		return there
	}
	return p.to.Export(ctx, p.stretch, held, func(e *audit.Event, damage error) error {
		if damage = checkRaw(e, damage); damage != nil {
			p.lost[e.ID] = damage
		}
		return nil
	})
}

// forgetDropped empties a page whose day the source has dropped meanwhile.
func (p *page) forgetDropped(ctx context.Context) error {
	left, err := p.from.Entries(ctx, p.stretch, 1)
	if err == nil && len(left) == 0 {
		p.entries = nil
	}
	return err
}

// ask learns which of the page's events the target holds; it may hold others.
func (p *page) ask(ctx context.Context) error {
	asked := make(map[audit.ID]bool, len(p.entries))
	for _, entry := range p.entries {
		asked[entry.ID] = true
	}
	p.held = make(map[audit.ID][32]byte, len(p.entries))
	stretch := p.stretch
	for {
		there, err := p.to.Entries(ctx, stretch, pageEvents)
		if err != nil {
			return err
		}
		for _, entry := range there {
			if asked[entry.ID] {
				p.held[entry.ID] = entry.RawSHA256
			}
		}
		if len(there) < pageEvents {
			return nil
		}
		stretch.After = &there[len(there)-1].Position
	}
}

// copyMissing copies what the target does not hold.
func (p *page) copyMissing(ctx context.Context) error {
	p.lost = map[audit.ID]error{}
	missing := func(id audit.ID) bool {
		_, there := p.held[id]
		return !there
	}
	events, bytes := make([]audit.Event, 0, importEvents), 0
	flush := func() error {
		if len(events) == 0 {
			return nil
		}
		err := persist(ctx, func() error {
			_, err := p.to.Import(ctx, events)
			return err
		})
		events, bytes = events[:0], 0
		return err
	}
	if err := p.from.Export(ctx, p.stretch, missing, func(e *audit.Event, damage error) error {
		if !p.take(e, damage) {
			return nil
		}
		events = append(events, *e)
		bytes += len(e.Raw)
		if len(events) < importEvents && bytes < importBytes {
			return nil
		}
		return flush()
	}); err != nil {
		return err
	}
	return flush()
}

// take checks an event and reports whether it is to be copied.
func (p *page) take(e *audit.Event, damage error) bool {
	if damage = checkRaw(e, damage); damage == nil {
		return true
	}
	p.lost[e.ID] = damage
	e.Raw = nil
	return p.opts.DropDamagedRaw
}

// checkRaw returns what is wrong with an event's raw form.
func checkRaw(e *audit.Event, damage error) error {
	if damage == nil && len(e.Raw) > 0 && sha256.Sum256(e.Raw) != e.RawSHA256 {
		damage = errors.New("its raw form is not the one that was stored")
	}
	return damage
}

// add counts a page and adds it to the digests of both sides.
func (p *page) add(source, target *digest) {
	p.result.Events += int64(len(p.entries))
	p.result.Present += int64(p.before)
	p.result.Copied += int64(len(p.held) - p.before)
	for _, entry := range p.entries {
		source.add(entry.ID, entry.RawSHA256)
		sum, held := p.held[entry.ID]
		if held {
			target.add(entry.ID, sum)
		}
		damage := p.lost[entry.ID]
		switch {
		case held && sum != entry.RawSHA256:
			p.result.Differing++
			p.problem("event %s has another raw form in the target", entry.ID)
		case damage != nil && p.opts.VerifyOnly:
			p.result.TargetDamaged++
			p.problem("event %s is damaged in the target: %v", entry.ID, damage)
		case damage != nil && held:
			p.result.WithoutRaw++
			p.problem("event %s was copied without its raw form: %v", entry.ID, damage)
		case damage != nil:
			p.result.Damaged++
			p.problem("event %s was not copied: %v", entry.ID, damage)
		case !held:
			p.result.Missing++
			p.problem("event %s is not in the target", entry.ID)
		}
	}
}
