package audit

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// status is a responseStatus in the forms that are asked for.
type status struct {
	written   jsontext.Value // without white space, and valid
	canonical string         // the same whatever the order of its members
	code      int            // 0 when it is none
}

// readStatus returns the forms of a status. It fails where it is not JSON.
func readStatus(v jsontext.Value) (status, error) {
	if len(v) == 0 {
		return status{}, nil
	}
	written, err := jsontext.AppendFormat(nil, v, laxOptions)
	if err != nil {
		return status{}, err
	}
	s := status{written: written, canonical: canonical(written)}
	var fields struct {
		Code float64 `json:"code"`
	}
	if json.Unmarshal(written, &fields, laxOptions) == nil && fields.Code >= 100 && fields.Code <= 599 {
		s.code = int(fields.Code)
	}
	return s, nil
}

// canonical writes a value in one way, whatever the order of its members.
func canonical[T ~[]byte](v T) string {
	if len(v) == 0 {
		return ""
	}
	c := jsontext.Value(v).Clone()
	if err := c.Canonicalize(laxOptions); err != nil {
		return string(v)
	}
	return string(c)
}

// statuses remembers the forms of short statuses: most are
// {"metadata":{},"code":200}.
type statuses map[string]status

const (
	maxStatuses    = 256
	maxStatusBytes = 128
)

func (known statuses) read(v jsontext.Value) (status, error) {
	if s, ok := known[string(v)]; ok {
		return s, nil
	}
	s, err := readStatus(v)
	if err == nil && len(v) <= maxStatusBytes {
		if len(known) >= maxStatuses {
			clear(known)
		}
		known[string(v)] = s
	}
	return s, err
}
