package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// TestRefusedImport imports an event that the database refuses, beside batches
// that are as they should be: the import alone fails, for good, and nothing of
// it is quarantined.
func TestRefusedImport(t *testing.T) {
	s := openAt(t, newDatabase(t))
	mustExec(t, s, "ALTER TABLE audit_rows ADD CONSTRAINT no_poison CHECK (path <> '/poison')")
	poison := plain(100, testNow)
	poison.Path = "/poison"
	var group errgroup.Group
	for n := range 8 {
		group.Go(func() error {
			if got, err := s.Append(t.Context(), batchOf(plain(n, testNow))); err != nil || got.Stored != 1 {
				return fmt.Errorf("a batch beside it: %+v, %w", got, err)
			}
			return nil
		})
	}
	_, err := s.Import(t.Context(), []audit.Event{plain(101, testNow), poison})
	if err == nil || errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "no_poison") {
		t.Errorf("Import = %v, want what the database says", err)
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if stored, quarantined := ask[int](t, s, "SELECT count(*) FROM audit_rows"), ask[int](t, s, "SELECT count(*) FROM audit_quarantine"); stored != 8 || quarantined != 0 {
		t.Errorf("%d events are stored and %d quarantined, want 8 and none", stored, quarantined)
	}
	checkRollups(t, s)
	if n, err := s.Import(t.Context(), []audit.Event{plain(101, testNow)}); err != nil || n != 1 {
		t.Errorf("Import of the other event = %d, %v", n, err)
	}
}
