package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DefaultMaxItemBytes is the largest event that is stored. An API object is at
// most 1.5 MiB in etcd; events that carry larger bodies than this are rare, and
// kube-apiserver can truncate them.
const DefaultMaxItemBytes = 1 << 20

// Decoder turns what one source delivers into events. It may be used by
// several goroutines at once.
type Decoder struct {
	Source     string
	Cluster    string
	Classifier *Classifier
	// MaxItemBytes bounds one item and thereby the memory of a call; 0 means
	// DefaultMaxItemBytes.
	MaxItemBytes int
	// Now is the clock for Quarantined.ReceivedAt; nil means time.Now.
	Now func() time.Time
}

// Item is one item of a delivery: an event, or what could not become one.
type Item struct {
	Event       *Event
	Quarantined *Quarantined
}

// Decode reads a delivery to its end: EventLists, or events one after the
// other as a log file has them. It calls emit for every item in order. An item
// that is wrong is quarantined and the next one read; where the stream stops
// being JSON, the rest of it is quarantined as one item. The error is emit's or
// the reader's: then the delivery is incomplete.
func (d *Decoder) Decode(r io.Reader, emit func(Item) error) error {
	limit := d.MaxItemBytes
	if limit <= 0 {
		limit = DefaultMaxItemBytes
	}
	run := &decoding{Decoder: d, emit: emit, scan: scanner{r: newBuffer(r), max: limit}, parser: newParser()}
	defer run.release()
	for {
		switch _, err := run.scan.next(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := run.document(); errors.Is(err, errBroken) {
			return run.quarantineRest()
		} else if err != nil {
			return err
		}
	}
}

// decoding is one call of Decode.
type decoding struct {
	*Decoder
	scan   scanner
	parser *parser
	emit   func(Item) error
	// partial is what was read of a value that turned out to be broken.
	partial *span
	count   int
}

func (d *decoding) release() {
	d.parser.release()
	releaseBuffer(d.scan.r)
}

// document reads one value at the top of the stream: a list or an item.
func (d *decoding) document() error {
	if first, err := d.scan.next(); err != nil {
		return cutOff(err)
	} else if first != '{' {
		return d.item()
	}
	if done, err := d.inPlace(); done { // a line of a log
		return err
	}
	// Members are gathered until one is a list of items. Without such a list
	// they are an event.
	whole := &span{}
	d.partial = whole
	d.scan.take(whole, 1)
	isList := false
	for members := 0; ; members++ {
		if d.closes('}', whole) {
			break
		}
		if members > 0 && !d.gather(',', whole) {
			return errBroken
		}
		name := &span{}
		first, err := d.scan.next()
		if err != nil {
			return cutOff(err)
		}
		if first != '"' {
			return errBroken
		}
		if err := d.scan.value(name); err != nil {
			whole.add(name.bytes, d.scan.max)
			return err
		}
		whole.add(name.bytes, d.scan.max)
		if !d.gather(':', whole) {
			return errBroken
		}
		if first, err = d.scan.next(); err != nil {
			return cutOff(err)
		}
		if first == '[' && string(name.bytes) == `"items"` {
			isList = true
			if err := d.items(); err != nil {
				return err
			}
			d.partial = whole
			whole.add([]byte("[]"), d.scan.max)
		} else if err := d.scan.value(whole); err != nil {
			return err
		}
	}
	d.partial = nil
	if !isList {
		return d.finish(whole)
	}
	var header struct {
		AuditID jsontext.Value `json:"auditID"`
	}
	if err := json.Unmarshal(whole.bytes, &header, parseOptions); err != nil || header.AuditID != nil {
		return d.quarantine(whole, "the list has members that a list of events has not; its items were taken")
	}
	return nil
}

// closes consumes the closing bracket if it comes next.
func (d *decoding) closes(bracket byte, into *span) bool {
	return d.gather(bracket, into)
}

func (d *decoding) gather(want byte, into *span) bool {
	if !d.scan.skip(want) {
		return false
	}
	into.add([]byte{want}, d.scan.max)
	return true
}

// items reads the elements of a list.
func (d *decoding) items() error {
	d.partial = nil
	d.scan.skip('[')
	if d.scan.skip(']') {
		return nil
	}
	for {
		if err := d.item(); err != nil {
			return err
		}
		if d.scan.skip(']') {
			return nil
		}
		if !d.scan.skip(',') {
			return errBroken
		}
		if _, err := d.scan.next(); err != nil {
			return cutOff(err)
		}
	}
}

func (d *decoding) item() error {
	if _, err := d.scan.next(); err != nil {
		return cutOff(err)
	}
	if done, err := d.inPlace(); done {
		return err
	}
	item := &span{}
	d.partial = item
	if err := d.scan.value(item); err != nil {
		return err
	}
	d.partial = nil
	return d.finish(item)
}

// finish makes an item of a complete value.
func (d *decoding) finish(item *span) error {
	d.count++
	if item.bytes == nil {
		return d.quarantine(item, fmt.Sprintf("larger than %d bytes: raise the source's limits.maxEventBytes, or truncate with --audit-webhook-truncate-enabled", d.scan.max))
	}
	object, err := d.parse(item.bytes)
	if err != nil {
		return d.quarantine(item, err.Error())
	}
	event, err := d.event(object)
	if err != nil {
		return d.quarantine(item, err.Error())
	}
	return d.emit(Item{Event: event})
}

// inPlace takes the item that comes next if all of it is buffered and it is an
// event as API servers write it.
func (d *decoding) inPlace() (done bool, err error) {
	chunk := d.scan.buffered()
	n, ok := d.parser.inPlace(chunk[:min(len(chunk), d.scan.max)])
	if !ok {
		return false, nil
	}
	event, err := d.event(chunk[:n])
	if err != nil {
		return false, nil // finish says why
	}
	d.scan.discard(n)
	d.count++
	return true, d.emit(Item{Event: event})
}

// parse reads a complete item and returns the object that is the event.
func (d *decoding) parse(item []byte) ([]byte, error) {
	if item[0] == '"' { // one event, wrapped as a string
		unquoted, err := jsontext.AppendUnquote(nil, item)
		if err != nil || len(unquoted) == 0 || unquoted[0] != '{' {
			return nil, errors.New("a string, not an event")
		}
		item = unquoted
	}
	if item[0] != '{' {
		return nil, errors.New("not an object, so no event")
	}
	if n, ok := d.parser.inPlace(item); ok && n == len(item) {
		return item, nil
	}
	return item, d.parser.general(item)
}

func (d *decoding) quarantine(item *span, reason string) error {
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	return d.emit(Item{Quarantined: &Quarantined{
		Source:     d.Source,
		ReceivedAt: now().UTC().Truncate(time.Microsecond),
		Reason:     reason,
		Size:       item.size,
		SHA256:     item.sha256(),
		Redacted:   redactItem(item.bytes),
	}})
}

func (d *decoding) quarantineRest() error {
	rest := d.partial
	if rest == nil {
		rest = &span{}
	}
	if err := d.scan.rest(rest); err != nil {
		return err
	}
	if rest.size == 0 {
		rest.add([]byte("\n"), d.scan.max) // the list was cut off exactly between two items
	}
	return d.quarantine(rest, fmt.Sprintf("not JSON after %d complete items; those were taken", d.count))
}

// event makes a row of the object that the parser has read, or says why that is
// none.
func (d *decoding) event(object []byte) (*Event, error) {
	p, w := d.parser, &d.parser.wire
	if kind, ok := w.Kind.text(); ok && kind != "" && kind != "Event" {
		return nil, errors.New("kind is not Event")
	}
	if p.received.IsZero() && p.reached.IsZero() {
		return nil, errors.New("neither requestReceivedTimestamp nor stageTimestamp is a time")
	}
	if !slices.Contains(Stages, w.Stage) {
		return nil, errors.New("stage is none of RequestReceived, ResponseStarted, ResponseComplete, Panic")
	}
	event := p.room.event()
	event.ID, event.Source, event.Cluster = p.identify(d.Source), d.Source, d.Cluster
	event.AuditID, event.Level, event.Stage, event.UserAgent = w.AuditID, w.Level, w.Stage, w.UserAgent
	event.OccurredAt, event.StageAt = p.received, p.reached
	if p.received.IsZero() {
		event.OccurredAt = p.reached
	}
	if p.reached.IsZero() {
		event.StageAt = p.received
	}
	d.Classifier.classify(p, event)
	changed := w.redact()
	event.Path = w.RequestURI
	raw := p.room.raw(len(object) + len(object)/8)
	if p.exact && !changed {
		raw = append(raw, object...)
	} else {
		var err error
		if raw, err = w.append(raw); err != nil {
			return nil, err
		}
	}
	event.Raw = p.room.keepRaw(raw)
	event.RawSHA256 = sha256.Sum256(event.Raw)
	return event, nil
}
