// Package embedded is the store that needs no server: typed rows in DuckDB,
// raw events in segment files beside it, snapshots as plain files.
//
// Layout of the directory:
//
//	lock                        held while a process has the store open
//	store.json                  the format of the rest (see format.go)
//	events.duckdb               typed rows, totals, quarantine
//	events.duckdb.undo          what a checkpoint may write over (see undo.go)
//	raw/<yyyy-mm-dd>.seg        raw events of a day (see segment.go)
//	snapshots/<id>.ndjson.zst   a snapshot's body; <id>.ndjson if it was never compressed
//	snapshots/marks.json        marks of snapshots and their owners
//	snapshots/<id>.json         its manifest; without it there is no snapshot
//	tmp/                        DuckDB's spill files, backups in the making
//	restoring                   half a restore, which can't be opened
//	control/                    the manager's socket; no part of the store
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/intake"
	"github.com/porter-dev/audit-operator/internal/store/position"
)

// Options of Open. Only Dir is required.
type Options struct {
	// Dir is the directory of the store; it is made if it isn't there.
	Dir string
	// Version of the product, for messages about the directory's format.
	Version string
	// Retention is how old an event may be when it arrives (default 720h).
	Retention time.Duration
	// Now is the clock (default time.Now). Whoever gives another one gives
	// Elapsed too, or nothing notices that it jumps while nothing is stored.
	Now func() time.Time
	// Elapsed is the time since some moment by a clock that nobody sets
	// (default: the process's own, where Now is not given).
	Elapsed func() time.Duration
	// Witness is another machine's clock, by which this one is confirmed; nil
	// for none.
	Witness intake.Witness
	Log     logr.Logger
	// MemoryLimit bounds DuckDB's memory, in bytes (default 512 MiB).
	MemoryLimit int64
	// Threads that DuckDB may use (default: one for each CPU).
	Threads int
	// MaxPendingEvents and MaxPendingBytes bound what waits for a commit
	// (default 65,536 events and 128 MiB of raw). Above them Append returns
	// store.ErrOverloaded; one batch is taken whatever its size.
	MaxPendingEvents int
	MaxPendingBytes  int64
	// StatementTimeout ends reads that take longer (default 30s).
	StatementTimeout time.Duration
	// MinFree is the free space, in bytes, below which nothing is taken
	// (default 64 MiB), so that what runs can still finish.
	MinFree uint64
	// QuarantineBytes bounds the items kept in quarantine; the oldest give way
	// (default 64 MiB).
	QuarantineBytes int64
	// SnapshotQuota bounds what snapshots take (default: without a bound).
	SnapshotQuota store.SnapshotQuota
	// IngestReserve is the free space, in bytes, that only events may use:
	// below it no snapshot is saved (default: none).
	IngestReserve uint64
	// Metrics tell what the store holds and does; nil tells nothing. They are
	// one store's.
	Metrics *Metrics
}

