package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// The statements of the ingesting transaction.
const (
	beginCopy = "BEGIN; COPY audit_staging (" + rowColumns + ") FROM STDIN (FORMAT binary)"

	// Rows of a day that was forgotten would not be found: it is asked for in
	// the transaction.
	countDays = "SELECT count(*) FROM audit_days WHERE day = ANY($1)"

	// Replicas that write the same events at once must all do so in the same
	// order, or they would wait for each other.
	insertRows = "INSERT INTO audit_rows (" + rowColumns + ") SELECT " + rowColumns + ` FROM audit_staging
		ORDER BY occurred_at, id ON CONFLICT (occurred_at, id) DO NOTHING RETURNING id, ctid`

	insertBlob  = "INSERT INTO audit_raw (batch, day, blob) VALUES ($1, $2, $3)"
	insertDelta = "INSERT INTO audit_rollup_deltas (day, batch, hours, kinds, places, actors, counts) VALUES ($1, $2, $3, $4, $5, $6, $7)"

	insertSource = `INSERT INTO audit_source_deltas
		(source, received, stored, duplicate, quarantined, own, last_received_at, last_event_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

	insertQuarantine = `INSERT INTO audit_quarantine (source, received_at, reason, size, sha256, redacted, cluster)
		SELECT source, received_at, reason, size, sha256, redacted, cluster
		FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::bytea[], $6::bytea[], $7::text[])
			WITH ORDINALITY AS q (source, received_at, reason, size, sha256, redacted, cluster, n) ORDER BY n`
)

// ingest runs the transaction, in three round trips. When it fails, the
// transaction may be open still.
func (w *writer) ingest(ctx context.Context, p *plan) error {
	if len(p.rows) == 0 {
		if _, err := w.conn.Exec(ctx, "BEGIN"); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
	} else if err := w.copyRows(ctx, p); err != nil {
		return err
	}
	p.settleResults()
	return w.insertRest(ctx, p)
}

// copyRows begins the transaction and writes the rows.
func (w *writer) copyRows(ctx context.Context, p *plan) error {
	if _, err := w.conn.PgConn().CopyFrom(ctx, copyOf(p.rows), beginCopy); err != nil {
		return fmt.Errorf("copy rows: %w", err)
	}
	return w.insertRows(ctx, p)
}

// copyOf is what COPY is sent.
func copyOf(rows []*plannedRow) io.Reader {
	buffers := make(net.Buffers, 0, len(rows)+2)
	buffers = append(buffers, copyHeader)
	for _, r := range rows {
		buffers = append(buffers, r.copied)
	}
	buffers = append(buffers, copyTrailer)
	return &buffers
}

// insertRows takes from the staging table what is new.
func (w *writer) insertRows(ctx context.Context, p *plan) error {
	days := make([]time.Time, len(p.days))
	for i, day := range p.days {
		days[i] = day.start()
	}
	var known int
	batch := &pgx.Batch{}
	batch.Queue(countDays, days).QueryRow(func(row pgx.Row) error { return row.Scan(&known) })
	batch.Queue(insertRows).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			values := rows.RawValues()
			block, err := blockOf(values[1])
			if err != nil {
				return err
			}
			p.storedOne(audit.ID(values[0]), block)
		}
		return rows.Err()
	})
	err := w.conn.SendBatch(ctx, batch).Close()
	switch {
	case err != nil:
		return fmt.Errorf("insert rows: %w", err)
	case known < len(days):
		return errDayGone
	}
	return nil
}

// insertRest writes what belongs to the rows that were new, and commits.
func (w *writer) insertRest(ctx context.Context, p *plan) error {
	batch := &pgx.Batch{}
	for _, blobs := range p.blobs {
		for _, b := range blobs {
			if b.stored {
				batch.Queue(insertBlob, b.batch, b.day.start(), b.packed)
			}
		}
	}
	for _, d := range p.deltas() {
		batch.Queue(insertDelta, d.day.start(), p.deltaNumbers[d.day], d.hours, d.kinds, d.places, d.actors, d.counts)
	}
	p.queueArrivals(batch)
	for _, stats := range p.sources() {
		batch.Queue(insertSource, stats.Source, stats.Received, stats.Stored, stats.Duplicate, stats.Quarantined, stats.Own,
			stats.LastReceivedAt, noTime(stats.LastEventAt))
	}
	for _, skew := range p.skews {
		batch.Queue(insertSkew, skew.source, p.ingestedAt, skew.ahead.Microseconds())
	}
	w.queueQuarantine(batch, p)
	batch.Queue("COMMIT")
	p.committing = true
	delete(w.conn.PgConn().CustomData(), unreplicated) // of what was before
	if err := w.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if w.conn.PgConn().CustomData()[unreplicated] != nil {
		return errors.Join(errUnreplicated, w.conn.Close(ctx))
	}
	return nil
}

// noTime is NULL for the zero time.
func noTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// queueQuarantine adds what could not become events. What is too large to be
// kept beside others is kept without its content.
func (w *writer) queueQuarantine(batch *pgx.Batch, p *plan) {
	var sources, clusters, reasons []string
	var received []time.Time
	var sizes []int64
	var sums, redacted [][]byte
	for _, j := range p.group {
		for _, q := range j.quarantined {
			content := q.Redacted
			if int64(len(content)) > p.maxQuarantined {
				content = nil
			}
			sources, clusters, reasons = append(sources, store.Text(q.Source)), append(clusters, store.Text(q.Cluster)), append(reasons, store.Text(q.Reason))
			received, sizes = append(received, q.ReceivedAt), append(sizes, q.Size)
			sums, redacted = append(sums, q.Hash[:]), append(redacted, content)
		}
	}
	if len(sources) > 0 {
		batch.Queue(insertQuarantine, sources, received, reasons, sizes, sums, redacted, clusters)
	}
}
