package embedded

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// Where there is no more room, a filter gives way whose day took no events for
// longest; being made beside the committer counts as taking some, and of days
// that are alike the oldest gives way.
func TestFilterGivesWay(t *testing.T) {
	const today = 20_000
	many := func(days int) *bloom { // so many have no room together
		return &bloom{layers: []bloomLayer{{capacity: maxFilterIDs/days + 1}}}
	}
	ensure := func(t *testing.T, f *filters, day int) {
		if err := f.ensure(t.Context(), nil, day, false); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		fill func(t *testing.T, f *filters)
		gone int
	}{
		"took events before": {func(t *testing.T, f *filters) {
			ensure(t, f, today)
			f.days[today] = many(2)
			ensure(t, f, today-1)
			f.begin(today - 2)
			f.finish(today-2, many(2))
		}, today},
		"all made beside": {func(_ *testing.T, f *filters) {
			for day := range 10 {
				f.begin(today - day)
				f.finish(today-day, many(10))
			}
		}, today - 9},
	} {
		t.Run(name, func(t *testing.T) {
			var f filters
			f.init()
			tt.fill(t, &f)
			want := slices.DeleteFunc(slices.Sorted(maps.Keys(f.days)), func(day int) bool { return day == tt.gone })
			ensure(t, &f, today-20)
			if diff := cmp.Diff(append([]int{today - 20}, want...), slices.Sorted(maps.Keys(f.days))); diff != "" {
				t.Error(diff)
			}
		})
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
	s.warming.Wait()
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
