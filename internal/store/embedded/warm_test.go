package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A filter that is made beside the committer knows what was committed meanwhile.
func TestFilterMadeMeanwhile(t *testing.T) {
	const day = 20_000
	var f filters
	f.init()
	read, noted := audit.ID{1}, audit.ID{2}
	if !f.begin(day) {
		t.Fatal("the day needs no filter")
	}
	f.add(day, []audit.ID{noted})
	filter := &bloom{}
	filter.add(read)
	f.finish(day, filter)
	f.giveUp(day)
	if f.days[day] == nil || !f.mayHold(day, read) || !f.mayHold(day, noted) || f.mayHold(day, audit.ID{3}) {
		t.Error("the filter does not hold what was read and what was noted, and that alone")
	}
	later := audit.ID{4}
	f.add(day, []audit.ID{later})
	if !f.mayHold(day, later) {
		t.Error("the filter does not take what comes later")
	}
	// What was begun before everything was forgotten is not to be trusted.
	f.dropAll()
	if !f.begin(day) {
		t.Fatal("the day needs no filter after all were dropped")
	}
	f.dropAll()
	f.finish(day, &bloom{})
	if f.days[day] != nil {
		t.Error("a filter that lacks IDs was put to use")
	}
}

func TestWarm(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	batch := newMaker(1).batch(500)
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: dir})
	s.background.Wait()
	day := dayOf(batch.Events[0].OccurredAt)
	if s.filters.days[day] == nil || !s.filters.mayHold(day, batch.Events[0].ID) || s.filters.mayHold(day, audit.ID{1}) {
		t.Error("the day has no filter of its IDs")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// What fails after the commit must not take back what the commit refers to.
func TestFailureAfterTheCommit(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	m := newMaker(1)
	if _, err := s.Append(t.Context(), m.batch(100)); err != nil {
		t.Fatal(err)
	}
	// A checkpoint changes the headers, so that the next commit writes the file
	// of what is to be undone; a folder of its name is in the way.
	var failure error
	if err := s.commit(t.Context(), &job{run: func() { failure = s.writer.bulk.run("CHECKPOINT") }}); err != nil || failure != nil {
		t.Fatal(err, failure)
	}
	undo := filepath.Join(s.opts.Dir, undoFile)
	if err := errors.Join(os.RemoveAll(undo), os.Mkdir(undo, 0o700)); err != nil {
		t.Fatal(err)
	}
	batch := m.batch(200)
	if _, err := s.Append(t.Context(), batch); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Append = %v, want ErrUnavailable", err)
	}
	if err := os.Remove(undo); err != nil {
		t.Fatal(err)
	}
	got, err := s.Append(t.Context(), batch)
	if err != nil || got.Stored+got.Duplicate != 200 {
		t.Fatalf("Append again = %+v, %v", got, err)
	}
	known := 0
	if err := s.Verify(t.Context(), func(audit.ID) error { known++; return nil }); err != nil || known != 300 {
		t.Errorf("%d events of 300 are whole, %v", known, err)
	}
}
