package admission

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/store"
)

// read is a read that was asked for.
type read struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{} // closed when it was let through or refused
	leave  func()
	err    error
}

// ask asks for a read within a synctest bubble, and goes on when it runs or waits.
func ask(t *testing.T, g *Gate, caller Caller, name string) *read {
	t.Helper()
	ctx, cancel := context.WithCancel(With(t.Context(), caller))
	r := &read{name: name, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.leave, r.err = g.Enter(ctx)
	}()
	synctest.Wait()
	return r
}

func (r *read) runs() bool {
	select {
	case <-r.done:
		return r.err == nil
	default:
		return false
	}
}

func (r *read) refused() bool {
	select {
	case <-r.done:
		return errors.Is(r.err, store.ErrBusy)
	default:
		return false
	}
}

// end ends reads, whatever became of them.
func end(reads ...*read) {
	for _, r := range reads {
		r.cancel()
		<-r.done
		if r.leave != nil {
			r.leave()
		}
		synctest.Wait()
	}
}

func running(reads []*read) (names []string) {
	for _, r := range reads {
		if r.runs() {
			names = append(names, r.name)
		}
	}
	return names
}

// Callers of requests are people and namespaces, whatever a name looks like.
func TestCallers(t *testing.T) {
	for _, test := range []struct {
		a, b Caller
		same bool
	}{
		{User("jane"), User("jane"), true},
		{User("jane"), User("Jane"), false},
		{User("system:serviceaccount:shop:a"), User("system:serviceaccount:shop:b"), true},
		{User("system:serviceaccount:shop:a"), QueriesIn("shop"), true},
		{User("system:serviceaccount:shop:a"), User("system:serviceaccount:shop2:a"), false},
		{User("shop"), QueriesIn("shop"), false},
		{User("namespace/shop"), QueriesIn("shop"), false},
		{User("cluster"), QueriesIn(""), false},
		{User(""), QueriesIn(""), false},
		{User("system:serviceaccount:shop"), QueriesIn("shop"), false},
		{QueriesIn("shop"), QueriesIn("bank"), false},
		{QueriesIn(""), QueriesIn("shop"), false},
	} {
		if same := test.a.key == test.b.key; same != test.same {
			t.Errorf("%v and %v are the same caller: %t", test.a, test.b, same)
		}
	}
	if got := callerOf(t.Context()); got != unnamed {
		t.Errorf("a context without a caller has %v", got)
	}
}

// One caller has a third of the places, and queries two thirds.
func TestShares(t *testing.T) {
	for _, test := range []struct{ asked, atOnce, each, queries int }{
		{0, MinAtOnce, 1, 2}, {MinAtOnce, 3, 1, 2}, {5, 5, 1, 4}, {DefaultAtOnce, 6, 2, 4}, {MaxAtOnce, 64, 21, 43}, {MaxAtOnce + 1, 64, 21, 43},
	} {
		g := NewGate(test.asked, nil)
		if got := [3]int{g.atOnce, g.each, g.queries}; got != [3]int{test.atOnce, test.each, test.queries} {
			t.Errorf("of %d places: %v, want %v", test.asked, got, test)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(6, nil)
		var flood, queries []*read
		for i := range WaitingEach {
			flood = append(flood, ask(t, g, User("mallory"), fmt.Sprint("mallory ", i)))
		}
		if diff := cmp.Diff([]string{"mallory 0", "mallory 1"}, running(flood)); diff != "" {
			t.Errorf("of one caller (-want +got):\n%s", diff)
		}
		end(flood...)
		for i := range 8 {
			name := fmt.Sprint("queries of ", i)
			queries = append(queries, ask(t, g, QueriesIn(fmt.Sprint(i)), name), ask(t, g, QueriesIn(fmt.Sprint(i)), name))
		}
		if n := len(running(queries)); n != 4 {
			t.Errorf("%d queries run, want 4", n)
		}
		// A person in a namespace's name has what its queries left, and others theirs.
		people := []*read{ask(t, g, User("system:serviceaccount:7:a"), "7"), ask(t, g, User("jane"), "jane"), ask(t, g, User("jane"), "jane")}
		if diff := cmp.Diff([]string{"7", "jane"}, running(people)); diff != "" {
			t.Errorf("beside queries (-want +got):\n%s", diff)
		}
		end(append(queries, people...)...)
		if len(g.callers)+len(g.turns)+g.waiting != 0 {
			t.Errorf("%d callers, %d turns, %d waiting remain", len(g.callers), len(g.turns), g.waiting)
		}
	})
}

