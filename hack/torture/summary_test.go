package torture

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// summary is what make torture prints at its end.
var summary table

type table struct {
	mu   sync.Mutex
	rows []*row
}

// row is one scenario.
type row struct {
	name        string
	rounds      int
	stores      map[*ledger]int // events in each
	lost, twice int
	alien       int
	slowest     float64       // events/s before the fault, in the round with the fewest
	back        time.Duration // the longest until deliveries were taken again
	note        string
	took        time.Duration
	failed      bool
}

// scenario adds a row, which is complete when the test ends.
func scenario(t *testing.T, name string) *row {
	r, began := &row{name: name}, time.Now()
	summary.mu.Lock()
	summary.rows = append(summary.rows, r)
	summary.mu.Unlock()
	t.Cleanup(func() { r.took, r.failed = time.Since(began), t.Failed() })
	return r
}

// round adds what a round found; the test fails when it was not good.
func (r *row) round(t *testing.T, l *ledger, v verdict) {
	t.Helper()
	r.rounds++
	r.lost, r.twice, r.alien = r.lost+v.lost, r.twice+v.twice, r.alien+v.alien
	if r.stores == nil {
		r.stores = map[*ledger]int{}
	}
	r.stores[l] = v.stored
	if !v.good() {
		t.Errorf("round %d: %v", r.rounds, v)
	}
}

// before notes the rate at which events were acknowledged until the fault.
func (r *row) before(t *testing.T, rate float64) {
	t.Helper()
	if r.slowest == 0 || rate < r.slowest {
		r.slowest = rate
	}
	if rate < leastRate {
		t.Fatalf("void: %.0f events/s were acknowledged before the fault, want at least %d", rate, leastRate)
	}
}

func (s *table) print(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprint(out, "\n| scenario\t| rounds\t| least events/s\t| acknowledged\t| stored\t| lost\t| twice\t| never sent\t| back within\t| took\t| result\t|\n")
	fmt.Fprint(out, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|\n")
	for _, r := range s.rows {
		result := "passed"
		if r.failed {
			result = "FAILED"
		}
		if r.note != "" {
			result += "; " + r.note
		}
		rate, back := "-", "-" // no fault, so no load before it
		if r.slowest > 0 {
			rate = fmt.Sprintf("%.0f", r.slowest)
		}
		if r.back > 0 {
			back = fmt.Sprintf("%.1f s", r.back.Seconds())
		}
		acked, stored := 0, 0
		for l, n := range r.stores {
			acked, stored = acked+l.acked, stored+n
		}
		fmt.Fprintf(out, "| %s\t| %d\t| %s\t| %d\t| %d\t| %d\t| %d\t| %d\t| %s\t| %.0f s\t| %s\t|\n",
			r.name, r.rounds, rate, acked, stored, r.lost, r.twice, r.alien, back, r.took.Seconds(), result)
	}
	_ = out.Flush() // to a buffer and the terminal
}
