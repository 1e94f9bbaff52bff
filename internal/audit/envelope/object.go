package envelope

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object, as its members in the order in which they stand.
type object []member

type member struct {
	name  string
	value []byte // as it stands there
}

// parseObject reads the members of an object. It looks at brackets and strings
// alone: whether the values are valid is for who reads them, since a value may
// be a body of a client's making, and that must not cost the others. It does not
// recurse.
func parseObject(in []byte) (object, bool) {
	in = skipSpace(in)
	if len(in) == 0 || in[0] != '{' {
		return nil, false
	}
	var o object
	for in = skipSpace(in[1:]); ; in = skipSpace(in) {
		if len(in) > 0 && in[0] == '}' {
			return o, true
		}
		if len(o) > 0 {
			if len(in) == 0 || in[0] != ',' {
				return nil, false
			}
			in = skipSpace(in[1:])
		}
		n := valueLength(in)
		if n < 2 || in[0] != '"' {
			return nil, false
		}
		name, ok := unquote(in[:n])
		in = skipSpace(in[n:])
		if !ok || len(in) == 0 || in[0] != ':' {
			return nil, false
		}
		in = skipSpace(in[1:])
		if n = valueLength(in); n == 0 {
			return nil, false
		}
		o = append(o, member{string(name), in[:n]})
		in = in[n:]
	}
}

// value returns what stands under a name; nil where nothing or null does. Of two
// members of one name it is the last one's, as most readers have it.
func (o object) value(name string) []byte {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].name == name {
			if string(o[i].value) == "null" {
				return nil
			}
			return o[i].value
		}
	}
	return nil
}

func (o object) has(name string) bool { return o.value(name) != nil }

// text returns the text under a name; empty where there is none.
func (o object) text(name string) string {
	text, _ := unquote(o.value(name))
	return string(text)
}

// object returns the object under a name; nil where there is none.
func (o object) object(name string) object {
	inner, _ := parseObject(o.value(name))
	return inner
}

// valueLength is the length of the value that begins the input; 0 where it does
// not end there.
func valueLength(in []byte) int {
	depth := 0
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '"':
			for i++; i < len(in) && in[i] != '"'; i++ {
				if in[i] == '\\' {
					i++
				}
			}
			if i >= len(in) {
				return 0
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	if depth == 0 {
		return len(in)
	}
	return 0
}

func skipSpace(in []byte) []byte { return bytes.TrimLeft(in, " \t\r\n") }

// unquote returns what a JSON string says.
func unquote(token []byte) ([]byte, bool) {
	if len(token) < 2 || token[0] != '"' {
		return nil, false
	}
	if inner := token[1 : len(token)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner, true
	}
	// What is no UTF-8 is replaced, which is an error that says so.
	text, err := jsontext.AppendUnquote(nil, token)
	return text, err == nil || len(text) > 0
}

func quote(text string) []byte {
	b, _ := jsontext.AppendQuote(nil, text) // which replaces what is no UTF-8
	return b
}
