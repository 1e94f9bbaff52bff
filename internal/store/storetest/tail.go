package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// tailing is a sequence of calls of Tail.
type tailing struct {
	b     *bench
	scope query.Scope
	req   store.TailRequest
	got   []audit.Event
}

// follow begins a sequence.
func (b *bench) follow(t asker, scope query.Scope, filter query.Filter, since time.Time) *tailing {
	t.Helper()
	f := &tailing{b: b, scope: scope, req: store.TailRequest{Filter: filter, Since: since}}
	if tail := f.next(t, 10); len(tail.Events) > 0 || tail.More {
		t.Fatalf("the first Tail has %d events, more: %t; want none", len(tail.Events), tail.More)
	}
	return f
}

// asker is a test, or a check of generated values in one.
type asker interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// ingest appends a moment later than before: commits are told apart by time.
func (b *bench) ingest(t *testing.T, want store.Appended, events ...audit.Event) {
	t.Helper()
	b.clock.advance(time.Microsecond)
	b.append(t, want, events...)
}

// next makes one call.
func (f *tailing) next(t asker, limit int) store.Tail {
	t.Helper()
	f.req.Limit = limit
	tail, err := f.b.Tail(t.Context(), f.scope, f.req)
	if err != nil {
		t.Fatalf("Tail: %v", err)
	}
	if len(tail.Events) > limit {
		t.Fatalf("Tail of %d has %d events", limit, len(tail.Events))
	}
	f.got = append(f.got, tail.Events...)
	f.req.After = tail.Next
	return tail
}

// drain calls until there is nothing more, and returns all that came.
func (f *tailing) drain(t asker, limit int) []audit.Event {
	t.Helper()
	for calls := 0; f.next(t, limit).More; calls++ {
		if calls > 10_000 {
			t.Fatalf("Tail has more and more")
		}
	}
	return f.got
}

// testTail appends early, late and known events and expects each once, in the
// order of the commits.
func testTail(t *testing.T, b *bench) {
	now := b.clock.Now()
	before := plain(1, now.Add(-time.Minute))
	b.ingest(t, store.Appended{Stored: 1}, before)
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	idle := f.req.After
	if tail := f.next(t, 10); len(tail.Events) > 0 || tail.More || tail.Next == idle || !tail.AsOf.Equal(b.clock.Now()) {
		t.Errorf("Tail of nothing new has %d events, more: %t, as of %s; the position tells that nothing came: %t", len(tail.Events), tail.More, tail.AsOf, tail.Next == idle)
	}

	late, ancient, ahead := plain(2, now.Add(-2*time.Minute)), plain(3, now.AddDate(0, 0, -4)), plain(4, now.Add(50*time.Minute))
	for _, e := range []audit.Event{late, ancient, ahead} {
		b.ingest(t, store.Appended{Stored: 1}, e)
	}
	b.ingest(t, store.Appended{Duplicate: 2}, before, late)
	b.reopen(t)
	if d := diff([]audit.Event{late, ancient, ahead}, f.drain(t, 2)); d != "" {
		t.Errorf("Tail (-want +got):\n%s", d)
	}
	if f.got[0].IngestedAt.IsZero() || f.got[0].Raw != nil {
		t.Errorf("an event was ingested at %s and has a raw of %d bytes", f.got[0].IngestedAt, len(f.got[0].Raw))
	}

	// What its Since leaves out does not come later.
	f.req.Since = now
	b.ingest(t, store.Appended{Stored: 2}, plain(5, now.Add(-time.Microsecond)), plain(6, now))
	f.drain(t, 10)
	f.req.Since = time.Time{}
	if got := f.drain(t, 10); len(got) != 4 || got[3].ID != plain(6, now).ID {
		t.Errorf("after Since moved on, Tail has %d events in all, want 4", len(got))
	}
}

// testTailManyDays tails a batch of many days by small steps.
func testTailManyDays(t *testing.T, b *bench) {
	now := b.clock.Now()
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	var events []audit.Event
	for i := range 600 { // more than a chunk of rows at once, and of several days
		events = append(events, plain(i, now.Add(-time.Duration(i%5*24)*time.Hour-time.Duration(i)*time.Second)))
	}
	b.ingest(t, store.Appended{Stored: 400}, events[:400]...)
	b.ingest(t, store.Appended{Stored: 200, Duplicate: 100}, events[300:]...)
	got := f.drain(t, 7)
	if d := diff(sortedByID(events), sortedByID(got)); d != "" {
		t.Errorf("Tail (-want +got):\n%s", d)
	}
	if slices.ContainsFunc(got[:400], func(e audit.Event) bool {
		return slices.ContainsFunc(events[400:], func(later audit.Event) bool { return later.ID == e.ID })
	}) {
		t.Error("an event of the second batch comes before one of the first")
	}
}

