package postgres

import "sync"

// A group is what one commit takes: large enough to spread the cost of a
// commit, small enough that nobody waits long.
const (
	groupEvents = 1 << 14
	groupBytes  = 32 << 20
)

// queue is what waits for a committer.
type queue struct {
	mu        sync.Mutex
	more      sync.Cond // jobs or closed changed
	jobs      []*job
	closed    bool
	events    int // reserved
	bytes     int64
	maxEvents int
	maxBytes  int64
}

func (q *queue) init(maxEvents int, maxBytes int64) {
	q.more.L = &q.mu
	q.maxEvents, q.maxBytes = maxEvents, maxBytes
}

// reserve makes room for a batch, or reports that there is none.
func (q *queue) reserve(events int, bytes int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.events > 0 && (q.events+events > q.maxEvents || q.bytes+bytes > q.maxBytes) {
		return false
	}
	q.events += events
	q.bytes += bytes
	return true
}

func (q *queue) release(events int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events -= events
	q.bytes -= bytes
}

func (q *queue) push(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, j)
	q.more.Signal()
}

// withdraw takes a job back that no committer has taken.
func (q *queue) withdraw(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.taken {
		return false
	}
	for i, other := range q.jobs {
		if other == j {
			q.jobs = append(q.jobs[:i], q.jobs[i+1:]...)
			break
		}
	}
	return true
}

// take waits for jobs and returns a group of them; none when the queue is
// closed and empty.
func (q *queue) take() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) == 0 && !q.closed {
		q.more.Wait()
	}
	n, events, bytes := 0, 0, int64(0)
	for _, j := range q.jobs {
		events += j.items
		bytes += j.bytes
		if n > 0 && (events > groupEvents || bytes > groupBytes) {
			break
		}
		j.taken = true
		n++
	}
	group := append([]*job(nil), q.jobs[:n]...)
	q.jobs = append(q.jobs[:0], q.jobs[n:]...)
	return group
}

// takeAll returns what waits for a committer now.
func (q *queue) takeAll() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.jobs
	q.jobs = nil
	for _, j := range all {
		j.taken = true
	}
	return all
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Broadcast()
}

// load is what is reserved.
func (q *queue) load() (events int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events, q.bytes
}
