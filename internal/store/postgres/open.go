// Package postgres keeps audit events in PostgreSQL, for operators that run in
// many replicas. Replicas share nothing but the database.
//
// The tables, as the files in migrations make them:
//
//	audit_days                     days that hold events; all below is by day
//	audit_rows                     one row for each event
//	audit_raw                      raw events, many in one zstd blob
//	audit_kinds, _places, _actors,
//	  _agents                      dictionaries of what repeats in rows
//	audit_rollup_*                 counts by hour and kind: of all, by place, by actor
//	audit_source_*                 totals by source
//	audit_arrivals, _new           what commits added, in the order of a live tail
//	audit_quarantine               what could not become an event
//	audit_snapshots, _parts        snapshots
//	audit_snapshot_marks           what is remembered about snapshots and their owners
//	audit_events, audit_sources    views for people
package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/intake"
	"github.com/porter-dev/audit-operator/internal/store/position"
)

// Options of Open. Only URL is required.
type Options struct {
	// URL is the server and database: postgres://user@host/database. What it
	// leaves out comes from the standard PG* variables and the password file,
	// so "postgres://" alone uses nothing else.
	URL string
	// ReadURL is a standby that answers reads while it has caught up; empty
	// for none.
	ReadURL string
	// Version of the product, for messages.
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
	// MaxPendingEvents and MaxPendingBytes bound what waits for a commit
	// (default 65,536 events and 128 MiB of raw). Above them Append returns
	// store.ErrOverloaded; one batch is taken whatever its size.
	MaxPendingEvents int
	MaxPendingBytes  int64
	// StatementTimeout ends reads that take longer (default 30s).
	StatementTimeout time.Duration
	// QuarantineBytes bounds the items kept in quarantine; the oldest give way
	// (default 64 MiB).
	QuarantineBytes int64
	// SnapshotQuota bounds what snapshots take (default: without a bound).
	SnapshotQuota store.SnapshotQuota
	// Metrics tell what the store holds and does; nil tells nothing. They are
	// one store's.
	Metrics *Metrics
}

func (o *Options) setDefaults() {
	setDefault(&o.Retention, 720*time.Hour)
	setDefault(&o.MaxPendingEvents, 1<<16)
	setDefault(&o.MaxPendingBytes, 128<<20)
	setDefault(&o.StatementTimeout, 30*time.Second)
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

// Store implements store.Store in one database. It is safe for concurrent use,
// and so are many stores of one database.
type Store struct {
	opts   Options
	log    logr.Logger
	pool   *pgxpool.Pool
	target target

	standby  *standby      // nil for none
	captures chan struct{} // held by each that runs: half of the pool at most

	clock      *intake.Clock
	skews      intake.Skews
	calls      *intake.Calls
	queue      intake.Queue[*job]
	committers sync.WaitGroup
	readiness  readiness
	positions  atomic.Pointer[position.Codec] // nil until the identity is known
	key        atomic.Pointer[audit.Key]
	endedMost  int // store.MaxEnded

	closing sync.Once
}

// Open connects to the database and waits until its schema has the version
// that this one needs; it refuses a newer one.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts.setDefaults()
	config, err := poolConfig(opts.URL)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, log: opts.Log, calls: intake.NewCalls(), pool: pool, target: targetOf(config.ConnConfig), captures: make(chan struct{}, config.MaxConns/2), endedMost: store.MaxEnded}
	if err := s.awaitSchema(ctx); err != nil {
		pool.Close()
		return nil, s.explain(err)
	}
	if err := s.loadKey(ctx); err != nil {
		pool.Close()
		return nil, s.explain(err)
	}
	if opts.ReadURL != "" {
		if s.standby, err = newStandby(ctx, opts.ReadURL, opts.Log); err != nil {
			pool.Close()
			return nil, err
		}
	}
	s.clock = intake.NewClock(intake.ClockOptions{Now: opts.Now, Elapsed: opts.Elapsed, Witness: opts.Witness, Log: opts.Log})
	newest, err := s.lastReceived(ctx)
	if err != nil {
		pool.Close()
		return nil, s.explain(err)
	}
	s.clock.Begin(newest)
	s.queue.Init(opts.MaxPendingEvents, opts.MaxPendingBytes)
	s.readiness.init()
	for range committers {
		s.committers.Go(s.commitLoop)
	}
	opts.Metrics.watch(s)
	return s, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.calls.End()

		s.opts.Metrics.forget()
		s.queue.Close()
		s.committers.Wait()
		s.readiness.close()
		s.standby.close()
		s.pool.Close()
	})
	return nil
}

// now is the clock in UTC and whole microseconds.
func (s *Store) now() time.Time { return s.opts.Now().UTC().Truncate(time.Microsecond) }
