// Package redact takes credentials out of what an audit event holds: API
// objects, command lines, addresses of requests, and texts of any kind.
// docs/spec/redaction.md says what is taken out, what stays, and what no rule
// can know.
//
// The package does no I/O, and its time is linear in what it is given: a
// hostile client chooses every byte.
package redact

import (
	"bytes"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// Mark stands where a secret was.
const Mark = "[redacted]"

var (
	markText  = []byte(Mark)
	markValue = jsontext.Value(`"` + Mark + `"`)
)

// Bounds of what is read. What is beyond one is taken out whole, if it may hold
// a secret.
const (
	// maxNested is how many texts are read within each other: JSON in Base64 in
	// YAML.
	maxNested = 4
	// maxYAMLBytes and maxYAMLTexts are how much of YAML, and how many texts of
	// it, are parsed for one value.
	maxYAMLBytes = 256 << 10
	maxYAMLTexts = 64
	// maxDepth is how deep values of JSON nest.
	maxDepth = 10_000
	// maxSpaces is how many spaces may stand between a name and what sets it.
	maxSpaces = 16
)

// Policy is what an AuditSource says of redaction.
type Policy struct {
	// KeepConfigMapValues keeps the values of ConfigMaps, as far as no other
	// rule takes them out.
	KeepConfigMapValues bool
	// DropExecArguments takes all arguments of exec and attach out.
	DropExecArguments bool
}

// redactor reads one value, and all that is nested in it.
type redactor struct {
	Policy
	nested int // texts that are being read within each other
	yamls  int // texts of YAML that were parsed
}

// Text takes out of a text what is secret in it: a message, an annotation, a
// user agent. The same text is returned where nothing is.
func (p Policy) Text(text string) (redacted string) {
	defer takeOut(&redacted, Mark)
	if !suspicious(bytesOf(text)) {
		return text
	}
	r := redactor{Policy: p}
	if out, changed := r.text([]byte(text)); changed {
		return string(out)
	}
	return text
}

// Text is Policy.Text, of which the default policy says no more.
func Text(text string) string { return Policy{}.Text(text) }

// text is Text, within another value.
func (r *redactor) text(text []byte) (out []byte, changed bool) {
	if !suspicious(text) {
		return text, false
	}
	if out, ok := r.structured(text); ok {
		return out, !bytes.Equal(out, text)
	}
	f := finder{redactor: r, text: text}
	f.find()
	return f.cut()
}

// enter begins to read a text within another one, if that is not too many; then
// leave ends it.
func (r *redactor) enter() bool {
	r.nested++
	return r.nested <= maxNested
}

func (r *redactor) leave() { r.nested-- }

// bytesOf returns the bytes of a text without a copy: nobody may change them.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }
