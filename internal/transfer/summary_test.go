package transfer

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestSummary(t *testing.T) {
	whole := Summary{
		Days: []Day{
			{Day: "2026-01-01", Counts: Counts{Events: 7, TooOld: 7}},
			{Day: "2026-03-14", Counts: Counts{Events: 2000, Copied: 1500, Present: 500}, SourceDigest: "sha256:aa", TargetDigest: "sha256:aa"},
		},
		Snapshots: Snapshots{Snapshots: 3, Copied: 1, Present: 2}, Quarantine: Quarantine{Items: 9, Copied: 5, Present: 1, TooOld: 2, GaveWay: 1}, Sources: 2,
	}
	want := `DAY         EVENTS  COPIED  THERE BEFORE  DIGEST
2026-01-01  7       0       0             left out: older than the target keeps
2026-03-14  2000    1500    500           sha256:aa
all         2007    1500    500
Snapshots: 3, copied 1, there before 2.
Quarantined items: 9, copied 5, there before 1.
Sources whose totals are in the target: 2 of 2.
Left out: 7 events of days that are older than the target keeps; a longer --event-retention copies them.
Left out: 2 quarantined items that are older than the target keeps.
Left out: 1 quarantined items, for which the target has no room beside newer ones.
`
	if d := gocmp.Diff(want, written(t, &whole)); d != "" || !whole.Whole() {
		t.Errorf("whole: %t; (-want +got):\n%s", whole.Whole(), d)
	}

	lacking := Summary{
		Days: []Day{{
			Day: "2026-03-14", Counts: Counts{Events: 9, Copied: 3, Damaged: 1, WithoutRaw: 2, Missing: 3, Differing: 4, TargetDamaged: 5},
			SourceDigest: "sha256:aa", TargetDigest: "sha256:bb",
		}},
		Snapshots: Snapshots{Snapshots: 6, Damaged: 1, Missing: 2, Differing: 3}, Quarantine: Quarantine{Items: 1, Missing: 1}, Sources: 2, SourcesMissing: 1,
		Problems: []string{"event 00 is not in the target"},
	}
	want = `DAY         EVENTS  COPIED  THERE BEFORE  DIGEST
2026-03-14  9       3       0             DIFFERS: sha256:aa became sha256:bb
all         9       3       0
Snapshots: 6, copied 0, there before 0.
Quarantined items: 1, copied 0, there before 0.
Sources whose totals are in the target: 1 of 2.
Warning: 1 events were not copied, because their raw form is damaged in the source; --drop-damaged-raw copies them without it.
Warning: 2 events were copied without their raw form, which is damaged in the source.
Warning: 3 events are not in the target.
Warning: 4 events have another raw form in the target.
Warning: 5 events have lost their raw form in the target.
Warning: 1 snapshots were not copied, because they are damaged in the source.
Warning: 2 snapshots are not in the target.
Warning: 3 snapshots are others in the target.
Warning: 1 quarantined items are not in the target.
  event 00 is not in the target
`
	if d := gocmp.Diff(want, written(t, &lacking)); d != "" {
		t.Errorf("lacking (-want +got):\n%s", d)
	}
}

// TestWhole has each thing that can be wrong make a copy that is not whole.
func TestWhole(t *testing.T) {
	for name, s := range map[string]Summary{
		"damaged":            {Days: []Day{{Counts: Counts{Damaged: 1}}}},
		"missing":            {Days: []Day{{Counts: Counts{Missing: 1}}}},
		"differing":          {Days: []Day{{Counts: Counts{Differing: 1}}}},
		"damaged there":      {Days: []Day{{Counts: Counts{TargetDamaged: 1}}}},
		"digest":             {Days: []Day{{SourceDigest: "a", TargetDigest: "b"}}},
		"damaged snapshot":   {Snapshots: Snapshots{Damaged: 1}},
		"missing snapshot":   {Snapshots: Snapshots{Missing: 1}},
		"differing snapshot": {Snapshots: Snapshots{Differing: 1}},
		"missing item":       {Quarantine: Quarantine{Missing: 1}},
		"totals of a source": {Sources: 1, SourcesMissing: 1},
		"another key":        {OtherKey: true},
	} {
		if s.Whole() {
			t.Errorf("%s: the copy is called whole", name)
		}
	}
	if s := (Summary{Days: []Day{{Counts: Counts{WithoutRaw: 1, TooOld: 1}}}, Quarantine: Quarantine{GaveWay: 1}}); !s.Whole() {
		t.Error("a copy that leaves out what it is told to is not called whole")
	}
}
