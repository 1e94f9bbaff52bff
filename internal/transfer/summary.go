package transfer

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Summary says what became of what the source holds.
type Summary struct {
	Days       []Day      `json:"days"` // oldest first
	Snapshots  Snapshots  `json:"snapshots"`
	Quarantine Quarantine `json:"quarantine"`
	Sources    int        `json:"sources"` // whose totals were compared
	// SourcesMissing are those of which the target counts less.
	SourcesMissing int `json:"sourcesMissing"`
	// OtherKey means that the target hashes otherwise than the source.
	OtherKey bool `json:"otherKey,omitempty"`
	// Problems name what is not in the target as it should be: the first of it.
	Problems []string `json:"problems"`
}

// Counts are of events. Those that were copied and those that were there
// already are in the target now.
type Counts struct {
	Events  int64 `json:"events"` // of the source
	Copied  int64 `json:"copied"`
	Present int64 `json:"present"`
	TooOld  int64 `json:"tooOld"` // left out: the target's retention drops their day

	Damaged    int64 `json:"damaged"`    // left out: their raw form is lost
	WithoutRaw int64 `json:"withoutRaw"` // copied without their raw form, which is lost
	Missing    int64 `json:"missing"`    // not in the target, and not for the reasons above
	Differing  int64 `json:"differing"`  // in the target with another raw form
	// TargetDamaged are in the target, but their raw form is lost there. It is
	// read when nothing is copied.
	TargetDamaged int64 `json:"targetDamaged"`
}

func (c Counts) plus(other Counts) Counts {
	return Counts{
		Events: c.Events + other.Events, Copied: c.Copied + other.Copied, Present: c.Present + other.Present, TooOld: c.TooOld + other.TooOld,
		Damaged: c.Damaged + other.Damaged, WithoutRaw: c.WithoutRaw + other.WithoutRaw, Missing: c.Missing + other.Missing, Differing: c.Differing + other.Differing,
		TargetDamaged: c.TargetDamaged + other.TargetDamaged,
	}
}

// Day is what became of a day's events. The digests are SHA-256 over the ID and
// the raw form's SHA-256 of each event, in ascending order of (occurredAt, ID):
// of the source's events, and of those of them that the target holds.
type Day struct {
	Day string `json:"day"` // yyyy-mm-dd
	Counts
	SourceDigest string `json:"sourceDigest,omitempty"` // none when it is too old
	TargetDigest string `json:"targetDigest,omitempty"`
}

// Snapshots says what became of the snapshots.
type Snapshots struct {
	Snapshots int64 `json:"snapshots"`
	Copied    int64 `json:"copied"`
	Present   int64 `json:"present"`
	Damaged   int64 `json:"damaged"`   // left out: the body has not the digest of the manifest
	Missing   int64 `json:"missing"`   // only compared, and not in the target
	Differing int64 `json:"differing"` // the target has another one of that ID
}

// add counts a snapshot, as one of a kind.
func (s *Snapshots) add(kind *int64) {
	s.Snapshots++
	*kind++
}

// Quarantine says what became of the quarantine.
type Quarantine struct {
	Items   int64 `json:"items"`
	Copied  int64 `json:"copied"`
	Present int64 `json:"present"`
	TooOld  int64 `json:"tooOld"`  // left out: the target's retention drops them
	GaveWay int64 `json:"gaveWay"` // left out: the target has no room for them beside newer ones
	Missing int64 `json:"missing"` // only compared, and not in the target
}

// Total sums up the days.
func (s *Summary) Total() Counts {
	var total Counts
	for _, day := range s.Days {
		total = total.plus(day.Counts)
	}
	return total
}

