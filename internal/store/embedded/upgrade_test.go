package embedded

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// toFormat3 gives some days' tables the layout of format 3.
func toFormat3(t *testing.T, s *Store, days ...int) {
	t.Helper()
	for _, day := range days {
		for _, column := range []string{"groups", "acted_via_groups"} {
			if err := s.writer.bulk.run("ALTER TABLE " + tableOf(day) + " DROP COLUMN " + column); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// withoutGroups takes them from events of days, whose tables have no room for them.
func withoutGroups(all everything, days ...int) {
	for id, e := range all.Events {
		if slices.Contains(days, dayOf(e.OccurredAt)) {
			e.Groups, e.ActedViaGroups = nil, nil
			all.Events[id] = e
		}
	}
}

// toFormat1 gives some days' tables the layout of format 1.
func toFormat1(t *testing.T, s *Store, days ...int) {
	t.Helper()
	for _, day := range days {
		if err := s.writer.bulk.run("ALTER TABLE " + tableOf(day) + " ALTER dry_run TYPE BOOLEAN USING dry_run = 1"); err != nil {
			t.Fatal(err)
		}
		for _, column := range addedColumns {
			if err := s.writer.bulk.run("ALTER TABLE " + tableOf(day) + " DROP COLUMN " + column.name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestUpgrade opens a store of format 1, also one whose upgrade was cut off
// after a day: it holds what it held, and takes events of its old days.
func TestUpgrade(t *testing.T) {
	newest := dayOf(noon(-1))
	for name, old := range map[string][]int{"every day": {newest, newest - 1, newest - 2}, "cut off": {newest - 2}} {
		t.Run(name, func(t *testing.T) {
			s := filled(t, 3000)
			want := readEverything(t, s, "bench")
			withoutGroups(want, old...)
			toFormat1(t, s, old...)
			closed(t, s)
			if err := os.WriteFile(filepath.Join(s.opts.Dir, formatFile), []byte(`{"format":1,"version":"v0"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, Options{Dir: s.opts.Dir, Version: "v2"})
			equal(t, want, readEverything(t, s, "bench"))
			if got := strings.TrimSpace(readFiles(t, s.opts.Dir)[formatFile]); got != `{"format":4,"version":"v2"}` {
				t.Errorf("the directory says %q", got)
			}
			for days := range 3 {
				batch := newMakerAt(uint64(10+days), noon(-1-days)).batch(100) // both in chunks and row by row
				batch.Events = batch.Events[:fewRows-days*10]
				for i := range batch.Events {
					batch.Events[i].Truncated, batch.Events[i].Foreign = i%2 == 0, i%3 == 0
					want.Events[batch.Events[i].ID] = batch.Events[i]
				}
				if got, err := s.Append(t.Context(), batch); err != nil || got.Stored != len(batch.Events) {
					t.Fatalf("Append = %+v, %v", got, err)
				}
			}
			closed(t, s)
			s = mustOpen(t, Options{Dir: s.opts.Dir, Version: "v2"}) // from the log
			defer closed(t, s)
			checkMarks(t, s, want.Events)
		})
	}
}

// checkMarks compares the marks of what a store holds, and counts by them.
func checkMarks(t *testing.T, s *Store, want map[audit.ID]audit.Event) {
	t.Helper()
	truncated, n := int64(0), 0
	for _, e := range want {
		if e.Truncated {
			truncated++
		}
	}
	eachStored(t, s, func(e *audit.Event) {
		n++
		if e.Truncated != want[e.ID].Truncated || e.Foreign != want[e.ID].Foreign {
			t.Errorf("event %s has the marks %t, %t", e.ID, e.Truncated, e.Foreign)
		}
	})
	if n != len(want) {
		t.Errorf("%d events, want %d", n, len(want))
	}
	for _, mark := range []bool{true, false} {
		filter := query.Filter{Truncated: &mark}
		filter.Stages = audit.Stages
		view, err := s.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: filter, Window: query.Window{From: noon(-5), To: noon(1)}, Count: true})
		if wanted := map[bool]int64{true: truncated, false: int64(n) - truncated}[mark]; err != nil || view.Matched != wanted {
			t.Errorf("truncated=%t: %d events, %v, want %d", mark, view.Matched, err, wanted)
		}
	}
}

// TestUpgradeOfGroups opens a store of format 3: events of before have no groups,
// those of after have them, and a dry run that was known stays known.
func TestUpgradeOfGroups(t *testing.T) {
	s := filled(t, 200)
	newest := dayOf(noon(-1))
	want := readEverything(t, s, "bench")
	n := 0
	for _, e := range want.Events {
		n += len(e.Groups)
	}
	withoutGroups(want, newest, newest-1, newest-2)
	if n == 0 {
		t.Fatal("no event has a group")
	}
	shell := newMakerAt(9, noon(-1)).batch(1)
	e := &shell.Events[0]
	e.Level, e.Verb, e.Resource, e.Subresource, e.DryRun = "Metadata", "delete", "virtualmachineinstances", "console", audit.DryRunFalse
	e.Groups, e.ActedViaGroups = nil, nil
	if _, err := s.Append(t.Context(), shell); err != nil {
		t.Fatal(err)
	}
	toFormat3(t, s, newest, newest-1, newest-2)
	closed(t, s)
	if err := os.WriteFile(filepath.Join(s.opts.Dir, formatFile), []byte(`{"format":3,"version":"v0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: s.opts.Dir, Version: "v2"})
	young := newMakerAt(10, noon(-1)).batch(100)
	if _, err := s.Append(t.Context(), young); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s = mustOpen(t, Options{Dir: s.opts.Dir, Version: "v2"}) // from the log
	defer closed(t, s)
	for _, later := range []store.Batch{shell, young} {
		for i := range later.Events {
			want.Events[later.Events[i].ID] = later.Events[i]
		}
	}
	eachStored(t, s, func(e *audit.Event) {
		w := want.Events[e.ID]
		if !slices.Equal(e.Groups, w.Groups) || !slices.Equal(e.ActedViaGroups, w.ActedViaGroups) || e.DryRun != w.DryRun {
			t.Errorf("event %s has the groups %q and %q and dry run %s, want %q, %q, %s", e.ID, e.Groups, e.ActedViaGroups, e.DryRun, w.Groups, w.ActedViaGroups, w.DryRun)
		}
		delete(want.Events, e.ID)
	})
	if len(want.Events) > 0 {
		t.Errorf("%d events are missing", len(want.Events))
	}
}

// TestUpgradeOfBackup restores a backup of format 1.
func TestUpgradeOfBackup(t *testing.T) {
	s := filled(t, 200)
	want := readEverything(t, s, "bench")
	withoutGroups(want, dayOf(noon(-1)), dayOf(noon(-2)), dayOf(noon(-3)))
	toFormat1(t, s, dayOf(noon(-1)), dayOf(noon(-2)), dayOf(noon(-3)))
	b, err := s.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Header.Format = 1
	equal(t, want, readEverything(t, restored(t, streamed(t, b)), "bench"))
}