func sortedByID(events []audit.Event) []audit.Event {
	return slices.SortedFunc(slices.Values(events), func(a, b audit.Event) int { return slices.Compare(a.ID[:], b.ID[:]) })
}

// testTailGenerated interleaves appends, some late and some known, with calls
// of several sequences, and compares each with the oracle.
func testTailGenerated(t *testing.T, b *bench) {
	generator := eventsAround(b.clock.Now())
	made := 0
	var all []audit.Event // of every run
	rapid.Check(t, func(r *rapid.T) {
		type sequence struct {
			*tailing
			since time.Time
			from  int // of all
		}
		var sequences []sequence
		round := map[audit.ID]int{} // of the append
		for step := range rapid.IntRange(1, 8).Draw(r, "steps") {
			if rapid.IntRange(0, 2).Draw(r, "begins") == 0 || step == 0 {
				filter := drawFilter(r)
				if rapid.Bool().Draw(r, "everything") {
					filter = everyStage()
				}
				since := time.Time{}
				if rapid.Bool().Draw(r, "since") {
					since = drawWindow(r, b.clock.Now()).From
				}
				sequences = append(sequences, sequence{b.follow(r, drawScope(r), filter, since), since, len(all)})
			}
			var batch []audit.Event
			known := map[audit.ID]bool{}
			for range rapid.IntRange(0, 12).Draw(r, "events") {
				if len(all) > 0 && rapid.IntRange(0, 3).Draw(r, "known") == 0 {
					batch = append(batch, all[rapid.IntRange(0, len(all)-1).Draw(r, "which")])
					continue
				}
				made++
				e := number(generator.Draw(r, "event"), made)
				round[e.ID] = step
				batch = append(batch, e)
				known[e.ID] = true
			}
			b.ingest(t, store.Appended{Stored: len(known), Duplicate: len(batch) - len(known)}, batch...)
			for _, e := range batch {
				if known[e.ID] {
					all = append(all, e)
				}
			}
			for _, s := range sequences {
				for range rapid.IntRange(0, 2).Draw(r, "calls") {
					s.next(r, rapid.IntRange(1, 9).Draw(r, "limit"))
				}
			}
		}
		for i, s := range sequences {
			got := s.drain(r, 50)
			want := oracle(all[s.from:]).matches(s.scope, &s.req.Filter, query.Window{From: s.since, To: always(b.clock.Now()).To})
			if d := diff(sortedByID(want), sortedByID(got)); d != "" {
				r.Fatalf("sequence %d (-want +got):\n%s", i, d)
			}
			if !slices.IsSortedFunc(got, func(a, b audit.Event) int { return cmp.Compare(round[a.ID], round[b.ID]) }) {
				r.Fatalf("sequence %d is not in the order of the commits", i)
			}
		}
	})
}

// testTailConcurrent tails while many append the same events and others.
func testTailConcurrent(t *testing.T, b *bench) {
	now := b.clock.Now()
	var events []audit.Event
	for i := range 800 {
		events = append(events, plain(i, now.Add(-time.Duration(i)*7*time.Minute)))
	}
	// The days are there before: who makes one may have others wait too long.
	for n := range 5 {
		b.append(t, store.Appended{Stored: 1}, plain(1000+n, now.AddDate(0, 0, -n)))
	}
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	var writers errgroup.Group
	done := make(chan error, 1)
	for w := range 6 {
		writers.Go(func() error {
			for chunk := range slices.Chunk(events[w*100:w*100+300], 23) {
				if _, err := b.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: now, Events: chunk}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	go func() { done <- writers.Wait() }()
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("Append: %v", err)
			}
			running = false
		default:
			f.next(t, 50)
		}
	}
	if d := diff(sortedByID(events), sortedByID(f.drain(t, 50))); d != "" {
		t.Errorf("Tail (-want +got):\n%s", d)
	}
}

