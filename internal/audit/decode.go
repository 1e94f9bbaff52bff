package audit

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit/envelope"
	"github.com/porter-dev/audit-operator/internal/redact"
)

// DefaultMaxItemBytes bounds how much of an event is kept as raw. An API object
// is at most 1.5 MiB in etcd; events that carry larger bodies than this are rare.
const DefaultMaxItemBytes = 1 << 20

// Decoder turns what one source delivers into events. It may be used by
// several goroutines at once.
type Decoder struct {
	Source     string
	Cluster    string
	Classifier *Classifier
	// APIGroups are those that the source serves; none for a kube-apiserver,
	// which speaks for all (see Event.Foreign).
	APIGroups []string
	// Redaction is what the source says of redaction.
	Redaction redact.Policy
	// Key is the store's; what is cut or left out keeps a hash under it.
	Key Key
	// MaxItemBytes bounds the raw of one event; 0 means DefaultMaxItemBytes. Of
	// a larger item bodies are left out first, and then texts are cut.
	MaxItemBytes int
	// Hold is told how many bytes are held of an item beyond MaxItemBytes,
	// while it comes; its error ends the call. Nil lets any number be held:
	// what the server wrote of one item, up to some 32 MiB.
	Hold func(bytes int64) error
	// AllowRaw is asked whether the raw of an event may be kept as it is, where
	// that is more than FreeRawBytes: who asked for it, and its bytes. Nil
	// allows all. Of others bodies are left out and texts cut.
	AllowRaw func(identity string, bytes int) bool
	// Now is the clock for Quarantined.ReceivedAt; nil means time.Now.
	Now func() time.Time
}

// Item is one item of a delivery: an event, or what could not become one. What
// its carrier says is no audit event is neither: Skipped says why, with one of
// the reasons of package envelope.
type Item struct {
	Event       *Event
	Quarantined *Quarantined
	Skipped     string
}

// Decode reads a delivery to its end: EventLists, arrays of events, or events
// one after the other as a log file has them, in any of the envelopes of package
// envelope, and compressed or not. It calls emit for every item in order. An
// event of any size is one. An item that is wrong is quarantined and the next
// one read; where the stream stops being JSON, it is quarantined up to the next
// line that begins with a bracket, and to the end where there is none. The error
// is emit's, Hold's or the reader's: then the delivery is incomplete; or
// ErrInflation.
func (d *Decoder) Decode(r io.Reader, emit func(Item) error) error {
	run := d.begin(emit)
	defer run.parser.release()
	return run.stream(r, run.documents)
}

// begin returns what reads a delivery.
func (d *Decoder) begin(emit func(Item) error) *decoding {
	limit := d.MaxItemBytes
	if limit <= 0 {
		limit = DefaultMaxItemBytes
	}
	run := &decoding{Decoder: d, emit: emit, parser: newParser()}
	run.wire = &wire{}
	run.scan = scanner{max: limit, key: d.Key, hold: run.hold()}
	run.parser.key = d.Key
	return run
}

// documents reads values one after the other to the stream's end.
func (d *decoding) documents() error {
	for {
		first, err := d.scan.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = d.document(first)
		}
		if errors.Is(err, errBroken) {
			err = d.quarantineBroken()
		}
		if err != nil {
			return err
		}
	}
}

// decoding reads one stream: a delivery, or what an envelope in it carries.
type decoding struct {
	*Decoder
	scan   scanner
	parser *parser
	emit   func(Item) error
	// partial is what was read of a value that turned out to be broken.
	partial *span
	count   int
	broken  bool // something was
	listed  bool // there was a list, which may be empty
	unlined bool // the prefixes of lines are taken away
	carriage
}

// document reads one value at the top of the stream: a list or an item.
func (d *decoding) document(first byte) error {
	switch first {
	case '{':
		if done, err := d.inPlace(); done { // a line of a log
			return err
		}
		return d.object()
	case '[':
		d.listed = true
		return d.items()
	case '"':
		return d.item()
	case ',', ']', '}':
		if d.count > 0 || d.broken { // left of a list whose beginning was broken
			d.scan.skip(first)
			return nil
		}
	default:
		if d.unline() {
			return nil
		}
	}
	d.partial = nil
	return errBroken
}

