package embedded

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tell what a store holds and how long its commits last. Their labels
// are bounded: a day has a label as long as it is kept. What is told at a
// scrape is known already or asked of the file system; nothing is scanned.
type Metrics struct {
	commits *prometheus.HistogramVec
	reads   prometheus.Counter    // that were ended
	store   atomic.Pointer[Store] // nil while none is open

	mu   sync.Mutex
	days map[int]usage
	torn unreferenced // zero unless the log was torn
}

// usage is what a day takes. Its share of the database's file is not known.
type usage struct{ rows, raw int64 }

// Values of the label outcome.
const (
	outcomeCommitted = "committed"
	outcomeFailed    = "failed"
)

// What is read when it is asked for.
var (
	queueEvents   = prometheus.NewDesc("audit_store_queue_events", "Items that wait for a commit or are in one.", nil, nil)
	queueBytes    = prometheus.NewDesc("audit_store_queue_bytes", "Raw bytes of the items that wait for a commit or are in one.", nil, nil)
	dayRows       = prometheus.NewDesc("audit_store_day_rows", "Events of a UTC day.", []string{"day"}, nil)
	dayRawBytes   = prometheus.NewDesc("audit_store_day_raw_bytes", "Size of the raw events of a UTC day, compressed.", []string{"day"}, nil)
	databaseBytes = prometheus.NewDesc("audit_store_database_bytes", "Size of the database's file and its log, which hold the rows of all days.", nil, nil)
	clockSkew     = prometheus.NewDesc("audit_source_clock_skew_seconds", "How far the clock of a source is ahead of the operator's, by what this replica took in the last ten minutes; negative: behind, or late.", []string{"source"}, nil)
	logBytes      = prometheus.NewDesc("audit_store_log_bytes", "Size of the database's log, which is folded into its file from time to time.", nil, nil)
	tornBytes     = prometheus.NewDesc("audit_store_torn_log_bytes", "Raw events that were cut off at the start because the database's log was torn and holds no row of them, compressed.", nil, nil)
	tornEvents    = prometheus.NewDesc("audit_store_torn_log_events", "Events that were cut off at the start because the database's log was torn; they may have been acknowledged.", nil, nil)
	snapshotCount = prometheus.NewDesc("audit_store_snapshots", "Snapshots that are kept.", nil, nil)
	snapshotBytes = prometheus.NewDesc("audit_store_snapshot_bytes", "Space that snapshots take as they are stored, those that are being written included.", nil, nil)
	volumeBytes   = prometheus.NewDesc("audit_store_volume_size_bytes", "Size of the volume that the store lies on.", nil, nil)
	volumeFree    = prometheus.NewDesc("audit_store_volume_free_bytes", "Space on the store's volume that the operator may still use.", nil, nil)
)

// NewMetrics registers the store's metrics. It panics where they are registered
// already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "audit_store_commit_duration_seconds", Help: "Time that a commit of one or more batches takes until it is durable, by outcome: committed, failed.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, []string{"outcome"}),
		reads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "audit_store_reads_ended_total", Help: "Reads that were ended because a checkpoint or a commit needed what they held; their callers were told to ask again.",
		}),
		days: map[int]usage{},
	}
	for _, outcome := range []string{outcomeCommitted, outcomeFailed} {
		m.commits.WithLabelValues(outcome)
	}
	r.MustRegister(m.commits, m.reads, m)
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueEvents, queueBytes, clockSkew, dayRows, dayRawBytes, databaseBytes, logBytes, tornBytes, tornEvents, snapshotCount, snapshotBytes, volumeBytes, volumeFree} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	s := m.store.Load()
	if s == nil || s.calls.Enter() != nil {
		return
	}
	defer s.calls.Leave()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	events, bytes := s.queue.Load()
	gauge(queueEvents, float64(events))
	gauge(queueBytes, float64(bytes))
	for source, ahead := range s.skews.All(s.now()) {
		gauge(clockSkew, ahead.Seconds(), source)
	}
	for day, u := range m.usage() {
		name := dayStart(day).Format(time.DateOnly)
		gauge(dayRows, float64(u.rows), name)
		gauge(dayRawBytes, float64(u.raw), name)
	}
	gauge(databaseBytes, float64(s.databaseSize()))
	gauge(logBytes, float64(logSize(s.opts.Dir)))
	torn := m.tornLog()
	gauge(tornBytes, float64(torn.bytes))
	gauge(tornEvents, float64(torn.events))
	gauge(snapshotCount, float64(s.snapshots.count()))
	gauge(snapshotBytes, float64(s.snapshots.space.total()))
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.opts.Dir, &fs); err == nil {
		gauge(volumeBytes, float64(fs.Blocks*uint64(fs.Bsize)))
		gauge(volumeFree, float64(fs.Bavail*uint64(fs.Bsize)))
	}
}

func (m *Metrics) usage() map[int]usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.days)
}

func (m *Metrics) tornLog() unreferenced {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.torn
}

// databaseSize is 0 for a file that is not there: the log comes and goes.
func (s *Store) databaseSize() int64 {
	var size int64
	for _, name := range []string{"events.duckdb", "events.duckdb.wal"} {
		if info, err := os.Stat(filepath.Join(s.opts.Dir, name)); err == nil {
			size += info.Size()
		}
	}
	return size
}

// watch tells of a store that was opened, or opened its database again, from
// now on. A nil Metrics tells nothing.
func (m *Metrics) watch(ctx context.Context, s *Store) error {
	if m == nil {
		return nil
	}
	days := map[int]usage{}
	for day, size := range s.writer.sizes {
		days[day] = usage{raw: size}
	}
	if err := countRows(ctx, &s.writer, days); err != nil {
		return fmt.Errorf("count the rows of the days: %w", err)
	}
	m.mu.Lock()
	m.days = days
	if s.writer.cut.torn { // opening again later does not make it untrue
		m.torn = s.writer.cut
	}
	m.mu.Unlock()
	m.store.Store(s)
	return nil
}

// countRows fills in the rows. DuckDB knows them without reading the tables.
func countRows(ctx context.Context, w *writer, days map[int]usage) error {
	if len(days) == 0 {
		return nil
	}
	var counts []string
	for _, day := range slices.Sorted(maps.Keys(days)) {
		counts = append(counts, "SELECT "+strconv.Itoa(day)+", count(*) FROM "+tableOf(day))
	}
	rows, err := w.conn.QueryContext(ctx, strings.Join(counts, " UNION ALL "))
	if err != nil {
		return err
	}
	return each(rows, func() error {
		var day int
		var u usage
		err := rows.Scan(&day, &u.rows)
		u.raw = days[day].raw
		days[day] = u
		return err
	})
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

// ended counts reads that were ended.
func (m *Metrics) ended(reads int) {
	if m != nil {
		m.reads.Add(float64(reads))
	}
}

// grew adds what was committed to a day.
func (m *Metrics) grew(day int, rows, raw int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.days[day]
	m.days[day] = usage{rows: u.rows + int64(rows), raw: u.raw + int64(raw)}
}

// dropped forgets a day.
func (m *Metrics) dropped(day int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.days, day)
}
