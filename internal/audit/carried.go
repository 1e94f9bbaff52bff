package audit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/porter-dev/audit-operator/internal/audit/envelope"
)

// carriage is where a stream stands: in a delivery, or in envelopes of one.
type carriage struct {
	wire *wire
	// source is what the stream's buffer reads.
	source *counter
	// in is the list that is read.
	in envelope.Context
	// carried is the envelope whose content the stream is; nil for a delivery.
	carried *envelope.Content
	// undecided are items of a list of which it is known later whether they
	// matter; nil where it is known.
	undecided *undecided
	depth     int   // envelopes and lists around what is read
	outer     int64 // bytes that are held of envelopes around it
}

// hold returns what is told how much is held of an item.
func (d *decoding) hold() func(int64) error {
	if d.Hold == nil {
		return nil
	}
	return func(bytes int64) error { return d.Hold(d.outer + bytes) }
}

// stream reads a stream to its end, inflated where it is compressed.
func (d *decoding) stream(r io.Reader, read func() error) error {
	count := &d.wire.arrived
	if d.carried != nil {
		count = new(int64)
	}
	d.source = &counter{r: r, n: count}
	d.scan.r = newBuffer(d.source)
	defer func() { releaseBuffer(d.scan.r) }()
	err := d.inflated(read)
	if errors.Is(err, errGzip) || errors.Is(err, ErrInflation) && d.carried != nil {
		return d.quarantineCut(err.Error())
	}
	return err
}

// inflated reads what the buffer holds, which may be gzip, and gzip in that.
func (d *decoding) inflated(read func() error) error {
	if !isGzip(d.scan.r) || d.depth >= envelope.MaxDepth {
		return read()
	}
	z, err := newInflater(d.scan.r, d.source, d.wire, d.scan.max)
	defer z.release()
	if err != nil {
		return err
	}
	buffer, source := d.scan.r, d.source
	defer func() {
		releaseBuffer(d.scan.r)
		d.scan.r, d.source = buffer, source
	}()
	d.source = &counter{r: z, n: new(int64)}
	d.scan.r, d.scan.inflated = newBuffer(d.source), true
	d.depth++
	return d.inflated(read)
}

// quarantineCut quarantines what is left of a stream that can't be read on.
func (d *decoding) quarantineCut(reason string) error {
	rest := d.partial
	if rest == nil {
		rest = &span{}
	}
	if d.partial = nil; rest.size == 0 {
		d.scan.add(rest, []byte("\n")) // it ended exactly between two items
	}
	d.broken = true
	return d.quarantine(rest, reason+"; complete items before were taken")
}

// unline takes the prefixes of lines away if one comes next. It reports whether
// it did.
func (d *decoding) unline() bool {
	ahead, _ := d.scan.r.Peek(lookAhead)
	if d.unlined || d.count > 0 && !d.scan.fresh || envelope.PrefixLength(ahead) == 0 {
		return false
	}
	d.unlined = true
	d.scan.r = bufio.NewReaderSize(envelope.NewLines(d.scan.r), d.scan.r.Size())
	return true
}

// isList reports whether a member of an object is a list of items.
func (d *decoding) isList(r *record, name []byte, first byte) bool {
	if first != '[' && first != 'n' || d.depth >= envelope.MaxDepth {
		return false
	}
	return string(name) == `"items"` || !r.isEvent && envelope.IsList(string(unquoted(name)))
}

// list reads a member that is one. Before it stands what is known of its items.
func (d *decoding) list(name string, before []byte) error {
	in := d.in
	d.in = in.Within(name, before)
	d.depth++
	d.listed = true
	if envelope.SaysLater(name, before) && d.undecided == nil {
		d.undecided = &undecided{}
	}
	err := d.items()
	d.in, d.depth = in, d.depth-1 // where it broke, what follows is no part of it
	return err
}

// undecided are items to be quarantined, unless what stands behind their list
// says that they are of another log.
type undecided struct {
	items []*Quarantined
	bytes int
	full  bool // it holds as many as it may; what comes then is quarantined
}

// Bounds of what is undecided. A subscription's message has at most 1 MiB.
const (
	maxUndecided      = 10_000
	maxUndecidedBytes = 4 << 20
)

func (d *decoding) emitQuarantined(q *Quarantined) error {
	u := d.undecided
	if u == nil || u.full {
		return d.emit(Item{Quarantined: q})
	}
	u.items, u.bytes = append(u.items, q), u.bytes+len(q.Redacted)
	u.full = len(u.items) == maxUndecided || u.bytes >= maxUndecidedBytes
	return nil
}