// Whole reports whether everything that the target keeps at all is in it, as
// the source holds it, apart from damaged raw forms that were to be dropped.
func (s *Summary) Whole() bool {
	total := s.Total()
	same := !slices.ContainsFunc(s.Days, func(d Day) bool { return d.SourceDigest != d.TargetDigest })
	return same && total.Damaged+total.Missing+total.Differing+total.TargetDamaged == 0 &&
		s.Snapshots.Damaged+s.Snapshots.Missing+s.Snapshots.Differing == 0 && s.Quarantine.Missing == 0 && s.SourcesMissing == 0 && !s.OtherKey
}

// Write writes the summary for people: a table of the days, a line for each
// other part, and the problems.
func (s *Summary) Write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DAY\tEVENTS\tCOPIED\tTHERE BEFORE\tDIGEST")
	for _, day := range s.Days {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\n", day.Day, day.Events, day.Copied, day.Present, day.verdict())
	}
	total := s.Total()
	fmt.Fprintf(table, "all\t%d\t%d\t%d\n", total.Events, total.Copied, total.Present)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "Snapshots: %d, copied %d, there before %d.\n", s.Snapshots.Snapshots, s.Snapshots.Copied, s.Snapshots.Present)
	fmt.Fprintf(w, "Quarantined items: %d, copied %d, there before %d.\n", s.Quarantine.Items, s.Quarantine.Copied, s.Quarantine.Present)
	fmt.Fprintf(w, "Sources whose totals are in the target: %d of %d.\n", s.Sources-s.SourcesMissing, s.Sources)
	s.writeLeftOut(w, total)
	s.writeProblems(w, total)
	return nil
}

func (d *Day) verdict() string {
	switch {
	case d.TooOld > 0:
		return "left out: older than the target keeps"
	case d.SourceDigest != d.TargetDigest:
		return "DIFFERS: " + d.SourceDigest + " became " + d.TargetDigest
	}
	return d.SourceDigest
}

// writeLeftOut tells what the target does not keep by its own rules.
func (s *Summary) writeLeftOut(w io.Writer, total Counts) {
	if total.TooOld > 0 {
		fmt.Fprintf(w, "Left out: %d events of days that are older than the target keeps; a longer --event-retention copies them.\n", total.TooOld)
	}
	if s.Quarantine.TooOld > 0 {
		fmt.Fprintf(w, "Left out: %d quarantined items that are older than the target keeps.\n", s.Quarantine.TooOld)
	}
	if s.Quarantine.GaveWay > 0 {
		fmt.Fprintf(w, "Left out: %d quarantined items, for which the target has no room beside newer ones.\n", s.Quarantine.GaveWay)
	}
}

// writeProblems tells what else is not in the target as it should be.
func (s *Summary) writeProblems(w io.Writer, total Counts) {
	for _, count := range []struct {
		n    int64
		what string
	}{
		{total.Damaged, "events were not copied, because their raw form is damaged in the source; --drop-damaged-raw copies them without it"},
		{total.WithoutRaw, "events were copied without their raw form, which is damaged in the source"},
		{total.Missing, "events are not in the target"},
		{total.Differing, "events have another raw form in the target"},
		{total.TargetDamaged, "events have lost their raw form in the target"},
		{s.Snapshots.Damaged, "snapshots were not copied, because they are damaged in the source"},
		{s.Snapshots.Missing, "snapshots are not in the target"},
		{s.Snapshots.Differing, "snapshots are others in the target"},
		{s.Quarantine.Missing, "quarantined items are not in the target"},
	} {
		if count.n > 0 {
			fmt.Fprintf(w, "Warning: %d %s.\n", count.n, count.what)
		}
	}
	for _, problem := range s.Problems {
		fmt.Fprintf(w, "  %s\n", problem)
	}
	if len(s.Problems) == maxProblems {
		fmt.Fprintln(w, "  and perhaps more")
	}
}

// maxProblems are named; the others are counted.
const maxProblems = 20

func (c *copier) problem(format string, args ...any) {
	if len(c.summary.Problems) < maxProblems {
		c.summary.Problems = append(c.summary.Problems, fmt.Sprintf(format, args...))
	}
}
