package embedded

import (
	"context"
	"fmt"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Import implements store.Holdings. Imports wait for the same committer as
// what sources deliver, and have no more room than that.
func (s *Store) Import(ctx context.Context, events []audit.Event) (int, error) {
	taken, err := s.importBatch(ctx, store.Batch{Events: events})
	if err != nil {
		return 0, fmt.Errorf("import events: %w", err)
	}
	return taken.Stored, nil
}

// ImportQuarantine implements store.Holdings. The oldest items give way here too.
func (s *Store) ImportQuarantine(ctx context.Context, items []audit.Quarantined) error {
	if _, err := s.importBatch(ctx, store.Batch{Quarantined: items}); err != nil {
		return fmt.Errorf("import quarantine: %w", err)
	}
	return nil
}

func (s *Store) importBatch(ctx context.Context, batch store.Batch) (store.Appended, error) {
	if err := s.calls.Enter(); err != nil {
		return store.Appended{}, err
	}
	defer s.calls.Leave()
	if err := ctx.Err(); err != nil {
		return store.Appended{}, err
	}
	return s.take(ctx, "store.import", &batch, prepareImport)
}

// prepareImport takes everything as it is.
func prepareImport(batch *store.Batch) *job {
	events := make([]*audit.Event, len(batch.Events))
	for i := range events {
		events[i] = store.Bounded(&batch.Events[i])
	}
	j := &job{imported: true, days: splitDays(events), quarantined: batch.Quarantined}
	for _, d := range j.days {
		d.imported = true
		d.pack()
	}
	return j
}
