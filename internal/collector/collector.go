// Package collector turns deliveries into commits: it decodes what a source
// sent, with bounded memory, and appends it to the store.
package collector

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Source is who delivers.
type Source struct {
	Name    string
	Cluster string
	// MaxEventBytes bounds one event; 0 means audit.DefaultMaxItemBytes.
	MaxEventBytes int64
}

// Options of a Collector.
type Options struct {
	Writer     store.Writer
	Classifier *audit.Classifier
	// MaxBytesInFlight bounds the memory of all deliveries together; 0 means
	// 256 MiB.
	MaxBytesInFlight int64
	// Metrics count what is taken; nil counts nothing.
	Metrics *Metrics
	// Traces get a span for each delivery; nil traces nothing.
	Traces trace.TracerProvider
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

const (
	defaultBytesInFlight = 256 << 20
	// A batch is committed at this size, so that a large delivery needs no more
	// memory than a small one. A delivery of kube-apiserver's 400 events is
	// usually one batch.
	batchEvents = 4096
	batchBytes  = 8 << 20
)

// Collector is used by many deliveries at once.
type Collector struct {
	writer     store.Writer
	classifier atomic.Pointer[audit.Classifier]
	budget     *budget
	metrics    *Metrics
	tracer     trace.Tracer
	now        func() time.Time
}

// New returns a collector.
func New(o Options) *Collector {
	if o.MaxBytesInFlight <= 0 {
		o.MaxBytesInFlight = defaultBytesInFlight
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Traces == nil {
		o.Traces = noop.NewTracerProvider()
	}
	c := &Collector{
		writer: o.Writer, budget: newBudget(o.MaxBytesInFlight, o.Metrics), metrics: o.Metrics, now: o.Now,
		tracer: o.Traces.Tracer("github.com/porter-dev/audit-operator/internal/collector"),
	}
	c.classifier.Store(o.Classifier)
	return c
}

// SetClassifier changes how events that come from now on are classified.
func (c *Collector) SetClassifier(classifier *audit.Classifier) { c.classifier.Store(classifier) }

// Ingest reads a delivery to its end and returns after all of it is durable.
// What lies beyond maxBytes (0 for no bound) is quarantined as one item by its
// length and hash: refusing the delivery would make the source send the same
// again until it drops all of it.
// On an error a part may be stored; delivering it again is safe. The error
// wraps store.ErrOverloaded where too much is in flight, the store's where it
// can't commit, and the reader's where the delivery did not come completely.
func (c *Collector) Ingest(ctx context.Context, source Source, body io.Reader, maxBytes int64) (store.Appended, error) {
	began := time.Now()
	ctx, span := c.tracer.Start(ctx, "delivery", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("audit.source", source.Name)))
	defer span.End()
	total, err := c.ingest(ctx, source, body, maxBytes)
	c.metrics.observe(source.Name, time.Since(began), total, err)
	span.SetAttributes(attribute.Int("audit.stored", total.Stored), attribute.Int("audit.duplicate", total.Duplicate), attribute.Int("audit.quarantined", total.Quarantined))
	if err != nil {
		span.SetStatus(codes.Error, "") // the cause is for the log
	}
	return total, err
}

func (c *Collector) ingest(ctx context.Context, source Source, body io.Reader, maxBytes int64) (store.Appended, error) {
	maxItem := source.MaxEventBytes
	if maxItem <= 0 {
		maxItem = audit.DefaultMaxItemBytes
	}
	// What a delivery can hold at once: a batch, one more event, and the same
	// again while it is decoded and compressed.
	reservation, err := c.budget.open(source.Name, 2*(batchBytes+maxItem))
	if err != nil {
		return store.Appended{}, err
	}
	defer reservation.close()
	metered := &meter{body: body, reservation: reservation, maxItem: maxItem}

	decoder := audit.Decoder{
		Source: source.Name, Cluster: source.Cluster, Classifier: c.classifier.Load(),
		MaxItemBytes: int(maxItem), Now: c.now,
	}
	d := delivery{ctx: ctx, writer: c.writer, meter: metered, cluster: source.Cluster, batch: store.Batch{Source: source.Name, ReceivedAt: c.now().UTC().Truncate(time.Microsecond)}}
	taken := io.Reader(metered)
	if maxBytes > 0 {
		taken = io.LimitReader(taken, maxBytes)
	}
	if err := decoder.Decode(taken, d.add); err != nil {
		return d.total, fmt.Errorf("read the delivery: %w", err)
	}
	if maxBytes > 0 {
		if err := d.addRest(body, maxBytes); err != nil {
			return d.total, fmt.Errorf("read the delivery: %w", err)
		}
	}
	err = d.flush()
	return d.total, err
}

// delivery gathers the items of one delivery into batches.
type delivery struct {
	ctx     context.Context
	writer  store.Writer
	meter   *meter
	cluster string
	batch   store.Batch
	bytes   int
	total   store.Appended
}

func (d *delivery) add(item audit.Item) error {
	var size int
	if e := item.Event; e != nil {
		d.batch.Events = append(d.batch.Events, *e)
		size = len(e.Raw)
	} else {
		item.Quarantined.Cluster = d.cluster
		d.batch.Quarantined = append(d.batch.Quarantined, *item.Quarantined)
		size = len(item.Quarantined.Redacted)
	}
	d.bytes += size
	if err := d.meter.gather(int64(size)); err != nil {
		return err
	}
	if len(d.batch.Events)+len(d.batch.Quarantined) >= batchEvents || d.bytes >= batchBytes {
		return d.flush()
	}
	return nil
}

// addRest quarantines what is left of a delivery, if anything is.
func (d *delivery) addRest(body io.Reader, maxBytes int64) error {
	sum := sha256.New()
	size, err := io.Copy(sum, body)
	if err != nil || size == 0 {
		return err
	}
	return d.add(audit.Item{Quarantined: &audit.Quarantined{
		Source: d.batch.Source, ReceivedAt: d.batch.ReceivedAt, Size: size, SHA256: [32]byte(sum.Sum(nil)),
		Reason: fmt.Sprintf("beyond the first %d bytes of a request: raise the source's limits.maxBodyBytes, or lower --audit-webhook-batch-max-size", maxBytes),
	}})
}

func (d *delivery) flush() error {
	if len(d.batch.Events)+len(d.batch.Quarantined) == 0 {
		return nil
	}
	appended, err := d.writer.Append(d.ctx, d.batch)
	if err != nil {
		return fmt.Errorf("store the delivery: %w", err)
	}
	d.total.Stored += appended.Stored
	d.total.Duplicate += appended.Duplicate
	d.total.Quarantined += appended.Quarantined
	d.batch.Events, d.batch.Quarantined, d.bytes = nil, nil, 0
	d.meter.flushed()
	return nil
}
