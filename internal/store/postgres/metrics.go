package postgres

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tell what a store holds and how long its commits last. Their labels
// are bounded: a day has a label as long as it is kept. What the database has
// to be asked for is asked now and then in the background, of its statistics:
// nothing is scanned, and the numbers of rows are estimates.
type Metrics struct {
	commits *prometheus.HistogramVec
	store   atomic.Pointer[Store] // nil while none is open

	mu    sync.Mutex
	sizes sizes
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// sizes are what the database last said of itself. All replicas say the same.
type sizes struct {
	known         bool
	days          map[string]usage
	database      int64 // without raws
	snapshots     int64
	snapshotBytes int64
}

type usage struct{ rows, raw int64 }

// Values of the label outcome.
const (
	outcomeCommitted = "committed"
	outcomeFailed    = "failed"
)

// sizesEvery is how often the database is asked for its sizes.
const sizesEvery = time.Minute

// What is read when it is asked for. The names that the embedded store has too
// mean the same there.
var (
	queueEvents   = prometheus.NewDesc("audit_store_queue_events", "Items that wait for a commit or are in one.", nil, nil)
	queueBytes    = prometheus.NewDesc("audit_store_queue_bytes", "Raw bytes of the items that wait for a commit or are in one.", nil, nil)
	dayRows       = prometheus.NewDesc("audit_store_day_rows", "Events of a UTC day.", []string{"day"}, nil)
	dayRawBytes   = prometheus.NewDesc("audit_store_day_raw_bytes", "Size of the raw events of a UTC day, compressed.", []string{"day"}, nil)
	databaseBytes = prometheus.NewDesc("audit_store_database_bytes", "Size of the database without raw events: the rows of all days.", nil, nil)
	clockSkew     = prometheus.NewDesc("audit_source_clock_skew_seconds", "How far the clock of a source is ahead of the operator's, by what this replica took in the last ten minutes; negative: behind, or late.", []string{"source"}, nil)
	snapshotCount = prometheus.NewDesc("audit_store_snapshots", "Snapshots that are kept.", nil, nil)
	snapshotBytes = prometheus.NewDesc("audit_store_snapshot_bytes", "Space that snapshots take as they are stored, those that are being written included.", nil, nil)
	serverUp      = prometheus.NewDesc("audit_store_up", "1 while the server takes writes and commits, 0 while it does not.", nil, nil)
	connections   = prometheus.NewDesc("audit_store_connections", "Connections of the pool that readers share, by state: used, idle, opening.", []string{"state"}, nil)
	connectionMax = prometheus.NewDesc("audit_store_connections_max", "Connections that the pool may have.", nil, nil)
	poolWaits     = prometheus.NewDesc("audit_store_connection_waits_total", "Times that somebody waited for a connection of the pool.", nil, nil)
	poolWaited    = prometheus.NewDesc("audit_store_connection_wait_seconds_total", "Time that was spent waiting for connections of the pool.", nil, nil)
)

// NewMetrics registers the store's metrics. It panics where they are registered
// already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "audit_store_commit_duration_seconds", Help: "Time that a commit of one or more batches takes until it is durable, by outcome: committed, failed.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{outcomeCommitted, outcomeFailed} {
		m.commits.WithLabelValues(outcome)
	}
	r.MustRegister(m.commits, m)
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		queueEvents, queueBytes, clockSkew, dayRows, dayRawBytes, databaseBytes, snapshotCount, snapshotBytes,
		serverUp, connections, connectionMax, poolWaits, poolWaited,
	} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector. A server that is gone holds it up