// However much of one caller waits, another's first read is the next.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(3, nil)
		run := []*read{ask(t, g, User("a"), "a"), ask(t, g, User("b"), "b"), ask(t, g, User("c"), "c")}
		var waiting []*read
		for i := range 5 {
			waiting = append(waiting, ask(t, g, User("mallory"), fmt.Sprint("mallory ", i)))
		}
		waiting = append(waiting, ask(t, g, User("jane"), "jane 0"), ask(t, g, User("jane"), "jane 1"), ask(t, g, User("a"), "a 1"))
		var order []string
		last := run[0]
		for len(waiting) > 0 {
			end(last)
			if got := running(waiting); len(got) != 1 {
				t.Fatalf("%v run, want one more", got)
			}
			i := slices.IndexFunc(waiting, (*read).runs)
			last = waiting[i]
			order = append(order, last.name)
			waiting = slices.Delete(waiting, i, i+1)
		}
		want := []string{"mallory 0", "jane 0", "a 1", "mallory 1", "jane 1", "mallory 2", "mallory 3", "mallory 4"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("order of turns (-want +got):\n%s", diff)
		}
		end(last, run[1], run[2])
	})
}

// The queue is bounded for each caller and in all, and a caller with fewer
// reads in it pushes out those of one with more.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(3, nil)
		run := []*read{ask(t, g, User("a"), "a"), ask(t, g, User("b"), "b"), ask(t, g, User("c"), "c")}
		var all []*read
		callers := WaitingMost / WaitingEach
		for i := range callers {
			user := User(fmt.Sprint("mallory ", i))
			for range WaitingEach {
				all = append(all, ask(t, g, user, ""))
			}
			if last := all[len(all)-1]; last.refused() {
				t.Fatalf("read %d of a caller is refused: %v", WaitingEach, last.err)
			}
			if beyond := ask(t, g, user, ""); !beyond.refused() {
				t.Fatalf("read %d of a caller waits", WaitingEach+1)
			}
		}
		if g.waiting != WaitingMost || slices.ContainsFunc(all, (*read).refused) {
			t.Fatalf("%d wait, want %d and none refused", g.waiting, WaitingMost)
		}
		jane := ask(t, g, User("jane"), "jane")
		if jane.refused() {
			t.Fatal("the queue is full of others, and refuses a caller's first read")
		}
		refused := 0
		for _, r := range all {
			if r.refused() {
				refused++
			}
		}
		if refused != 1 || g.waiting != WaitingMost {
			t.Errorf("%d gave way and %d wait, want 1 and %d", refused, g.waiting, WaitingMost)
		}
		// Jane is now one of those who wait, with fewer than the others, until all are alike.
		for range WaitingEach - 3 {
			all = append(all, ask(t, g, User("jane"), "jane"))
		}
		others := ask(t, g, User("bob"), "bob")
		if others.refused() {
			t.Error("a caller's first read is refused though others have many")
		}
		end(append(append(all, run...), jane, others)...)
		if len(g.callers) != 0 || g.waiting != 0 {
			t.Errorf("%d callers and %d waiting remain", len(g.callers), g.waiting)
		}
	})
}

// A read waits as long as its kind may, and no longer than its context.
func TestPatience(t *testing.T) {
	for _, test := range []struct {
		caller Caller
		most   time.Duration
	}{{User("jane"), 10 * time.Second}, {QueriesIn("shop"), 30 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			g := NewGate(3, nil)
			run := []*read{ask(t, g, User("a"), "a"), ask(t, g, User("b"), "b"), ask(t, g, User("c"), "c")}
			r := ask(t, g, test.caller, "")
			<-time.After(test.most - time.Millisecond)
			synctest.Wait()
			if r.refused() {
				t.Errorf("%v is refused before %s", test.caller, test.most)
			}
			<-time.After(2 * time.Millisecond)
			synctest.Wait()
			if !r.refused() {
				t.Errorf("%v is not refused after %s", test.caller, test.most)
			}
			gone := ask(t, g, test.caller, "")
			gone.cancel()
			<-gone.done
			if !errors.Is(gone.err, context.Canceled) {
				t.Errorf("cancelled: %v", gone.err)
			}
			end(run...)
			if len(g.callers) != 0 || g.waiting != 0 {
				t.Errorf("%d callers and %d waiting remain", len(g.callers), g.waiting)
			}
		})
	}
}

