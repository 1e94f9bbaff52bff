package embedded

import (
	"os"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// TestExportDamage exports all events where the raws of one commit are damaged,
// and all raws are lost.
func TestExportDamage(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	defer closed(t, s)
	maker := newMaker(1)
	lost, kept := maker.batch(10), maker.batch(10)
	day := lost.Events[0].Day()
	stored := map[audit.ID]bool{}
	for _, batch := range []store.Batch{lost, kept} {
		if _, err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Events {
			if e.Day().Equal(day) {
				stored[e.ID] = true
			}
		}
	}
	damaged := func() map[audit.ID]bool {
		t.Helper()
		found, given := map[audit.ID]bool{}, map[audit.ID]bool{}
		if err := s.Export(t.Context(), store.Stretch{Day: day}, func(audit.ID) bool { return true }, func(e *audit.Event, damage error) error {
			given[e.ID] = true
			if damage != nil {
				found[e.ID] = true
			}
			if (damage == nil) != (len(e.Raw) > 0) {
				t.Errorf("the raw of %s has %d bytes, damage %v", e.ID, len(e.Raw), damage)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(given) != len(stored) {
			t.Errorf("%d events are exported of %d", len(given), len(stored))
		}
		return found
	}
	if found := damaged(); len(found) > 0 {
		t.Errorf("%d are called damaged, and none is", len(found))
	}
	segment := segmentPath(dir, dayOf(day))
	content, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	content[frameHeader+3] ^= 1 // in the first commit's frame
	if err := os.WriteFile(segment, content, 0o600); err != nil {
		t.Fatal(err)
	}
	found := damaged()
	for _, e := range lost.Events {
		if stored[e.ID] != found[e.ID] {
			t.Errorf("event %s of the damaged frame is called damaged: %t", e.ID, found[e.ID])
		}
	}
	if len(found) >= len(stored) {
		t.Errorf("all %d events are called damaged", len(found))
	}
	if err := os.Remove(segment); err != nil {
		t.Fatal(err)
	}
	if found := damaged(); len(found) != len(stored) {
		t.Errorf("%d of %d events are called damaged where the file is lost", len(found), len(stored))
	}
}
