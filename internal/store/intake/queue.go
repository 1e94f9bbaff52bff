package intake

import (
	"slices"
	"sync"
)

// A group is what one commit takes: large enough to spread the cost of a
// commit, small enough that nobody waits long.
const (
	groupEvents = 1 << 14
	groupBytes  = 32 << 20
)

// Job is what a queue knows of a job, whose type embeds it.
type Job struct {
	Items int
	Bytes int64
	taken bool // by a committer; guarded by the queue
}

func (j *Job) queued() *Job { return j }

// Queue is what waits for a committer.
type Queue[J interface {
	comparable
	queued() *Job
}] struct {
	mu        sync.Mutex
	more      sync.Cond // jobs or closed changed
	jobs      []J
	closed    bool
	events    int // reserved
	bytes     int64
	maxEvents int
	maxBytes  int64
}

// Init says for how much there is room.
func (q *Queue[J]) Init(maxEvents int, maxBytes int64) {
	q.more.L = &q.mu
	q.maxEvents, q.maxBytes = maxEvents, maxBytes
}

// Reserve makes room for a batch, or reports that there is none. One batch is
// taken whatever its size.
func (q *Queue[J]) Reserve(events int, bytes int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.events > 0 && (q.events+events > q.maxEvents || q.bytes+bytes > q.maxBytes) {
		return false
	}
	q.events += events
	q.bytes += bytes
	return true
}

// Release gives back what was reserved.
func (q *Queue[J]) Release(events int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events -= events
	q.bytes -= bytes
}

// Load is what is reserved.
func (q *Queue[J]) Load() (events int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events, q.bytes
}

// Push adds a job.
func (q *Queue[J]) Push(j J) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, j)
	q.more.Signal()
}

// Withdraw takes a job back that no committer has taken.
func (q *Queue[J]) Withdraw(j J) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.queued().taken {
		return false
	}
	if i := slices.Index(q.jobs, j); i >= 0 {
		q.jobs = slices.Delete(q.jobs, i, i+1)
	}
	return true
}

// Take waits for jobs and returns a group of them; none when the queue is
// closed and empty.
func (q *Queue[J]) Take() []J {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) == 0 && !q.closed {
		q.more.Wait()
	}
	n, events, bytes := 0, 0, int64(0)
	for _, next := range q.jobs {
		j := next.queued()
		events += j.Items
		bytes += j.Bytes
		if n > 0 && (events > groupEvents || bytes > groupBytes) {
			break
		}
		n++
	}
	return q.first(n)
}

// TakeAll returns what waits for a committer now.
func (q *Queue[J]) TakeAll() []J {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first(len(q.jobs))
}

func (q *Queue[J]) first(n int) []J {
	group := slices.Clone(q.jobs[:n])
	q.jobs = slices.Delete(q.jobs, 0, n)
	for _, j := range group {
		j.queued().taken = true
	}
	return group
}

// Close has Take return none once the queue is empty.
func (q *Queue[J]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Broadcast()
}