// Whatever callers do: no share is exceeded, nobody waits for whom there is a
// place, and nothing is left in the end.
func TestSharesHoldAlways(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := NewGate(rapid.IntRange(MinAtOnce, 9).Draw(rt, "at once"), nil)
		var waiting, run []*ticket
		check := func() {
			var still []*ticket
			for _, w := range waiting {
				switch {
				case w.running:
					run = append(run, w)
				case !isClosed(w.called):
					still = append(still, w)
				}
			}
			waiting = still
			byCaller, queries := map[*line]int{}, 0
			for _, r := range run {
				byCaller[r.line]++
				if r.kind == Queries {
					queries++
				}
			}
			for _, n := range byCaller {
				if n > g.each {
					rt.Fatalf("a caller runs %d, of %d", n, g.each)
				}
			}
			if len(run) > g.atOnce || queries > g.queries || len(waiting) != g.waiting || g.waiting > WaitingMost {
				rt.Fatalf("%d run, %d of them queries; %d wait, as the gate says %d", len(run), queries, len(waiting), g.waiting)
			}
			for _, w := range waiting {
				if len(run) < g.atOnce && byCaller[w.line] < g.each && (w.kind == People || queries < g.queries) {
					rt.Fatalf("a read of %s waits though there is a place for it", w.line.key)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"ask": func(rt *rapid.T) {
				caller := User(rapid.SampledFrom([]string{"a", "b", "c", "system:serviceaccount:shop:x"}).Draw(rt, "user"))
				if rapid.Bool().Draw(rt, "query") {
					caller = QueriesIn(rapid.SampledFrom([]string{"", "shop", "bank"}).Draw(rt, "namespace"))
				}
				for range rapid.IntRange(1, 20).Draw(rt, "reads") {
					if ticket := g.enqueue(caller); ticket != nil {
						waiting = append(waiting, ticket)
					}
					check()
				}
			},
			"end": func(rt *rapid.T) {
				if len(run) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(run)-1).Draw(rt, "which")
				g.leave(run[i])
				run = slices.Delete(run, i, i+1)
				check()
			},
			"give up": func(rt *rapid.T) {
				if len(waiting) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(waiting)-1).Draw(rt, "which")
				g.mu.Lock()
				g.drop(waiting[i])
				g.mu.Unlock()
				waiting = slices.Delete(waiting, i, i+1)
				check()
			},
		})
		for len(run) > 0 {
			g.leave(run[0])
			run = run[1:]
			check()
		}
		if len(g.callers)+len(g.turns)+g.waiting+g.total() != 0 {
			rt.Fatalf("%d callers, %d turns, %d waiting, %d running remain", len(g.callers), len(g.turns), g.waiting, g.total())
		}
	})
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Every method by which a store is read passes the gate, but for those that are
// named here with a reason. There is no store behind it, so that one that does
// not pass panics.
func TestEveryReadPasses(t *testing.T) {
	open := map[string]string{
		"Sources":        "asked by a controller in its own time, of a few rows",
		"SaveSnapshot":   "what it saves is read by Capture",
		"DeleteSnapshot": "reads nothing",
		"MarkSnapshot":   "reads nothing", "UnmarkSnapshots": "reads nothing",
		"SnapshotMarks": "asked by controllers alone, of a few rows",
	}
	g := NewGate(MinAtOnce, nil)
	s := reflect.ValueOf(NewStore(nil, g))
	for _, user := range []string{"a", "b", "c"} { // as many as there are places
		leave, err := g.Enter(With(t.Context(), User(user)))
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	for _, of := range []reflect.Type{reflect.TypeFor[store.Reader](), reflect.TypeFor[store.Snapshots]()} {
		for method := range of.NumMethod() {
			name := of.Method(method).Name
			if open[name] != "" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				defer func() {
					if r := recover(); r != nil {
						t.Errorf("%s reads the store without a place at the gate", name)
					}
				}()
				ctx, cancel := context.WithTimeout(With(t.Context(), User("jane")), time.Millisecond)
				defer cancel()
				call := s.MethodByName(name)
				args := []reflect.Value{reflect.ValueOf(ctx)}
				for i := 1; i < call.Type().NumIn(); i++ {
					args = append(args, reflect.Zero(call.Type().In(i)))
				}
				out := call.Call(args)
				if err, _ := out[len(out)-1].Interface().(error); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v, want to wait until the context ends", name, err)
				}
			})
		}
	}
}