// for the moment that Ready takes.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	s := m.store.Load()
	if s == nil || s.calls.Enter() != nil {
		return
	}
	defer s.calls.Leave()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value)
	}
	events, bytes := s.queue.Load()
	gauge(queueEvents, float64(events))
	gauge(queueBytes, float64(bytes))
	for source, ahead := range s.skews.All(s.now()) {
		gauge(clockSkew, ahead.Seconds(), source)
	}
	up := 0.0
	if s.Ready(context.Background()) == nil { // bounded by itself
		up = 1
	}
	gauge(serverUp, up)
	pool := s.pool.Stat()
	gauge(connections, float64(pool.AcquiredConns()), "used")
	gauge(connections, float64(pool.IdleConns()), "idle")
	gauge(connections, float64(pool.ConstructingConns()), "opening")
	gauge(connectionMax, float64(pool.MaxConns()))
	counter(poolWaits, float64(pool.EmptyAcquireCount()))
	counter(poolWaited, pool.EmptyAcquireWaitTime().Seconds())
	held := m.held()
	if !held.known {
		return
	}
	for day, u := range held.days {
		gauge(dayRows, float64(u.rows), day)
		gauge(dayRawBytes, float64(u.raw), day)
	}
	gauge(databaseBytes, float64(held.database))
	gauge(snapshotCount, float64(held.snapshots))
	gauge(snapshotBytes, float64(held.snapshotBytes))
}

func (m *Metrics) held() sizes {
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.sizes
	held.days = maps.Clone(held.days)
	return held
}

// watch tells of a store from now on. A nil Metrics tells nothing.
func (m *Metrics) watch(s *Store) {
	if m == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.sizes = stop, sizes{}
	m.ended.Go(func() { m.refresh(ctx, s) })
	m.store.Store(s)
}

// forget tells of the store no more.
func (m *Metrics) forget() {
	if m == nil {
		return
	}
	m.store.Store(nil)
	m.stop()
	m.ended.Wait()
}

// refresh asks the database for its sizes until ctx ends.
func (m *Metrics) refresh(ctx context.Context, s *Store) {
	tick := time.NewTicker(sizesEvery)
	defer tick.Stop()
	for {
		switch held, err := readSizes(ctx, s); {
		case err == nil:
			m.mu.Lock()
			m.sizes = held
			m.mu.Unlock()
		case ctx.Err() == nil:
			s.log.V(1).Info("Could not read the sizes of the days; tried again in a minute", "reason", s.target.explain(err).Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const (
	// askDays takes the rows from the running statistics, or what was last
	// counted, whichever is more: either is reset at times.
	askDays = `SELECT d.day, greatest(r.reltuples, pg_stat_get_live_tuples(r.oid), 0)::bigint, coalesce(pg_total_relation_size(w.oid), 0)
		FROM audit_days AS d
		JOIN pg_class AS r ON r.oid = to_regclass('audit_rows' || to_char(d.day, '_YYYYMMDD'))
		JOIN pg_class AS w ON w.oid = to_regclass('audit_raw' || to_char(d.day, '_YYYYMMDD'))`
	askRest = `SELECT pg_database_size(current_database()), (SELECT count(*) FROM audit_snapshots),
		(SELECT coalesce(sum(bytes), 0)::bigint FROM (SELECT bytes FROM audit_snapshots UNION ALL SELECT bytes FROM audit_loose_bodies) AS kept)`
)

func readSizes(ctx context.Context, s *Store) (sizes, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.StatementTimeout)
	defer cancel()
	held := sizes{known: true, days: map[string]usage{}}
	batch := &pgx.Batch{}
	batch.Queue(askRest).QueryRow(func(row pgx.Row) error { return row.Scan(&held.database, &held.snapshots, &held.snapshotBytes) })
	batch.Queue(askDays).Query(func(rows pgx.Rows) error {
		var day time.Time
		var u usage
		_, err := pgx.ForEachRow(rows, []any{&day, &u.rows, &u.raw}, func() error {
			held.days[day.Format(time.DateOnly)] = u
			held.database -= u.raw
			return nil
		})
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return sizes{}, fmt.Errorf("read sizes: %w", err)
	}
	return held, nil
}

// committed counts a commit that ended.
func (m *Metrics) committed(took time.Duration, err error) {
	if m == nil {
		return
	}
	outcome := outcomeCommitted
	if err != nil {
		outcome = outcomeFailed
	}
	m.commits.WithLabelValues(outcome).Observe(took.Seconds())
}
