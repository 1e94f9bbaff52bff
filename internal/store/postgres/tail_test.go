package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// tailer calls Tail again and again, of any of several replicas.
type tailer struct {
	after string
	got   []audit.ID
}

// next returns what is new, of one call.
func (f *tailer) next(t asker, s *Store, limit int) (fresh []audit.ID, more bool) {
	t.Helper()
	tail, err := s.Tail(t.Context(), query.ClusterWide(), store.TailRequest{After: f.after, Limit: limit})
	if err != nil {
		t.Fatalf("Tail: %v", err)
	}
	f.after = tail.Next
	for i := range tail.Events {
		fresh = append(fresh, tail.Events[i].ID)
	}
	f.got = append(f.got, fresh...)
	return fresh, tail.More
}

func idsOf(events ...audit.Event) []audit.ID {
	var ids []audit.ID
	for i := range events {
		ids = append(ids, events[i].ID)
	}
	return ids
}

func (f *tailer) want(t *testing.T, s *Store, when string, events ...audit.Event) {
	t.Helper()
	got, _ := f.next(t, s, 100)
	if d := cmp.Diff(idsOf(events...), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", when, d)
	}
}

// TestTailOfHeldCommit holds a transaction of one replica open while another
// one commits: what began first becomes visible last, and is shown then.
func TestTailOfHeldCommit(t *testing.T) {
	url := newDatabase(t)
	slow, quick := openAt(t, url), openAt(t, url)
	held := batchOf(plain(1, testNow))
	held.Quarantined = []audit.Quarantined{{Source: "s", ReceivedAt: testNow, Reason: "a test"}}
	for range 4 { // what waits is no statement that is still to be prepared
		if _, err := slow.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: testNow, Quarantined: held.Quarantined}); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	f := &tailer{}
	f.want(t, quick, "at the beginning")

	// The commit ends with its quarantine, for which it waits.
	holder, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(t.Context())
	if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE audit_quarantine IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := slow.Append(t.Context(), held)
		done <- err
	}()
	for ask[bool](t, quick, "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'audit_quarantine'::regclass AND NOT granted)") {
		if t.Context().Err() != nil {
			t.Fatal("the commit does not wait")
		}
	}
	mustAppend(t, quick, store.Appended{Stored: 1}, plain(2, testNow))
	f.want(t, quick, "while a commit is held", plain(2, testNow))
	mustAppend(t, quick, store.Appended{Stored: 1}, plain(3, testNow))
	if _, err := holder.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("Append: %v", err)
	}
	both, _ := f.next(t, slow, 100)
	slices.SortFunc(both, func(a, b audit.ID) int { return slices.Compare(a[:], b[:]) })
	if d := cmp.Diff(idsOf(plain(1, testNow), plain(3, testNow)), both); d != "" {
		t.Errorf("after the held commit (-want +got):\n%s", d)
	}
	f.want(t, quick, "at the end")
}

// TestTailOfReplicas has two replicas append beside each other, late events and
// the same ones too, while both tail and order.
func TestTailOfReplicas(t *testing.T) {
	url := newDatabase(t)
	replicas := []*Store{openAt(t, url), openAt(t, url)}
	corpus := generated(t, 1, testNow.Add(-26*time.Hour), 300)
	run := uint64(0)
	rapid.Check(t, func(r *rapid.T) {
		run++
		events := anew(corpus, run)
		var group errgroup.Group
		f, appended := &tailer{}, map[audit.ID]bool{}
		f.next(r, replicas[0], 1)
		for range rapid.IntRange(1, 8).Draw(r, "steps") {
			s := rapid.SampledFrom(replicas).Draw(r, "replica")
			from := rapid.IntRange(0, len(events)-1).Draw(r, "from")
			to := rapid.IntRange(from+1, len(events)).Draw(r, "to")
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0:
				group.Go(func() error { return s.keepArrivals(t.Context()) })
			case 1:
				f.next(r, s, rapid.IntRange(1, 100).Draw(r, "limit"))
			default:
				for _, id := range idsOf(events[from:to]...) {
					appended[id] = true
				}
				group.Go(func() error {
					_, err := s.Append(t.Context(), batchOf(events[from:to]...))
					return err
				})
			}
		}
		if err := group.Wait(); err != nil {
			r.Fatal(err)
		}
		for {
			if _, more := f.next(r, replicas[0], 100); !more {
				break
			}
		}
		seen := map[audit.ID]bool{}
		for _, id := range f.got {
			if seen[id] || !appended[id] {
				r.Fatalf("event %s comes twice: %t", id, seen[id])
			}
			seen[id] = true
		}
		if len(seen) != len(appended) {
			r.Fatalf("Tail has %d events of %d", len(seen), len(appended))
		}
	})
}

