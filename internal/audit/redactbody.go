package audit

import (
	"bytes"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// redactByKey copies a valid value without white space, and replaces what
// stands under the name of a secret. It knows API objects: data, environment
// variables, and JSON patches.
func redactByKey(v jsontext.Value) jsontext.Value {
	if len(v) == 0 {
		return v
	}
	r := redactor{lexer: lexer{in: v}, out: make([]byte, 0, len(v)), isPatch: v.Kind() == '['}
	for r.peek() != 0 {
		if !r.step() {
			return redactedValue
		}
	}
	return r.out
}

// redactor copies one value. It does not recurse, so no nesting is too deep.
type redactor struct {
	lexer
	out     []byte
	isPatch bool
	// names are those of the members that it is in; nil for an element.
	names [][]byte
}

// step copies a bracket, a comma, a member's name (and its value, if that is
// replaced), or a value that is no object or array.
func (r *redactor) step() bool {
	c := r.peek()
	switch c {
	case '"':
		return r.text()
	case '{', '[':
		r.names = append(r.names, nil)
	case '}', ']':
		if len(r.names) == 0 {
			return false
		}
		r.names = r.names[:len(r.names)-1]
	case ',':
	default:
		word := r.in[r.at:]
		if end := bytes.IndexAny(word, ",]} \t\r\n"); end >= 0 {
			word = word[:end]
		}
		r.at += len(word)
		r.out = append(r.out, word...)
		return true
	}
	r.at++
	r.out = append(r.out, c)
	return true
}

// text copies a text. One that a colon follows is a name.
func (r *redactor) text() bool {
	token, plain, ok := r.token()
	if !ok {
		return false
	}
	text := unquoted(token)
	if !plain {
		// What is no UTF-8 is replaced.
		text, _ = jsontext.AppendUnquote(nil, token)
	}
	if isName := r.take(':'); !isName || len(r.names) == 0 {
		r.write(r.redactText(text), plain)
		return !isName
	}
	r.write(text, plain)
	r.out = append(r.out, ':')
	r.names[len(r.names)-1] = text
	if !r.replaces() {
		return true
	}
	r.out = append(r.out, redactedValue...)
	_, ok = r.value(math.MaxInt)
	return ok
}

func (r *redactor) write(text []byte, plain bool) {
	if plain {
		r.out = append(append(append(r.out, '"'), text...), '"')
		return
	}
	r.out, _ = jsontext.AppendQuote(r.out, text)
}

// replaces reports whether the value under the last of the names is to go.
func (r *redactor) replaces() bool {
	depth := len(r.names)
	name := string(r.names[depth-1])
	switch name {
	case "data", "stringData", "binaryData", lastApplied, "requestObject", "responseObject":
		return true
	case "value":
		// An environment variable: containers[].env[].value. Or what a JSON
		// patch sets, whose path may come after it.
		return depth >= 3 && string(r.names[depth-3]) == "env" || r.isPatch && depth == 2
	}
	return isSecretKey(name)
}

// redactText looks into a text that has a form of its own.
func (r *redactor) redactText(text []byte) []byte {
	if n := len(r.names); n > 0 && string(r.names[n-1]) == "requestURI" {
		return []byte(redactURI(string(text)))
	}
	if bytes.IndexByte(text, '=') < 0 {
		return text
	}
	return []byte(redactArguments(string(text)))
}
