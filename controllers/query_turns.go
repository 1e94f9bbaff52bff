package controllers

import (
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// runEvery is how often one query may run, whatever it is that asks for it.
	runEvery = 10 * time.Second
	// workersAtOnce is how many queries of a kind are worked at at once, and
	// runsOfNamespace how many of one namespace take snapshots at once, so that a
	// namespace's long questions leave others a worker.
	workersAtOnce   = 4
	runsOfNamespace = 2
	// backoffFirst and backoffMost bound the waits after failures that nothing
	// is known about.
	backoffFirst = time.Second
	backoffMost  = time.Minute
)

// fairQueue hands out requests in turn between namespaces, and in order within
// one. The work queue around it guards it.
type fairQueue struct {
	waiting map[string][]reconcile.Request
	turns   []string // the namespaces of waiting, the next one first
	n       int
}

// Touch implements workqueue.Queue.
func (*fairQueue) Touch(reconcile.Request) {}

// Push implements workqueue.Queue.
func (f *fairQueue) Push(r reconcile.Request) {
	if f.waiting == nil {
		f.waiting = map[string][]reconcile.Request{}
	}
	if len(f.waiting[r.Namespace]) == 0 {
		f.turns = append(f.turns, r.Namespace)
	}
	f.waiting[r.Namespace] = append(f.waiting[r.Namespace], r)
	f.n++
}

// Len implements workqueue.Queue.
func (f *fairQueue) Len() int { return f.n }

// Pop implements workqueue.Queue.
func (f *fairQueue) Pop() reconcile.Request {
	namespace := f.turns[0]
	f.turns = slices.Delete(f.turns, 0, 1)
	of := f.waiting[namespace]
	r := of[0]
	if len(of) == 1 {
		delete(f.waiting, namespace)
	} else {
		f.waiting[namespace] = slices.Delete(of, 0, 1)
		f.turns = append(f.turns, namespace)
	}
	f.n--
	return r
}

type (
	rateLimiter = workqueue.TypedRateLimiter[reconcile.Request]
	workQueue   = workqueue.TypedRateLimitingInterface[reconcile.Request]
)

// newFairQueue is a controller's queue that is fair between namespaces.
func newFairQueue(name string, limiter rateLimiter) workQueue {
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
		DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{
			Name: name,
			Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{
				Name: name, Queue: &fairQueue{},
			}),
		}),
	})
}

// turns says which query may run now.
type turns struct {
	every time.Duration // between runs of a query
	most  int           // runs of one namespace at once

	mu      sync.Mutex
	again   func(reconcile.Request) // has a request reconciled; nil before the controller starts
	running map[string]int
	waiting map[string][]reconcile.Request // for a run of their namespace to end
	began   map[reconcile.Request]time.Time
}

func newTurns(every time.Duration, most int) *turns {
	return &turns{
		every: every, most: most, running: map[string]int{}, waiting: map[string][]reconcile.Request{}, began: map[reconcile.Request]time.Time{},
	}
}

// call has requests reconciled from now on by again.
func (t *turns) call(again func(reconcile.Request)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.again = again
}

// enqueue has a query looked at soon, if the controller runs.
func (t *turns) enqueue(r reconcile.Request) {
	t.mu.Lock()
	again := t.again
	t.mu.Unlock()
	if again != nil {
		again(r)
	}
}

// earliest is when a query of the name may run again, given when the last
// snapshot of this one was taken. Whoever makes a query anew under its name
// gains nothing by it.
func (t *turns) earliest(r reconcile.Request, taken, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	for request, at := range t.began {
		if !at.Add(t.every).After(now) || at.After(now) { // or the clock was set back
			delete(t.began, request)
		}
	}
	last := t.began[r]
	if taken.After(last) && !taken.After(now) {
		last = taken
	}
	if next := last.Add(t.every); !last.IsZero() && next.After(now) {
		return next
	}
	return now
}

// begin takes a turn, which end gives back, or has the query looked at again
// when its namespace has one.
func (t *turns) begin(r reconcile.Request, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running[r.Namespace] >= t.most {
		if !slices.Contains(t.waiting[r.Namespace], r) {
			t.waiting[r.Namespace] = append(t.waiting[r.Namespace], r)
		}
		return false
	}
	t.running[r.Namespace]++
	t.began[r] = now
	return true
}

func (t *turns) end(r reconcile.Request) {
	t.mu.Lock()
	if t.running[r.Namespace]--; t.running[r.Namespace] == 0 {
		delete(t.running, r.Namespace)
	}
	again, of := t.again, t.waiting[r.Namespace]
	if len(of) > 1 {
		t.waiting[r.Namespace] = slices.Clone(of[1:])
	} else {
		delete(t.waiting, r.Namespace)
	}
	t.mu.Unlock()
	if len(of) > 0 && again != nil {
		again(of[0])
	}
}
