// Package envelope knows the shapes in which log services and shippers carry
// Kubernetes audit events, and takes out of each what it carries. It does not
// say what is an event: that is the decoder's, which reads what comes out as it
// reads everything.
//
// A list of records, however long, is read by the decoder one record after the
// other (Context.Within says which members of an object are such lists). One
// record is opened as a whole (Open).
package envelope

import (
	"encoding/base64"
	"errors"
	"slices"
)

// Bounds of what is opened.
const (
	// MaxDepth is how many envelopes and lists may stand in each other. The most
	// that is in use is six: an array of CloudWatch messages, in Firehose
	// records.
	MaxDepth = 12
	// MaxRecord is how many bytes of one record are held while it comes: more
	// than any of the services takes. A record that is larger is read as an event
	// alone.
	MaxRecord = 16 << 20
)

// Reasons for which a record is skipped: its carrier says that it is no
// Kubernetes audit event. They are values of a metric's label.
const (
	SkippedControl  = "control_message" // of a subscription: it checks the way
	SkippedStream   = "other_stream"    // of the same log group or category: authenticator, scheduler
	SkippedService  = "other_service"   // another API's audit, like that of node pools
	SkippedHost     = "host_audit"      // auditd and OVN lines
	SkippedNotAudit = "other_log"       // what containers wrote
)

// Content is what a record carries.
type Content struct {
	// Format names the envelope in words.
	Format string
	// Value is a JSON value: an object, an array, or a text that is either.
	Value []byte
	// Base64 says that Value is a text of base64; what it decodes to may be
	// compressed.
	Base64 bool
	// Skip is why the record is none that matters; empty otherwise. Where there
	// is a Value, that is still read, and taken if it is an event.
	Skip string
	// Problem is why the record can't be opened; empty otherwise.
	Problem string
	// Advice is what an administrator can do about a record that holds no event.
	Advice string
}

// Text returns a Value that is a text, without its quotes and escapes.
func (c *Content) Text() ([]byte, bool) { return unquote(c.Value) }

// Binary returns what a Base64 Value decodes to.
func (c *Content) Binary() ([]byte, error) {
	text, ok := unquote(c.Value)
	if !ok {
		return nil, errors.New("is no text")
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		out := make([]byte, encoding.DecodedLen(len(text)))
		if n, err := encoding.Decode(out, text); err == nil {
			return out[:n], nil
		}
	}
	return nil, errors.New("is no base64")
}

// format is a kind of record.
type format struct {
	name   string
	advice string
	// open returns false for a record of another kind.
	open func(o object, in Context) (Content, bool)
}

// formats are asked in this order: those with members of their own first, those
// that every shipper has last.
var formats = []format{
	lambda, pubsub, kinesis, logEntry, otlp, azureLog, azureTable, azureDiagnostics,
	elastic, gelf, viaq, dockerLog, cloudWatchEvent, firehose, messageLog,
}

// Open opens a record, an object; false where it is none of a known shape.
func Open(record []byte, in Context) (Content, bool) {
	o, ok := parseObject(record)
	if !ok {
		return Content{}, false
	}
	for i := range formats {
		f := &formats[i]
		content, ok := f.open(o, in)
		if !ok {
			continue
		}
		if content.Format == "" {
			content.Format = f.name
		}
		if content.Advice == "" {
			content.Advice = f.advice
		}
		if content.Skip == "" {
			content.Skip = in.Skip
		}
		return content, true
	}
	return Content{}, false
}

// Context is what is known of a record by the list that it stands in.
type Context struct {
	List string // the list's name; empty outside of any
	Skip string // why what is no event in it is none that matters
}

// lists are the members that hold records.
var lists = []string{
	"items", "logEvents", "events", "records", "Records", "entries", "messages", "receivedMessages",
	"resourceLogs", "scopeLogs", "logRecords",
}

// IsList reports whether a member of this name, if it is an array, holds
// records, each of which is read by itself.
func IsList(name string) bool { return slices.Contains(lists, name) }

// Within returns the context of the records of a list, in an object whose
// members before the list are given: the beginning of its JSON, up to and
// without the list's name.
func (c Context) Within(list string, before []byte) Context {
	in := Context{List: list, Skip: c.Skip}
	if list == LogEvents {
		in.Skip = subscriptionSkip(beginning(before))
	}
	return in
}

// LogEvents is the list of a CloudWatch subscription's message.
const LogEvents = "logEvents"

// SaysLater reports whether what is known of the records of a list may stand
// behind it.
func SaysLater(list string, before []byte) bool {
	if list != LogEvents {
		return false
	}
	o := beginning(before)
	return !o.has("messageType") || !o.has("logStream")
}

// beginning returns the members that an object begins with.
func beginning(b []byte) object {
	o, _ := parseObject(append(slices.Clip(trimComma(b)), '}'))
	return o
}

func trimComma(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ',' || b[len(b)-1] <= ' ') {
		b = b[:len(b)-1]
	}
	return b
}

// carriers are the members whose value may be an event or hold some.
var carriers = []string{
	"log", "log_processed", "log_s", "message", "data", "properties", "body", "protoPayload", "jsonPayload", "textPayload",
	"kubernetes.audit", "event.original", "awslogs", "kinesis", "full_message", "short_message", "structured", "_source",
}

// IsCarrier reports whether a member of this name may carry an event: an object
// that has one beside a list is a record too.
func IsCarrier(name string) bool { return slices.Contains(carriers, name) }

// first returns the first value under these names that looks as if it held JSON;
// where none does, the first that there is.
func (o object) first(names ...string) []byte {
	var any []byte
	for _, name := range names {
		v := o.value(name)
		if v == nil {
			continue
		}
		if LooksJSON(v) {
			return v
		}
		if any == nil {
			any = v
		}
	}
	return any
}

// LooksJSON reports whether a value is an object or array, or a text that may be
// one, in the prefix of a log's line too.
func LooksJSON(value []byte) bool {
	if len(value) == 0 {
		return false
	}
	if value[0] != '"' {
		return value[0] == '{' || value[0] == '['
	}
	text, ok := unquote(value)
	if !ok {
		return false
	}
	text = trimText(text)
	text = skipSpace(text[PrefixLength(text):])
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

// Mask returns a record in which a mark stands for each text that may be an
// event; nil for what is no object.
func Mask(record []byte, mark func(text []byte) string) []byte { return mask(record, mark, 0) }

// maskDepth is how deep in a record such texts stand.
const maskDepth = 4

func mask(record []byte, mark func([]byte) string, depth int) []byte {
	o, ok := parseObject(record)
	if !ok {
		return nil
	}
	var out []byte
	for _, m := range o {
		value := m.value
		switch text, isText := unquote(value); {
		case isText && (IsCarrier(m.name) || m.name == "original" || m.name == "audit"):
			value = quote(mark(text))
		case value[0] == '{' && depth < maskDepth:
			if masked := mask(value, mark, depth+1); masked != nil {
				value = masked
			}
		}
		out = appendMember(out, m.name, value)
	}
	if out == nil {
		out = []byte{'{'}
	}
	return append(out, '}')
}
