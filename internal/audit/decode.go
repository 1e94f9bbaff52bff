package audit

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
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
	run := &decoding{Decoder: d, emit: emit, scan: scanner{r: bufio.NewReaderSize(r, 64<<10), max: limit}}
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
	scan scanner
	emit func(Item) error
	// partial is what was read of a value that turned out to be broken.
	partial *span
	count   int
}

// document reads one value at the top of the stream: a list or an item.
func (d *decoding) document() error {
	if first, err := d.scan.next(); err != nil {
		return cutOff(err)
	} else if first != '{' {
		return d.item()
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
	item := &span{}
	d.partial = item
	if _, err := d.scan.next(); err != nil {
		return cutOff(err)
	}
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
	event, err := d.event(item.bytes)
	if err != nil {
		return d.quarantine(item, err.Error())
	}
	return d.emit(Item{Event: event})
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

// parseOptions tolerate what clients can bring into an event.
var parseOptions = json.JoinOptions(jsontext.AllowInvalidUTF8(true))

// event makes a row of one item. Its error says why the item is none, without
// repeating any of its values.
func (d *Decoder) event(item []byte) (*Event, error) {
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
	var w wireEvent
	if err := json.Unmarshal(item, &w, parseOptions); err != nil {
		return nil, wireProblem(err)
	}
	if kind, ok := w.Kind.text(); ok && kind != "" && kind != "Event" {
		return nil, errors.New("kind is not Event")
	}
	event := &Event{
		ID: w.identify(d.Source), Source: d.Source, Cluster: d.Cluster,
		AuditID: w.AuditID, Level: w.Level, Stage: w.Stage, UserAgent: w.UserAgent,
	}
	received, reached := w.RequestReceivedTimestamp.time(), w.StageTimestamp.time()
	if event.OccurredAt = received; received.IsZero() {
		event.OccurredAt = reached
	}
	if event.StageAt = reached; reached.IsZero() {
		event.StageAt = received
	}
	if event.OccurredAt.IsZero() {
		return nil, errors.New("neither requestReceivedTimestamp nor stageTimestamp is a time")
	}
	if !isStage(w.Stage) {
		return nil, errors.New("stage is none of RequestReceived, ResponseStarted, ResponseComplete, Panic")
	}
	d.Classifier.classify(&w, event)
	w.redact()
	event.Path = w.RequestURI
	raw, err := json.Marshal(&w, parseOptions, json.Deterministic(true))
	if err != nil {
		return nil, errors.New("can't be written as JSON")
	}
	event.Raw, event.RawSHA256 = raw, sha256.Sum256(raw)
	return event, nil
}

func isStage(stage string) bool {
	for _, s := range Stages {
		if s == stage {
			return true
		}
	}
	return false
}

// wireProblem says where an item is not as an event should be. The parser's own
// message may repeat a value, which may be secret.
func wireProblem(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		return fmt.Errorf("%s has another type than an audit event's", semantic.JSONPointer)
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return errors.New("an object has two members of one name")
		}
		return fmt.Errorf("not valid JSON at byte %d of the item", syntactic.ByteOffset)
	}
	return errors.New("not an audit event")
}
