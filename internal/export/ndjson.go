package export

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
)

// ndjsonEncoder writes a line for each event.
type ndjsonEncoder struct {
	out    *bufio.Writer
	append func(line []byte, e *audit.Event) ([]byte, error)
	line   []byte
}

func newNDJSON(w *bufio.Writer, appendLine func([]byte, *audit.Event) ([]byte, error)) *ndjsonEncoder {
	return &ndjsonEncoder{out: w, append: appendLine}
}

func (n *ndjsonEncoder) encode(e *audit.Event) (err error) {
	if n.line, err = n.append(n.line[:0], e); err != nil {
		return fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	_, err = n.out.Write(n.line)
	return err
}

// appendLine appends a line as snapshots have it.
func appendLine(line []byte, e *audit.Event) ([]byte, error) {
	record := snapshot.NewRecord(e)
	return record.AppendLine(line)
}

// appendRawLine appends such a line with the raw event as its last member.
func appendRawLine(line []byte, e *audit.Event) ([]byte, error) {
	line, err := appendLine(line, e)
	if err != nil {
		return line, err
	}
	return appendRaw(line, e.Raw)
}

// appendPorterLine appends the PorterColumns as one object of texts.
func appendPorterLine(line []byte, e *audit.Event) ([]byte, error) {
	line = append(line, '{')
	for i, value := range appendPorterRow(nil, e) {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(line, `"`+PorterColumns[i]+`":`...)
		if PorterColumns[i] == "status_code" {
			line = append(line, cmp.Or(value, "null")...)
			continue
		}
		var err error
		if line, err = jsontext.AppendQuote(line, value); err != nil {
			return line, err
		}
	}
	return append(line, "}\n"...), nil
}

// appendRaw adds a raw event to a line, byte for byte, so that rawSHA256 proves
// it. It must not end the line.
func appendRaw(line, raw []byte) ([]byte, error) {
	if !jsontext.Value(raw).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
		return line, errors.New("is no JSON")
	}
	if bytes.ContainsAny(raw, "\r\n") {
		compact := jsontext.Value(bytes.Clone(raw))
		if err := compact.Compact(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
			return line, err
		}
		raw = compact
	}
	line = append(bytes.TrimSuffix(line, []byte("}\n")), `,"raw":`...)
	return append(append(line, raw...), "}\n"...), nil
}

// failed ends the file with an object that has no member of a record.
func (n *ndjsonEncoder) failed(rows int64) error {
	_, err := fmt.Fprintf(n.out, `{"%s":true,"rows":%d}`+"\n", Failed, rows)
	return err
}

func (n *ndjsonEncoder) flush() error { return n.out.Flush() }
