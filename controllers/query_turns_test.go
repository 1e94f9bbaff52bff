package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func named(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func TestFairQueue(t *testing.T) {
	var f fairQueue
	for i := range 40 {
		f.Push(named("greedy", fmt.Sprint(i)))
	}
	f.Push(named("modest", "0"))
	f.Push(named("other", "0"))
	f.Push(named("modest", "1"))
	var got []string
	for f.Len() > 0 {
		r := f.Pop()
		got = append(got, r.Namespace+r.Name)
	}
	if len(got) != 43 || strings.Join(got[:7], " ") != "greedy0 modest0 other0 greedy1 modest1 greedy2 greedy3" {
		t.Errorf("%d came, in the order %v", len(got), got)
	}
	if len(f.turns) > 0 || len(f.waiting) > 0 {
		t.Errorf("an empty queue holds %v, %v", f.turns, f.waiting)
	}
}

// TestTurnsOfANamespace lets two of a namespace run, the others wait, and those
// of others pass.
func TestTurnsOfANamespace(t *testing.T) {
	turns := newTurns(time.Minute, 2)
	var again []reconcile.Request
	turns.call(func(r reconcile.Request) { again = append(again, r) })
	a, b, c, d := named("greedy", "a"), named("greedy", "b"), named("greedy", "c"), named("greedy", "d")
	for _, r := range []reconcile.Request{a, b, c, d, c} {
		if got, want := turns.begin(r, runTime), r == a || r == b; got != want {
			t.Errorf("%s may run: %t", r, got)
		}
	}
	if !turns.begin(named("modest", "a"), runTime) {
		t.Error("another namespace has to wait")
	}
	turns.end(a)
	if !slices.Equal(again, []reconcile.Request{c}) || !turns.begin(c, runTime) {
		t.Errorf("looked at again: %v", again)
	}
	turns.end(b)
	turns.end(c)
	if !slices.Equal(again, []reconcile.Request{c, d}) {
		t.Errorf("looked at again: %v", again)
	}
	turns.end(named("modest", "a"))
	if len(turns.running)+len(turns.waiting) > 0 {
		t.Errorf("left: %v, %v", turns.running, turns.waiting)
	}
}

func TestOneRunInAWhile(t *testing.T) {
	turns := newTurns(10*time.Second, 2)
	r, at := named("shop", "q"), func(seconds float64) time.Time { return runTime.Add(time.Duration(seconds * float64(time.Second))) }
	earliest := func(taken, now, want time.Time) {
		t.Helper()
		if got := turns.earliest(r, taken, now); !got.Equal(want) {
			t.Errorf("at %v, with a snapshot of %v, it may run at %v, want %v", now, taken, got, want)
		}
	}
	earliest(time.Time{}, at(0), at(0))
	turns.begin(r, at(0))
	turns.end(r)
	earliest(time.Time{}, at(0), at(10)) // made anew under its name: no snapshot
	earliest(time.Time{}, at(9.9), at(10))
	earliest(time.Time{}, at(10), at(10))
	earliest(at(5), at(6), at(15)) // another process took it
	earliest(at(-20), at(20), at(20))
	earliest(at(40), at(20), at(20)) // from the future
	turns.begin(r, at(100))
	turns.end(r)
	earliest(time.Time{}, at(50), at(50)) // the clock was set back
	if len(turns.began) > 0 {
		t.Errorf("still remembered: %v", turns.began)
	}
}