func (o *Options) setDefaults() {
	setDefault(&o.Retention, 720*time.Hour)
	setDefault(&o.MemoryLimit, 512<<20)
	setDefault(&o.MaxPendingEvents, 1<<16)
	setDefault(&o.MaxPendingBytes, 128<<20)
	setDefault(&o.StatementTimeout, 30*time.Second)
	setDefault(&o.MinFree, 64<<20)
	setDefault(&o.QuarantineBytes, 64<<20)
	if o.Now == nil {
		o.Now = time.Now
		if began := time.Now(); o.Elapsed == nil {
			o.Elapsed = func() time.Duration { return time.Since(began) }
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Store implements store.Store in one directory. It is safe for concurrent use.
type Store struct {
	opts Options
	log  logr.Logger
	lock *os.File

	calls     *intake.Calls
	queue     intake.Queue[*job]
	writer    writer // only the committer uses it
	committer sync.WaitGroup
	clock     *intake.Clock
	skews     intake.Skews
	filters   filters
	arrivals  arrivals
	positions *position.Codec
	key       atomic.Pointer[audit.Key]
	tailRows  int64
	chunks    chunkPool
	snapshots snapshots
	sessions  sessions
	backups   sync.Mutex // held by the one Backup that there may be
	readers   readers
	logLong   chan struct{} // the log is longer than logMost
	logMost   int64

	mu         sync.Mutex
	db         *database // nil while it is being opened again
	failed     error     // of the last commit; nil if it succeeded
	committing time.Time // when the committer began what it does; zero if it waits
	closeErr   error
	closing    sync.Once

	background sync.WaitGroup // what runs until stop is called
	warming    sync.WaitGroup // of it, what ends by itself
	stop       context.CancelFunc
}

var _ store.Store = (*Store)(nil)

// Open opens the store of a directory, or makes one. It fails when another
// process has it open. What was acknowledged before a crash is there; what was
// not is cut off.
func Open(ctx context.Context, opts Options) (_ *Store, err error) {
	ctx = context.WithoutCancel(ctx) // there is no transaction
	opts.setDefaults()
	if strings.Contains(opts.Dir, "?") {
		return nil, fmt.Errorf("store directory %q: must not contain a question mark", opts.Dir)
	}
	if err := makeDirs(opts.Dir); err != nil {
		return nil, fmt.Errorf("make the store's directory: %w", err)
	}
	lock, err := lockDirectory(opts.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, log: opts.Log, calls: intake.NewCalls(), lock: lock}
	s.clock = intake.NewClock(intake.ClockOptions{Now: opts.Now, Elapsed: opts.Elapsed, Witness: opts.Witness, Log: opts.Log})
	s.queue.Init(opts.MaxPendingEvents, opts.MaxPendingBytes)
	s.filters.init()
	s.readers.init()
	s.logLong, s.logMost = make(chan struct{}, 1), logMost
	defer func() {
		if err != nil {
			err = errors.Join(err, s.writer.close(), s.db.close(), lock.Close())
		}
	}()
	was, err := prepareDirectory(opts.Dir)
	if err != nil {
		return nil, err
	}
	if s.db, err = openDatabase(ctx, opts); err != nil {
		return nil, explainDowngrade(err, was, opts.Version)
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if err := s.upgrade(ctx, was); err != nil {
		return nil, err
	}
	if err := s.loadKey(ctx); err != nil {
		return nil, err
	}
	var identity []byte
	if err := s.writer.conn.QueryRowContext(ctx, "SELECT id FROM identity").Scan(&identity); err != nil {
		return nil, fmt.Errorf("read the store's identity: %w", err)
	}
	s.positions, s.tailRows = position.New(identity), tailRows
	s.snapshots.space = space{quota: opts.SnapshotQuota, reserve: opts.IngestReserve, free: func() (uint64, error) { return freeSpace(opts.Dir) }}
	if err := s.snapshots.load(filepath.Join(opts.Dir, "snapshots")); err != nil {
		return nil, err
	}
	if err := s.openSessions(); err != nil {
		return nil, fmt.Errorf("prepare the list of ended sessions: %w", err)
	}
	if err := errors.Join(syncDir(opts.Dir), writeFormat(opts.Dir, was, opts.Version)); err != nil {
		return nil, err
	}
	if err := opts.Metrics.watch(ctx, s); err != nil {
		return nil, err
	}
	s.clock.Begin(s.writer.lastReceived())
	days := slices.SortedFunc(maps.Keys(s.writer.sizes), func(a, b int) int { return b - a })
	warming, stop := context.WithCancel(ctx)
	s.stop = stop
	s.committer.Go(s.commitLoop)
	s.warming.Go(func() { s.warm(warming, days) })
	s.background.Go(func() { s.checkpoints(warming) })
	return s, nil
}

// makeDirs makes the directory and those in it, and durable that they are
// there: what is in them is lost with a name on the way.
func makeDirs(dir string) error {
	parents := []string{filepath.Dir(filepath.Clean(dir))}
	for last := parents[0]; ; parents = append(parents, last) {
		if _, err := os.Stat(last); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		last = filepath.Dir(last)
	}
	for _, name := range []string{"raw", "snapshots", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o750); err != nil {
			return err
		}
	}
	for _, parent := range parents {
		// What is above a volume may not be ours to read.
		if err := syncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// prepareDirectory checks the format of a directory that is locked, and empties
// tmp of what a crash left there.
func prepareDirectory(dir string) (format, error) {
	was, err := readFormat(dir)
	if err != nil {
		return was, err
	}
	tmp := filepath.Join(dir, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, 0o750)); err != nil {
		return was, fmt.Errorf("empty the folder of temporary files: %w", err)
	}
	return was, nil
}

// lockDirectory makes sure that only one process has the store open. The
// kernel drops the lock with the process, so a crash leaves nothing to clean.
func lockDirectory(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock the store: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock the store: %s is open in another process (%w); only one manager may use a directory", dir, err)
	}
	return lock, nil
}

// Close implements store.Store. Closing again returns the first result.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.stop()
		s.background.Wait()
		s.warming.Wait()
		s.calls.End()

		s.queue.Close()
		s.committer.Wait()
		s.chunks.close()
		s.closeErr = errors.Join(s.writer.close(), s.db.close(), s.lock.Close())
	})
	return s.closeErr
}

// now is the clock in UTC and whole microseconds.
func (s *Store) now() time.Time { return s.opts.Now().UTC().Truncate(time.Microsecond) }

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
