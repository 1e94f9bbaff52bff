// Package collector turns deliveries into commits: it decodes what a source
// sent, with bounded memory, and appends it to the store.
package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/redact"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Source is who delivers.
type Source struct {
	Name    string
	Cluster string
	// APIGroups are those that it serves; none for a kube-apiserver.
	APIGroups []string
	// Redaction is what it says of redaction.
	Redaction redact.Policy
	// MaxEventBytes bounds the raw of one event; 0 means audit.DefaultMaxItemBytes.
	MaxEventBytes int64
}

// Options of a Collector.
type Options struct {
	Writer     store.Writer
	Classifier *audit.Classifier
	// Key is the store's; see audit.Decoder.
	Key audit.Key
	// RawBytesPerHour is how much raw of one identity of a source is kept as it
	// is in an hour, in bytes; 0 means DefaultRawBytesPerHour.
	RawBytesPerHour int64
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
	key        audit.Key
	raw        *allowance
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
		writer: o.Writer, key: o.Key, raw: newAllowance(o.RawBytesPerHour, o.Now), budget: newBudget(o.MaxBytesInFlight, o.Metrics), metrics: o.Metrics, now: o.Now,
		tracer: o.Traces.Tracer("github.com/porter-dev/audit-operator/internal/collector"),
	}
	c.classifier.Store(o.Classifier)
	return c
}

// SetClassifier changes how events that come from now on are classified.
func (c *Collector) SetClassifier(classifier *audit.Classifier) { c.classifier.Store(classifier) }

// Ingest reads a delivery to its end, whatever its length, commits it in parts
// as it comes, and returns after all of it is durable.
// On an error a part may be stored; delivering it again is safe. The error
// wraps store.ErrOverloaded where too much is in flight, the store's where it
// can't commit, the reader's where the delivery did not come completely, and
// audit.ErrInflation where it inflates to too much: what came before is stored.
func (c *Collector) Ingest(ctx context.Context, source Source, body io.Reader) (Outcome, error) {
	return c.trace(ctx, source, body, (*audit.Decoder).Decode)
}

// IngestOTLP is Ingest for an ExportLogsServiceRequest in protobuf.
func (c *Collector) IngestOTLP(ctx context.Context, source Source, body io.Reader) (Outcome, error) {
	return c.trace(ctx, source, body, (*audit.Decoder).DecodeOTLP)
}

// decode is how a body becomes items.
type decode func(*audit.Decoder, io.Reader, func(audit.Item) error) error

func (c *Collector) trace(ctx context.Context, source Source, body io.Reader, decode decode) (Outcome, error) {
	began := time.Now()
	ctx, span := c.tracer.Start(ctx, "delivery", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("audit.source", source.Name)))
	defer span.End()
	total, err := c.ingest(ctx, source, body, decode)
	c.metrics.observe(source.Name, time.Since(began), total.Appended, err)
	span.SetAttributes(attribute.Int("audit.stored", total.Stored), attribute.Int("audit.duplicate", total.Duplicate), attribute.Int("audit.quarantined", total.Quarantined))
	if err != nil {
		span.SetStatus(codes.Error, "") // the cause is for the log
	}
	return total, err
}

func (c *Collector) ingest(ctx context.Context, source Source, body io.Reader, decode decode) (Outcome, error) {
	maxItem := source.MaxEventBytes
	if maxItem <= 0 {
		maxItem = audit.DefaultMaxItemBytes
	}
	reservation, err := c.budget.open(source.Name, mostHeld(maxItem))
	if err != nil {
		return Outcome{}, err
	}
	defer reservation.close()
	d := delivery{ctx: ctx, writer: c.writer, metrics: c.metrics, cluster: source.Cluster, batch: store.Batch{Source: source.Name, ReceivedAt: c.now().UTC().Truncate(time.Microsecond)}}
	d.meter = &meter{body: body, reservation: reservation, maxItem: maxItem, relieve: d.flush}
	d.meter.until = func(deadline time.Time) (context.Context, context.CancelFunc) {
		return context.WithDeadline(ctx, deadline)
	}
	decoder := audit.Decoder{
		Source: source.Name, Cluster: source.Cluster, APIGroups: source.APIGroups, Redaction: source.Redaction, Classifier: c.classifier.Load(), Key: c.key,
		MaxItemBytes: int(maxItem), Now: c.now, Hold: d.meter.holdLarge,
		AllowRaw: func(identity string, bytes int) bool {
			allowed := c.raw.take(source.Name, identity, bytes)
			if !allowed {
				c.metrics.withhold(source.Name)
			}
			return allowed
		},
	}
	decodeErr := decode(&decoder, d.meter, d.add)
	if decodeErr != nil && !errors.Is(decodeErr, audit.ErrInflation) {
		return d.outcome(), fmt.Errorf("read the delivery: %w", decodeErr)
	}
	if err := d.flush(); err != nil {
		return d.outcome(), err
	}
	return d.outcome(), decodeErr
}

// Outcome says what became of a delivery.
type Outcome struct {
	store.Appended
	// Skipped is how many items their carriers say to be no audit events.
	Skipped int
	// Reasons are why items could not become events, each with how many; a few,
	// cut short: they may quote what came.
	Reasons []string
}

func (d *delivery) outcome() Outcome {
	return Outcome{Appended: d.total, Skipped: d.skipped, Reasons: d.why.list(d.total.Quarantined)}
}

// delivery gathers the items of one delivery into batches.
type delivery struct {
	ctx     context.Context
	writer  store.Writer
	metrics *Metrics
	meter   *meter
	cluster string
	batch   store.Batch
	bytes   int
	total   store.Appended
	skipped int
	why     reasons
}

func (d *delivery) add(item audit.Item) error {
	if item.Skipped != "" {
		d.skipped++
		d.metrics.skip(d.batch.Source, item.Skipped)
		return nil
	}
	var size int
	if e := item.Event; e != nil {
		d.batch.Events = append(d.batch.Events, *e)
		size = len(e.Raw)
		if e.Truncated {
			d.metrics.truncate(d.batch.Source)
		}
	} else {
		item.Quarantined.Cluster = d.cluster
		d.why.add(item.Quarantined.Reason)
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
