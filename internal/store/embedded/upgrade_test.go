package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// toFormat1 gives some days' tables the layout of format 1.
func toFormat1(t *testing.T, s *Store, days ...int) {
	t.Helper()
	for _, day := range days {
		if err := s.writer.bulk.run("ALTER TABLE " + tableOf(day) + " ALTER dry_run TYPE BOOLEAN USING dry_run = 1"); err != nil {
			t.Fatal(err)
		}
		for _, column := range addedColumns {
			if err := s.writer.bulk.run("ALTER TABLE " + tableOf(day) + " DROP COLUMN " + column); err != nil {
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
			toFormat1(t, s, old...)
			closed(t, s)
			if err := os.WriteFile(filepath.Join(s.opts.Dir, formatFile), []byte(`{"format":1,"version":"v0"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, Options{Dir: s.opts.Dir, Version: "v2"})
			equal(t, want, readEverything(t, s, "bench"))
			if got := strings.TrimSpace(readFiles(t, s.opts.Dir)[formatFile]); got != `{"format":3,"version":"v2"}` {
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

// TestUpgradeOfBackup restores a backup of format 1.
func TestUpgradeOfBackup(t *testing.T) {
	s := filled(t, 200)
	want := readEverything(t, s, "bench")
	toFormat1(t, s, dayOf(noon(-1)), dayOf(noon(-2)), dayOf(noon(-3)))
	b, err := s.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Header.Format = 1
	equal(t, want, readEverything(t, restored(t, streamed(t, b)), "bench"))
}
