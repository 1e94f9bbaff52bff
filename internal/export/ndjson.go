package export

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
)

// ndjsonEncoder writes lines as snapshots have them, with the member raw at the
// end where it is wanted.
type ndjsonEncoder struct {
	out  *bufio.Writer
	raw  bool
	line []byte
}

func newNDJSON(w *bufio.Writer, raw bool) *ndjsonEncoder {
	return &ndjsonEncoder{out: w, raw: raw}
}

func (n *ndjsonEncoder) encode(e *audit.Event) error {
	record := snapshot.NewRecord(e)
	var err error
	if n.line, err = record.AppendLine(n.line[:0]); err != nil {
		return fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	if n.raw {
		if n.line, err = appendRaw(n.line, e.Raw); err != nil {
			return fmt.Errorf("encode the raw event %s: %w", e.ID, err)
		}
	}
	_, err = n.out.Write(n.line)
	return err
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
