package envelope

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strconv"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// ErrProtobuf means that a message is no ExportLogsServiceRequest from some
// place on.
var ErrProtobuf = errors.New("not the protobuf of OTLP logs")

// Protobuf reads an ExportLogsServiceRequest as it comes: messages of known
// lengths in each other, of which one log record at a time is held.
type Protobuf struct {
	r *bufio.Reader
	// ends are how many bytes are left of each message that is being read; the
	// request itself has no length.
	ends []uint64
}

// NewProtobuf returns a reader of a request.
func NewProtobuf(r *bufio.Reader) *Protobuf { return &Protobuf{r: r} }

// wayDown are the fields that lead to a record: resource_logs, scope_logs,
// log_records.
var wayDown = []protowire.Number{1, 2, 2}

// Next returns the bytes of the next log record, or how many there were where
// they are more than MaxRecord. Hold is asked before any are held. The error is
// io.EOF at the end, ErrProtobuf, Hold's, or the reader's.
func (p *Protobuf) Next(hold func(int64) error) (record []byte, size uint64, err error) {
	for {
		for len(p.ends) > 0 && p.ends[len(p.ends)-1] == 0 {
			p.ends = p.ends[:len(p.ends)-1]
		}
		if len(p.ends) == 0 {
			if _, err := p.r.Peek(1); err != nil {
				return nil, 0, err
			}
		}
		number, kind, err := p.tag()
		if err != nil {
			return nil, 0, err
		}
		if kind != protowire.BytesType || number != wayDown[len(p.ends)] {
			if err := p.skip(kind); err != nil {
				return nil, 0, err
			}
			continue
		}
		length, err := p.varint()
		if err != nil {
			return nil, 0, err
		}
		if len(p.ends) < len(wayDown)-1 {
			if len(p.ends) > 0 && length > p.ends[len(p.ends)-1] {
				return nil, 0, ErrProtobuf
			}
			p.ends = append(p.ends, length)
			continue
		}
		if err := p.spend(length); err != nil {
			return nil, 0, err
		}
		record, err = p.take(length, hold)
		return record, length, err
	}
}

func (p *Protobuf) take(length uint64, hold func(int64) error) ([]byte, error) {
	if length > MaxRecord {
		return nil, p.discard(length)
	}
	if hold != nil {
		if err := hold(int64(length)); err != nil {
			return nil, err
		}
	}
	record := make([]byte, length)
	_, err := io.ReadFull(p.r, record)
	return record, within(err)
}

func (p *Protobuf) tag() (protowire.Number, protowire.Type, error) {
	v, err := p.varint()
	if err != nil {
		return 0, 0, err
	}
	number, kind := protowire.DecodeTag(v)
	if number < 1 || number > protowire.MaxValidNumber {
		return 0, 0, ErrProtobuf
	}
	return number, kind, nil
}

func (p *Protobuf) varint() (uint64, error) {
	ahead, err := p.r.Peek(binary.MaxVarintLen64)
	v, n := protowire.ConsumeVarint(ahead)
	if n < 0 {
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		return 0, ErrProtobuf
	}
	_, _ = p.r.Discard(n) // they are buffered
	return v, p.spend(uint64(n))
}

// spend takes bytes from the messages that are being read.
func (p *Protobuf) spend(n uint64) error {
	for i := range p.ends {
		if p.ends[i] < n {
			return ErrProtobuf
		}
		p.ends[i] -= n
	}
	return nil
}

func (p *Protobuf) skip(kind protowire.Type) error {
	var length uint64
	switch kind {
	case protowire.VarintType:
		_, err := p.varint()
		return err
	case protowire.Fixed32Type:
		length = 4
	case protowire.Fixed64Type:
		length = 8
	case protowire.BytesType:
		var err error
		if length, err = p.varint(); err != nil {
			return err
		}
	default:
		return ErrProtobuf
	}
	if err := p.spend(length); err != nil {
		return err
	}
	return p.discard(length)
}

func (p *Protobuf) discard(n uint64) error {
	for n > 0 {
		step := int(min(n, 1<<20))
		if _, err := p.r.Discard(step); err != nil {
			return within(err)
		}
		n -= uint64(step)
	}
	return nil
}

// within is the error of a stream that ends within a message.
func within(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrProtobuf
	}
	return err
}

// OpenProtobuf opens a log record.
func OpenProtobuf(record []byte) Content {
	c := Content{Format: otlp.name, Advice: otlp.advice}
	var r logspb.LogRecord
	if err := proto.Unmarshal(record, &r); err != nil {
		c.Problem = "the record is no protobuf of one"
		return c
	}
	if r.GetBody().GetValue() == nil {
		c.Problem = "the record has no body"
		return c
	}
	v, err := appendAny(nil, r.GetBody(), 0)
	if err != nil {
		c.Problem = "the record's body: " + err.Error()
		return c
	}
	c.Value = v
	return c
}

func appendAny(b []byte, v *commonpb.AnyValue, depth int) ([]byte, error) {
	if depth > maxAnyDepth {
		return nil, errAnyDepth
	}
	var err error
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		b = append(b, quote(v.StringValue)...)
	case *commonpb.AnyValue_BytesValue:
		b = append(b, quote(string(v.BytesValue))...) // the event's text, as some exporters have it
	case *commonpb.AnyValue_BoolValue:
		b = strconv.AppendBool(b, v.BoolValue)
	case *commonpb.AnyValue_IntValue:
		b = strconv.AppendInt(b, v.IntValue, 10)
	case *commonpb.AnyValue_DoubleValue:
		if math.IsNaN(v.DoubleValue) || math.IsInf(v.DoubleValue, 0) {
			return append(b, "null"...), nil
		}
		b = strconv.AppendFloat(b, v.DoubleValue, 'g', -1, 64)
	case *commonpb.AnyValue_ArrayValue:
		b = append(b, '[')
		for i, e := range v.ArrayValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendAny(b, e, depth+1); err != nil {
				return nil, err
			}
		}
		b = append(b, ']')
	case *commonpb.AnyValue_KvlistValue:
		b = append(b, '{')
		for i, e := range v.KvlistValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, quote(e.GetKey())...), ':')
			if b, err = appendAny(b, e.GetValue(), depth+1); err != nil {
				return nil, err
			}
		}
		b = append(b, '}')
	default:
		b = append(b, "null"...)
	}
	return b, nil
}
