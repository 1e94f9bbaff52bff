package envelope

import (
	"errors"
	"math"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// OTLPRecord is the name of the format of OpenTelemetry's log records.
const OTLPRecord = "OTLP log record"

// otlp is a record of OpenTelemetry logs.
var otlp = format{
	name: OTLPRecord, advice: "let the pipeline to this exporter have the audit log alone, with the event as the record's body",
	open: func(o object, in Context) (Content, bool) {
		body := o.value("body")
		switch {
		case body == nil && in.List != "logRecords":
			return Content{}, false
		case body == nil:
			return Content{Problem: "the record has no body"}, true
		}
		var v anyValue
		if err := json.Unmarshal(body, &v, anyOptions); err != nil {
			// Some exporters write the text, or the object, as it is.
			return Content{Value: body}, true
		}
		switch {
		case v.Bytes != nil:
			return Content{Value: quote(*v.Bytes), Base64: true}, true
		case v.isNone():
			return Content{Value: body}, true
		}
		value, err := v.appendTo(nil, 0)
		if err != nil {
			return Content{Problem: "the record's body: " + err.Error()}, true
		}
		return Content{Value: value}, true
	},
}

// anyOptions take the names of protobuf's fields too, and what clients can bring
// into an event.
var anyOptions = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true), json.MatchCaseInsensitiveNames(true))

// anyValue is OTLP's AnyValue in JSON.
type anyValue struct {
	String *string        `json:"stringValue"`
	Bool   *bool          `json:"boolValue"`
	Int    jsontext.Value `json:"intValue"`
	Double jsontext.Value `json:"doubleValue"`
	Bytes  *string        `json:"bytesValue"`
	Array  *anyList       `json:"arrayValue"`
	KVList *anyPairs      `json:"kvlistValue"`
}

type anyList struct {
	Values []anyValue `json:"values"`
}

type anyPairs struct {
	Values []anyPair `json:"values"`
}

type anyPair struct {
	Key   string   `json:"key"`
	Value anyValue `json:"value"`
}

// maxAnyDepth is how deep values of OTLP may nest: what readers of their JSON,
// of which each of their levels takes four, can read.
const maxAnyDepth = 2500

var errAnyDepth = errors.New("it nests more than 2500 deep")

func (v *anyValue) isNone() bool {
	return v.String == nil && v.Bool == nil && v.Int == nil && v.Double == nil && v.Bytes == nil && v.Array == nil && v.KVList == nil
}

// appendTo writes the JSON that the value stands for.
func (v *anyValue) appendTo(b []byte, depth int) ([]byte, error) {
	if depth > maxAnyDepth {
		return nil, errAnyDepth
	}
	var err error
	switch {
	case v.String != nil:
		b = append(b, quote(*v.String)...)
	case v.Bytes != nil:
		b = append(b, quote(*v.Bytes)...)
	case v.Bool != nil:
		b = strconv.AppendBool(b, *v.Bool)
	case v.Int != nil:
		b = append(b, jsonNumber(v.Int)...)
	case v.Double != nil:
		b = append(b, jsonNumber(v.Double)...)
	case v.Array != nil:
		b = append(b, '[')
		for i := range v.Array.Values {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = v.Array.Values[i].appendTo(b, depth+1); err != nil {
				return nil, err
			}
		}
		b = append(b, ']')
	case v.KVList != nil:
		b = append(b, '{')
		for i := range v.KVList.Values {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, quote(v.KVList.Values[i].Key)...), ':')
			if b, err = v.KVList.Values[i].Value.appendTo(b, depth+1); err != nil {
				return nil, err
			}
		}
		b = append(b, '}')
	default:
		b = append(b, "null"...)
	}
	return b, nil
}

// jsonNumber is a number, which protobuf's JSON may write as a text.
func jsonNumber(v []byte) []byte {
	text, ok := unquote(v)
	if !ok {
		return v
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return strconv.AppendInt(nil, n, 10)
	}
	if f, err := strconv.ParseFloat(string(text), 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
		return strconv.AppendFloat(nil, f, 'g', -1, 64)
	}
	return v
}