// gather consumes a byte if it comes next.
func (d *decoding) gather(want byte, into *span) bool {
	if !d.scan.skip(want) {
		return false
	}
	d.scan.add(into, []byte{want})
	return true
}

// unlessReader returns errBroken, unless the reader failed.
func (d *decoding) unlessReader() error {
	if _, err := d.scan.next(); err != nil {
		return cutOff(err)
	}
	return errBroken
}

// items reads the elements of a list.
func (d *decoding) items() error {
	d.partial = nil
	d.scan.skip('[')
	for {
		switch first, err := d.scan.next(); {
		case err != nil:
			return cutOff(err)
		case first == ']':
			d.scan.skip(']')
			return nil
		case first == ',':
			d.scan.skip(',')
		case first == '}' || first == ':' || d.scan.beginsList():
			return errBroken
		default:
			if err := d.item(); err != nil {
				return err
			}
		}
	}
}

func (d *decoding) item() error {
	if done, err := d.inPlace(); done {
		return err
	}
	if first, err := d.scan.next(); err == nil && first == '{' && !d.scan.beginsEvent() {
		return d.object()
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
	cut := false
	if item.large != nil {
		item.bytes, cut = item.large.end()
	}
	object, err := d.parse(item.bytes)
	if err == nil {
		var event *Event
		if event, err = d.event(object, cut); err == nil {
			return d.emit(Item{Event: event})
		}
	}
	if opened, openErr := d.open(item); opened {
		return openErr
	}
	return d.quarantine(item, err.Error())
}

// inPlace takes the item that comes next if all of it is buffered and it is an
// event as API servers write it.
func (d *decoding) inPlace() (done bool, err error) {
	chunk := d.scan.buffered()
	n, ok := d.parser.inPlace(chunk[:min(len(chunk), d.scan.max)])
	if !ok {
		return false, nil
	}
	event, err := d.event(chunk[:n], false)
	if err != nil {
		return false, nil // finish says why
	}
	d.scan.discard(n)
	d.count++
	return true, d.emit(Item{Event: event})
}

// parse reads a complete item and returns the object that is the event.
func (d *decoding) parse(item []byte) ([]byte, error) {
	if len(item) == 0 {
		return nil, errors.New("not an object, so no event")
	}
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
	err := d.parser.general(item)
	if err == nil && envelope.MayBeViaQ(d.parser.wire.Unknown) {
		if event, ok := envelope.FromViaQ(item); ok {
			return event, d.parser.general(event)
		}
	}
	return item, err
}

func (d *decoding) quarantine(item *span, reason string) error {
	if d.in.Skip != "" {
		return d.emit(Item{Skipped: d.in.Skip})
	}
	if d.carried != nil {
		reason = carriedReason(d.carried, reason)
	}
	left := item.bytes
	if len(left) > d.scan.max {
		left = nil
	}
	if d.carried != nil && !mayBeEvent(left) {
		return d.quarantineAs(item, reason, redactContent(d.Redaction, left))
	}
	return d.quarantineAs(item, reason, redactItem(d.Redaction, left))
}

func (d *decoding) quarantineAs(item *span, reason string, left []byte) error {
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	return d.emitQuarantined(&Quarantined{
		Source:     d.Source,
		ReceivedAt: now().UTC().Truncate(time.Microsecond),
		Reason:     reason,
		Size:       item.size,
		Hash:       item.hash(d.Key),
		Redacted:   left,
	})
}

// quarantineBroken quarantines what is broken, up to the next line that may
// begin a value.
func (d *decoding) quarantineBroken() error {
	rest := d.partial
	if rest == nil {
		rest = &span{}
	}
	d.partial = nil
	if err := d.scan.line(rest); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if rest.size == 0 {
		d.scan.add(rest, []byte("\n")) // the list was cut off exactly between two items
	}
	d.broken = true
	if d.carried != nil && d.count == 0 {
		return d.quarantine(rest, "what it carries is no JSON")
	}
	return d.quarantine(rest, fmt.Sprintf("not JSON after %d complete items; those were taken", d.count))
}