// TestTailOfMovedRows finds rows that were moved, as by VACUUM FULL or by a
// restore, and goes on from where it was.
func TestTailOfMovedRows(t *testing.T) {
	s := openAt(t, newDatabase(t))
	f := &tailer{}
	f.want(t, s, "at the beginning")
	mustAppend(t, s, store.Appended{Stored: 2}, plain(1, testNow), plain(2, testNow.Add(-24*time.Hour)))
	mustExec(t, s, "UPDATE audit_arrivals_new SET blocks = '{1000,1001}'")
	f.want(t, s, "after rows were moved", plain(2, testNow.Add(-24*time.Hour)), plain(1, testNow))
}

// TestTailAwaitsRows waits for rows that are not to be seen yet, as where the
// database is spread over machines, but not for ever.
func TestTailAwaitsRows(t *testing.T) {
	s := openAt(t, newDatabase(t))
	f := &tailer{}
	f.want(t, s, "at the beginning")
	for n := range 3 {
		mustAppend(t, s, store.Appended{Stored: 1}, plain(n, testNow))
		f.next(t, s, 0) // in this order
	}
	mustExec(t, s, "UPDATE audit_arrivals SET count = 2 WHERE seq = 2")
	f.want(t, s, "before a row is to be seen", plain(0, testNow))
	f.want(t, s, "while it is not")
	mustExec(t, s, "UPDATE audit_arrivals SET at = at - interval '61 seconds'")
	f.want(t, s, "a minute later", plain(1, testNow), plain(2, testNow))
}

