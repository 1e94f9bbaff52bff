package manager

import (
	"errors"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/storeurl"
)

// What the process needs at most beside what flags give it, in bytes. The
// sections on sizing in docs/operations.md and docs/operations/postgresql.md are
// this sum.
const (
	// databaseShare and maxDatabase are of DuckDB's memory: a quarter of the
	// limit, and no more than it is quick with.
	databaseShare = 4
	maxDatabase   = 512 << 20
	// databaseExcess is what DuckDB takes beyond its limit, in quarters of it.
	databaseExcess = 1
	// outsideGo is for the stacks of threads and for what C libraries keep.
	outsideGo = 96 << 20
	// pendingMemory is for what waits for a commit: 128 MiB of raw events, packed
	// beside that, and their rows.
	pendingMemory = 192 << 20
	// idMemory is for the filters that find duplicates.
	idMemory = 100 << 20
	// readMemory is for the answer of one read, of 1,000 rows of cut texts, and
	// what it is written as.
	readMemory = 24 << 20
	// restMemory is for the caches of the API server's objects, sessions, code.
	restMemory = 160 << 20
)

// memoryPlan says how the memory limit of the container is shared.
type memoryPlan struct {
	limit    int64 // of all; 0 where there is none
	database int64 // DuckDB's own limit; 0 where the store is elsewhere
	golang   int64 // from here on Go collects harder, whatever it costs
	needed   int64 // what everything together may take
}

// planMemory shares a limit, or makes a plan for a machine without one.
func planMemory(limit int64, o *options) memoryPlan {
	p := memoryPlan{limit: limit}
	if !storeurl.IsDatabase(o.store) {
		p.database = maxDatabase
		if limit > 0 {
			p.database = min(p.database, limit/databaseShare)
		}
	}
	beside := p.database + p.database*databaseExcess/4 + outsideGo
	p.needed = beside + o.maxBytesInFlight + pendingMemory + idMemory + int64(o.concurrentReads)*readMemory + restMemory
	if limit > 0 {
		// At least half: collecting without end is no better than being killed.
		p.golang = max(limit-beside, limit/2)
	}
	return p
}

// memoryLimit is the container's memory limit, or 0.
func memoryLimit(log logr.Logger) int64 {
	limit, err := memlimit.FromCgroup()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		return 0
	case err != nil:
		log.Error(err, "Could not find out the memory limit; there is none for the operator")
		return 0
	case limit > 1<<50: // what no machine has is no limit
		return 0
	}
	return int64(limit)
}

// apply has Go keep to the plan, unless GOMEMLIMIT says otherwise.
func (p memoryPlan) apply(log logr.Logger) {
	if p.limit == 0 {
		return
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(p.golang)
	}
	if p.needed > p.limit {
		log.Info("The memory limit is below what the operator may need; raise it, or lower --max-bytes-in-flight or --max-concurrent-reads",
			"limit", p.limit, "needed", p.needed)
	}
}