// testTailScope checks that a tail shows and tells nothing of what its caller
// may not see, and that the scope is that of each call.
func testTailScope(t *testing.T, b *bench) {
	now := b.clock.Now()
	at := func(n int, cluster, namespace string) audit.Event {
		e := plain(n, now)
		e.Cluster, e.Namespace = cluster, namespace
		return e
	}
	wide := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	both := b.follow(t, query.InNamespaces("prod", "shop", "bills"), query.Filter{}, time.Time{})
	one := b.follow(t, query.InNamespaces("prod", "shop"), query.Filter{Terms: query.Terms{Namespaces: []string{"bills", query.NoNamespace, "shop"}}}, time.Time{})
	none := b.follow(t, query.Scope{}, query.Filter{}, time.Time{})
	before := len(none.req.After)
	b.ingest(t, store.Appended{Stored: 5}, at(1, "prod", "shop"), at(2, "prod", "bills"), at(3, "prod", "kube-system"), at(4, "staging", "shop"), at(5, "prod", ""))
	for name, test := range map[string]struct {
		f    *tailing
		want []int
	}{"cluster-wide": {wide, []int{1, 2, 3, 4, 5}}, "two namespaces": {both, []int{1, 2}}, "one namespace": {one, []int{1}}, "nothing": {none, nil}} {
		var want []audit.Event
		for _, n := range test.want {
			want = append(want, plain(n, now))
		}
		got := test.f.drain(t, 2)
		for i := range got {
			got[i].Cluster, got[i].Namespace = "prod", "shop"
		}
		if d := diff(sortedByID(want), sortedByID(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if got := len(none.req.After); got != before {
		t.Errorf("what others stored makes a position of %d characters one of %d", before, got)
	}
	// Another's position gives no more than one's own scope.
	both.req.After, both.got = wide.req.After, nil
	b.ingest(t, store.Appended{Stored: 2}, at(6, "prod", "shop"), at(7, "staging", "shop"))
	if got := both.drain(t, 10); len(got) != 1 || got[0].ID != at(6, "", "").ID {
		t.Errorf("with another's position a scope sees %d events, want 1", len(got))
	}
}

// testTailPosition checks that nothing but what Tail returned is gone on from.
func testTailPosition(t *testing.T, b *bench) {
	b.ingest(t, store.Appended{Stored: 1}, plain(1, b.clock.Now()))
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	after := f.req.After
	other := newBench(t, b.open).follow(t, query.ClusterWide(), query.Filter{}, time.Time{}).req.After
	for name, altered := range map[string]string{
		"a word": "now", "a space": " ", "cut off": after[:len(after)-1], "longer": after + "A", "a line break": after + "\n",
		"changed": strings.ToUpper(after), "another store's": other, "long": strings.Repeat(after, 1000),
	} {
		f.req.After = altered
		if got, err := b.Tail(t.Context(), f.scope, f.req); !errors.Is(err, store.ErrPosition) || got.Next != "" {
			t.Errorf("%s: Tail = %+v, %v; want ErrPosition", name, got, err)
		}
	}
	f.req.After = after
	f.req.Filter.StatusCodes = []string{"4"}
	var wrong *query.FieldError
	for _, at := range []string{"", after} {
		f.req.After = at
		if _, err := b.Tail(t.Context(), f.scope, f.req); !errors.As(err, &wrong) {
			t.Errorf("Tail with a bad status code = %v, want a FieldError", err)
		}
	}
}

// testTailRetain drops days that a tail has read and some that it has not.
func testTailRetain(t *testing.T, b *bench) {
	now := b.clock.Now()
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	old := now.AddDate(0, 0, -3)
	b.ingest(t, store.Appended{Stored: 3}, plain(1, old), plain(2, old.Add(time.Second)), plain(3, now))
	f.next(t, 1)
	if _, err := b.Retain(t.Context(), now); err != nil {
		t.Fatalf("Retain: %v", err)
	}
	f.drain(t, 10)
	// What comes to the dropped day now is as new as any.
	b.ingest(t, store.Appended{Stored: 2}, plain(1, old), plain(4, old))
	f.got = nil
	if d := diff(sortedByID([]audit.Event{plain(1, old), plain(4, old)}), sortedByID(f.drain(t, 10))); d != "" {
		t.Errorf("Tail of a day that began anew (-want +got):\n%s", d)
	}
}

// testTailImported tails what comes from another store, with its times of
// ingestion.
func testTailImported(t *testing.T, b *bench) {
	now := b.clock.Now()
	f := b.follow(t, query.ClusterWide(), query.Filter{}, time.Time{})
	b.ingest(t, store.Appended{Stored: 1}, plain(1, now))
	imported := []audit.Event{plain(2, now.AddDate(0, 0, -40)), plain(3, now.Add(-time.Minute))}
	for i := range imported {
		imported[i].IngestedAt = now.Add(-time.Duration(i) * time.Hour)
	}
	if n, err := b.holdings(t).Import(t.Context(), imported); n != 2 || err != nil {
		t.Fatalf("Import = %d, %v", n, err)
	}
	b.ingest(t, store.Appended{Stored: 1}, plain(4, now))
	want := append([]audit.Event{plain(1, now), plain(4, now)}, imported...)
	if d := diff(sortedByID(want), sortedByID(f.drain(t, 1))); d != "" {
		t.Errorf("Tail (-want +got):\n%s", d)
	}
}