// decide emits what was undecided, now that the object was read.
func (d *decoding) decide(r *record) error {
	u, skip := d.undecided, ""
	d.undecided = nil
	if r.isList {
		skip = d.in.Within(envelope.LogEvents, bytes.TrimSuffix(r.whole.bytes, []byte{'}'})).Skip
	}
	for _, q := range u.items {
		item := Item{Quarantined: q}
		if skip != "" {
			item = Item{Skipped: skip}
		}
		if err := d.emit(item); err != nil {
			return err
		}
	}
	return nil
}

// open reads what an envelope carries. It reports whether the item is one.
func (d *decoding) open(item *span) (opened bool, err error) {
	if len(item.bytes) == 0 || item.bytes[0] != '{' {
		return false, nil
	}
	c, ok := envelope.Open(item.bytes, d.in)
	if !ok {
		return false, nil
	}
	return true, d.carry(item, &c)
}

// carry reads the content of an envelope as a stream of its own. A record of
// which nothing comes is an item itself.
func (d *decoding) carry(item *span, c *envelope.Content) error {
	switch {
	case d.depth >= envelope.MaxDepth:
		return d.refuse(item, c, "too many envelopes stand in each other")
	case c.Problem != "":
		return d.refuse(item, c, c.Problem)
	case len(c.Value) == 0:
		return d.refuse(item, c, "it carries nothing")
	}
	content, problem := contentOf(c)
	if problem != "" {
		return d.refuse(item, c, problem)
	}
	if n, ok := d.parser.inPlace(content); ok && n == len(content) {
		if event, err := d.event(content, false); err == nil {
			return d.emit(Item{Event: event})
		}
	}
	inner := &decoding{Decoder: d.Decoder, emit: d.emit, parser: d.parser}
	inner.carriage = carriage{wire: d.wire, undecided: d.undecided, in: envelope.Context{Skip: c.Skip}, carried: c, depth: d.depth + 1, outer: d.outer + item.size + int64(len(content))}
	inner.scan = scanner{max: d.scan.max, key: d.Key, hold: inner.hold()}
	if err := inner.stream(bytes.NewReader(content), inner.documents); err != nil {
		return err
	}
	if inner.count == 0 && !inner.broken && !inner.listed {
		return d.refuse(item, c, "it carries nothing")
	}
	return nil
}

// contentOf returns the stream that an envelope carries, or what is wrong.
func contentOf(c *envelope.Content) (content []byte, problem string) {
	switch {
	case c.Base64:
		content, err := c.Binary()
		if err != nil {
			return nil, "its data " + err.Error()
		}
		return content, ""
	case c.Value[0] == '"':
		text, ok := c.Text()
		if !ok {
			return nil, "its text can't be read"
		}
		return bytes.TrimSpace(text), ""
	case c.Value[0] == '{' || c.Value[0] == '[':
		return c.Value, ""
	}
	return nil, "it carries neither a text nor an object"
}

// refuse quarantines an envelope, or skips it. Texts that may be events are
// left out, since what is not JSON can't be redacted.
func (d *decoding) refuse(item *span, c *envelope.Content, problem string) error {
	if c.Skip != "" {
		return d.emit(Item{Skipped: c.Skip})
	}
	left := item.bytes
	if len(left) > d.scan.max {
		left = nil
	}
	left = envelope.Mask(left, func(text []byte) string { return mark(leftOut, int64(len(text)), d.Key.Hash(text)) })
	return d.quarantineAs(item, carriedReason(c, problem), redactItem(d.Redaction, left))
}

func carriedReason(c *envelope.Content, reason string) string {
	article := "a "
	if strings.ContainsRune("AEIO", rune(c.Format[0])) {
		article = "an "
	}
	return "looks like " + article + c.Format + ": " + reason + "; " + c.Advice
}

// DecodeOTLP is Decode for an ExportLogsServiceRequest in protobuf.
func (d *Decoder) DecodeOTLP(r io.Reader, emit func(Item) error) error {
	run := d.begin(emit)
	defer run.parser.release()
	return run.stream(r, run.logRecords)
}

// logRecords reads the records of a request, each by itself.
func (d *decoding) logRecords() error {
	records := envelope.NewProtobuf(d.scan.r)
	for {
		record, size, err := records.Next(d.scan.hold)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, envelope.ErrProtobuf):
			return d.quarantineCut(envelope.ErrProtobuf.Error())
		case err != nil:
			return err
		}
		d.count++
		c := envelope.Content{Format: envelope.OTLPRecord, Problem: "it is larger than 16 MiB"}
		if record != nil {
			c = envelope.OpenProtobuf(record)
		}
		if err := d.carry(&span{bytes: record, size: int64(size)}, &c); err != nil {
			return err
		}
	}
}
