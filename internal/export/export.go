// Package export writes answers as files: CSV and newline-delimited JSON, row
// by row, in memory that does not grow with their length. Every export is
// recorded before its first byte, and says in advance how many rows it will
// have; one that breaks off ends with Failed and a broken connection.
package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Failed is what the last row of an export is that broke off. In CSV it is the
// row's only cell, in NDJSON the name of an object's first member.
const Failed = "__porter_export_failed__"

// Bounds of an export's rows.
const (
	DefaultLimit = 10_000
	MaxLimit     = 1_000_000
	// MaxRawLimit is the bound with raw events, each of which is looked up.
	MaxRawLimit = 10_000

	pageRows = store.MaxPage
	// rawAtOnce bounds the look-ups of raw events that run at a time.
	rawAtOnce = 4
	// rawPage bounds the raw events that are held at a time, of up to 1 MiB each.
	rawPage = 16
	// writeBytes is how much is written at once, at most.
	writeBytes = 64 << 10
)

// Format is what a file is written in.
type Format string

// The formats.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// Formats lists the formats.
var Formats = []Format{CSV, NDJSON}

// Request says what to export.
type Request struct {
	Filter query.Filter
	Window query.Window
	// Asked is when the request came, by which it resolved its window; zero
	// means now.
	Asked time.Time
	// Limit is the most rows, the newest; 0 means DefaultLimit.
	Limit  int64
	Format Format
	// Raw adds the raw events, in NDJSON alone.
	Raw bool
	// Porter gives rows the PorterColumns.
	Porter bool
	// Project is what Porter's file is named after.
	Project string
}

func (r *Request) validate() error {
	most := int64(MaxLimit)
	if r.Raw {
		most = MaxRawLimit
	}
	switch {
	case r.Format != CSV && r.Format != NDJSON:
		return &query.FieldError{Field: "format", Value: string(r.Format), Problem: "is no format; use csv or ndjson"}
	case r.Raw && (r.Format != NDJSON || r.Porter):
		return &query.FieldError{Field: "raw", Value: "true", Problem: "needs format ndjson; CSV has no raw events"}
	case r.Limit < 0 || r.Limit > most:
		return &query.FieldError{Field: "limit", Value: fmt.Sprint(r.Limit), Problem: fmt.Sprintf("must be 1 to %d", most)}
	}
	return nil
}

// Store is what exports read.
type Store interface {
	View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error)
	Event(ctx context.Context, scope query.Scope, id audit.ID) (audit.Event, error)
	Snapshot(ctx context.Context, scope query.Scope, id string) (store.Manifest, error)
	OpenSnapshot(ctx context.Context, scope query.Scope, id string) (io.ReadCloser, error)
}

// errFewer means that rows which were announced are not there any more.
var errFewer = errors.New("there are fewer rows than were announced; retention dropped some meanwhile")

// errMore means that what arrived meanwhile does not fit any more.
var errMore = errors.New("more rows than the limit arrived meanwhile")

// export is an answer whose first page was read.
type export struct {
	Request
	store Store
	scope query.Scope
	first store.View
	rows  int64 // that it will have, at least
	// complete says how complete the answer is, and why.
	complete, reason string
}

// begin reads the first page and the exact count, from one transaction.
func begin(ctx context.Context, s Store, scope query.Scope, r Request, retention time.Duration) (*export, error) {
	if r.Limit == 0 {
		r.Limit = DefaultLimit
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	view, err := s.View(ctx, scope, store.ViewRequest{Filter: r.Filter, Window: r.Window, Limit: int(min(pageRows, r.Limit)), Count: true})
	if err != nil {
		return nil, fmt.Errorf("read the first page of an export: %w", err)
	}
	x := &export{Request: r, store: s, scope: scope, first: view, rows: min(view.Matched, r.Limit)}
	x.complete, x.reason = snapshot.Completeness(r.Window, r.Asked, retention, view.Quarantined)
	return x, nil
}

func (x *export) truncated() bool { return x.first.Matched > x.Limit }

// encoder writes a format.
type encoder interface {
	encode(e *audit.Event) error
	// failed ends the file for one that broke off after some rows.
	failed(rows int64) error
	flush() error
}

func (x *export) encoder(w *bufio.Writer) (encoder, error) {
	switch {
	case x.Format == NDJSON && x.Porter:
		return newNDJSON(w, appendPorterLine), nil
	case x.Format == NDJSON && x.Raw:
		return newNDJSON(w, appendRawLine), nil
	case x.Format == NDJSON:
		return newNDJSON(w, appendLine), nil
	case x.Porter:
		return newCSV(w, PorterColumns, appendPorterRow)
	}
	return newCSV(w, Columns, appendRow)
}

// write writes all rows and returns how many. Where it fails it ends the file
// with Failed, if it still can.
func (x *export) write(ctx context.Context, w io.Writer) (rows int64, err error) {
	enc, err := x.encoder(bufio.NewWriterSize(w, writeBytes))
	if err != nil {
		return 0, err
	}
	rows, err = x.encodeAll(ctx, enc)
	if err != nil && (!errors.Is(ctx.Err(), context.Canceled) || errors.Is(context.Cause(ctx), errRights)) {
		return rows, errors.Join(err, enc.failed(rows), enc.flush())
	}
	return rows, err
}

// encodeAll walks over the pages. Every page is a transaction of its own, so
// what arrives meanwhile may be among the rows; what was counted first is, and
// nothing takes its place unless the limit cuts.
func (x *export) encodeAll(ctx context.Context, enc encoder) (rows int64, err error) {
	for page := x.first; ; {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		events := page.Events
		if over := rows + int64(len(events)) - x.Limit; over > 0 {
			if !x.truncated() {
				return rows, errMore
			}
			events = events[:int64(len(events))-over]
		}
		n, err := x.encodePage(ctx, enc, events)
		if rows += n; err != nil {
			return rows, err
		}
		if err := enc.flush(); err != nil {
			return rows, err
		}
		if page.Next == nil || x.truncated() && rows >= x.Limit {
			break
		}
		page, err = admission.Retry(ctx, func() (store.View, error) {
			return x.store.View(ctx, x.scope, store.ViewRequest{Filter: x.Filter, Window: x.Window, Limit: pageRows, After: page.Next})
		})
		if err != nil {
			return rows, fmt.Errorf("read the next page of an export: %w", err)
		}
	}
	if rows < x.rows {
		return rows, errFewer
	}
	return rows, nil
}

func (x *export) encodePage(ctx context.Context, enc encoder, events []audit.Event) (rows int64, err error) {
	step := len(events)
	if x.Raw {
		step = rawPage
	}
	for len(events) > 0 {
		part := events[:min(step, len(events))]
		events = events[len(part):]
		if x.Raw {
			if err := x.addRaw(ctx, part); err != nil {
				return rows, err
			}
		}
		for i := range part {
			if err := enc.encode(&part[i]); err != nil {
				return rows, err
			}
			part[i].Raw = nil
			rows++
		}
	}
	return rows, nil
}

// addRaw looks the raw events up, a few at a time.
func (x *export) addRaw(ctx context.Context, events []audit.Event) error {
	lookups, ctx := errgroup.WithContext(ctx)
	lookups.SetLimit(rawAtOnce)
	for i := range events {
		lookups.Go(func() error {
			found, err := admission.Retry(ctx, func() (audit.Event, error) { return x.store.Event(ctx, x.scope, events[i].ID) })
			if err != nil {
				return fmt.Errorf("read the raw event %s: %w", events[i].ID, err)
			}
			events[i].Raw = found.Raw
			return nil
		})
	}
	return lookups.Wait()
}