// TestTailForgets goes on from a position of the last day, and says so where it
// can't.
func TestTailForgets(t *testing.T) {
	s := mustOpen(t, Options{URL: newDatabase(t), Log: testr.New(t)})
	now := time.Now()
	var old, recent tailer
	mustAppend(t, s, store.Appended{Stored: 1}, plain(1, now))
	old.next(t, s, 1)
	mustAppend(t, s, store.Appended{Stored: 1}, plain(2, now))
	recent.next(t, s, 1)
	mustExec(t, s, "UPDATE audit_arrivals SET at = at - interval '25 hours'")
	for range 2 {
		if err := s.maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left := ask[int](t, s, "SELECT count(*)::int FROM audit_arrivals"); left != 1 {
		t.Errorf("%d arrivals are kept, want the last one", left)
	}
	if _, err := s.Tail(t.Context(), query.ClusterWide(), store.TailRequest{After: old.after, Limit: 1}); !errors.Is(err, store.ErrPosition) {
		t.Errorf("Tail from a forgotten position = %v, want ErrPosition", err)
	}
	mustAppend(t, s, store.Appended{Stored: 1}, plain(3, now))
	recent.want(t, s, "after a day of rest", plain(3, now))
}

// TestTailOfAnotherHistory refuses a position of what a failover has lost.
func TestTailOfAnotherHistory(t *testing.T) {
	s := openAt(t, newDatabase(t))
	mustAppend(t, s, store.Appended{Stored: 1}, plain(1, testNow))
	f := &tailer{}
	f.next(t, s, 1)
	mustExec(t, s, "UPDATE audit_arrivals SET numbers = '{7,7}'")
	for range 2 {
		if _, err := s.Tail(t.Context(), query.ClusterWide(), store.TailRequest{After: f.after, Limit: 1}); !errors.Is(err, store.ErrPosition) {
			t.Errorf("Tail = %v, want ErrPosition", err)
		}
		mustExec(t, s, "DELETE FROM audit_arrivals")
	}
}

// TestTailPlan looks at how a tail reads: no more than what came.
func TestTailPlan(t *testing.T) {
	e := openExplaining(t)
	mustExec(t, e.Store, "SELECT setval('audit_dictionary_id', 1000)") // after what was filled by hand
	f := &tailer{}
	f.next(t, e.Store, 1)
	var events []audit.Event
	for i := range 500 {
		events = append(events, plain(i, testNow.Add(-30*time.Hour-time.Duration(i)*time.Minute/2)))
	}
	mustAppend(t, e.Store, store.Appended{Stored: len(events)}, events...)
	f.next(t, e.Store, 0) // gives them an order
	e.scans(t)
	if fresh, _ := f.next(t, e.Store, 100); len(fresh) != 100 {
		t.Fatalf("Tail has %d events, want 100", len(fresh))
	}
	how, most := e.scans(t)
	for table, scan := range how {
		if !strings.Contains(scan, "Tid Range Scan") {
			t.Errorf("%s is read by %s", table, scan)
		}
	}
	if len(how) == 0 || most > 3*len(events) {
		t.Errorf("one scan returned %d rows of tables %v for %d that came", most, how, len(events))
	}
	if fresh, more := f.next(t, e.Store, 1000); len(fresh) != store.MaxTail || !more {
		t.Fatalf("Tail has %d more events, want %d, and others", len(fresh), store.MaxTail)
	}
	if fresh, more := f.next(t, e.Store, 1000); len(fresh) != 400-store.MaxTail || more {
		t.Fatalf("Tail has %d more events, want %d", len(fresh), 400-store.MaxTail)
	}
	e.scans(t)
	f.next(t, e.Store, 100)
	if how, _ := e.scans(t); len(how) > 0 {
		t.Errorf("a tail of nothing new reads %v", how)
	}
}

func FuzzDecodePosition(f *testing.F) {
	f.Add(tailPosition{}.encode())
	f.Add(tailPosition{1, 2, &query.Position{OccurredAt: testNow, ID: audit.ID{1}}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePosition(b)
		if err != nil {
			if !errors.Is(err, store.ErrPosition) {
				t.Errorf("decodePosition = %v", err)
			}
			return
		}
		if again := p.encode(); !bytes.Equal(again, b) {
			t.Errorf("%x is read as %+v, which is written as %x", b, p, again)
		}
	})
}

func TestRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfN(rapid.Int64Range(0, 60), 1, 30).Draw(t, "numbers")
		gap := rapid.Int64Range(0, 3).Draw(t, "gap")
		half := rapid.IntRange(0, len(numbers)).Draw(t, "half")
		all := rangesOf(slices.Clone(numbers), gap)
		if joined := join([]ranges{rangesOf(slices.Clone(numbers[:half]), gap), rangesOf(slices.Clone(numbers[half:]), gap)}, gap); !slices.Equal(all, joined) {
			t.Fatalf("%v at once, %v joined", all, joined)
		}
		for n := range int64(62) {
			near := slices.ContainsFunc(numbers, func(m int64) bool { return m <= n && n <= m+gap })
			if slices.Contains(numbers, n) && !all.hold(n) || all.hold(n) && !near {
				t.Fatalf("%v of %v holds %d: %t", all, numbers, n, all.hold(n))
			}
		}
		if !slices.IsSorted(all) || len(all)%2 != 0 {
			t.Fatal(fmt.Sprint(all))
		}
	})
}
