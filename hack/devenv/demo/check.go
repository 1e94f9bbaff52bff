package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
)

// selects says for each sample what it asks for, in other words than its spec:
// nothing of the filter, the controllers and the store takes part in it.
// RequestReceived is left out by all of them.
var selects = map[string]func(e *audit.Event) bool{
	"cluster-changes": func(e *audit.Event) bool {
		return e.ResourceType == "application" || e.ResourceType == "environment_group"
	},
	"failed-authentications": func(e *audit.Event) bool { return e.StatusCode == 401 },
	"deletes": func(e *audit.Event) bool {
		return (e.Verb == "delete" || e.Verb == "deletecollection") && e.StatusCode/100 == 2 && e.DryRun != audit.DryRunTrue &&
			e.Client != audit.ClientController && e.Client != audit.ClientNode
	},
	"shop/shop-changes": func(e *audit.Event) bool { return e.Namespace == "shop" && e.Method != "GET" },
	"billing/refused-secrets": func(e *audit.Event) bool {
		return e.Namespace == "billing" && e.ResourceType == "environment_group" && e.StatusCode == 403
	},
}

// An event that arrives while a snapshot is taken may be in neither: its
// commit began before the snapshot's moment and ended after it.
const inFlight = 2 * time.Second

// checkCounts compares each sample's snapshot with the API servers' logs. Only
// what reached the store after the snapshot was taken may be missing from it.
func (d *demo) checkCounts(queries []v1alpha1.Query, answers map[string]*answer, log map[string]*audit.Event, all *answer) error {
	var problems []error
	checked := 0
	for _, q := range queries {
		name := nameOf(q)
		selected := selects[name]
		if selected == nil {
			problems = append(problems, fmt.Errorf("%s: hack/devenv/demo has no expectation of it; add one", name))
			continue
		}
		checked++
		a := answers[name]
		want, late := 0, 0
		for id, e := range log {
			if e.Stage == audit.StageRequestReceived || !selected(e) ||
				e.OccurredAt.Before(a.From.Time) || !e.OccurredAt.Before(a.To.Time) {
				continue
			}
			if _, got := a.records[id]; got {
				want++
			} else if stored, ok := all.records[id]; ok && stored.IngestedAt.After(a.AsOf.Add(-inFlight)) {
				late++
			} else {
				problems = append(problems, fmt.Errorf("%s lacks the event %s: %s by %q at %v", name, id, e.Action, e.Actor, e.OccurredAt))
			}
		}
		for id, r := range a.records {
			if e := log[id]; e == nil || !selected(e) {
				problems = append(problems, fmt.Errorf("%s holds %s, %s by %q, which it should not", name, id, r.Action, r.Actor))
			}
		}
		if want == 0 {
			problems = append(problems, fmt.Errorf("%s found nothing of what was done", name))
		}
		note := ""
		if late > 0 {
			note = fmt.Sprintf(" (%d more reached the store after the snapshot was taken)", late)
		}
		d.say("%-24s log %4d, snapshot %4d%s", name, want, a.Matched, note)
	}
	if checked < len(selects) {
		problems = append(problems, fmt.Errorf("%d samples were asked, %d are expected", checked, len(selects)))
	}
	return errors.Join(problems...)
}

// settle asks for every event until nothing that the logs hold now is missing.
// It returns what they held, and that answer.
func (d *demo) settle(ctx context.Context) (log map[string]*audit.Event, all *answer, err error) {
	if log, err = d.logs.read(); err != nil {
		return nil, nil, err
	}
	maps.DeleteFunc(log, func(_ string, e *audit.Event) bool { return d.logs.unsent(e) })
	err = poll(ctx, 2*time.Minute, func(ctx context.Context) error {
		if all, err = d.ask(ctx); err != nil {
			return err
		}
		return compare(log, all)
	})
	return log, all, err
}

// compare says which events of the logs an answer lacks.
func compare(log map[string]*audit.Event, a *answer) error {
	var missing []*audit.Event
	for id, e := range log {
		if _, ok := a.records[id]; !ok {
			missing = append(missing, e)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	first := slices.MinFunc(missing, func(a, b *audit.Event) int {
		return a.OccurredAt.Compare(b.OccurredAt)
	})
	return fmt.Errorf("API servers wrote %d events, missing %d, the first of them %s: %s %s %s %s by %q at %v", len(log),
		len(missing), first.ID, first.Source, first.Stage, first.Verb, first.Path, first.Actor, first.OccurredAt)
}

// checkIDs tells how the answer compares with what each API server wrote
// before it, all of which it holds; what it holds beyond that must be in the
// logs by now, or a record of what the demo did with the operator.
func (d *demo) checkIDs(written map[string]*audit.Event, all *answer) error {
	log, err := d.logs.read()
	if err != nil {
		return err
	}
	count, unexpected := map[string]int{}, map[string]int{}
	for _, e := range written {
		count[e.Source]++
	}
	began, ended := 0, 0
	for id, r := range all.records {
		download := r.Source == audit.OwnSource && r.Action == string(selfaudit.Download)
		switch {
		case log[id] != nil:
		case download && r.Stage == audit.StageResponseStarted:
			began++
		case download && r.Stage == audit.StageResponseComplete:
			ended++
		default:
			unexpected[r.Source]++
		}
	}
	for _, reader := range d.logs.readers {
		source := reader.decoder.Source
		n := count[source]
		d.say("%-16s wrote %d events, stored %d, missing 0, unexpected %d", source, n, n, unexpected[source])
		if n == 0 {
			return fmt.Errorf("%s wrote no events", source)
		}
	}
	if len(unexpected) > 0 {
		return fmt.Errorf("events are stored that are not in the API servers' logs: %v", unexpected)
	}
	// The answer cannot hold its own download, and the end of the one before may
	// have been recorded after it was taken.
	earlier := d.downloads - 1
	d.say("%-16s recorded %d downloads of snapshots, of the demo's own %d", audit.OwnSource, began, earlier)
	if began != earlier || ended > earlier || ended < earlier-1 {
		return fmt.Errorf("%d downloads have a record of their begin and %d of their end, of %d", began, ended, earlier)
	}
	return nil
}

// checkDeeds looks for every deed among the stored events.
func (d *demo) checkDeeds(all *answer) error {
	var problems []error
	for _, deed := range d.deeds {
		found := false
		for _, r := range all.records {
			found = found || deed.found(&r)
		}
		if !found {
			problems = append(problems, fmt.Errorf("nothing is stored of: %s", deed.text))
		}
	}
	return errors.Join(problems...)
}
