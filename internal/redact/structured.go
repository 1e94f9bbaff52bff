package redact

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
	"sigs.k8s.io/yaml"
)

var lax = []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}

// Document redacts a text that is JSON about an object of a kind, such as the
// patch that a webhook made. What is none is taken out whole.
func (p Policy) Document(text string, kind Kind) (document string) {
	defer takeOut(&document, Mark)
	r := redactor{Policy: p}
	in := bytes.TrimSpace([]byte(text))
	if !isStructured(in) || !jsontext.Value(in).IsValid(lax...) {
		return Mark
	}
	out, redacted := r.json(in, place{kind: kind})
	if !redacted {
		return text
	}
	return string(out)
}

// structured redacts a text that is JSON or YAML itself. What begins as JSON,
// and is none, is taken out whole where it may hold a secret.
func (r *redactor) structured(text []byte) (out []byte, ok bool) {
	return r.structuredAt(text, place{})
}

// structuredAt is structured for a text whose place says how it is read.
func (r *redactor) structuredAt(text []byte, at place) (out []byte, ok bool) {
	if isStructured(text) {
		if out, ok := r.jsonText(text, at); ok {
			return out, true
		}
	}
	if bytes.IndexByte(text, '\n') >= 0 && (at.mode != plain || mayBeYAML(text)) {
		return r.yamlText(text, at)
	}
	return nil, false
}

func (r *redactor) jsonText(text []byte, at place) (out []byte, ok bool) {
	defer r.leave()
	if !r.enter() {
		return markText, true
	}
	trimmed := bytes.TrimSpace(text)
	if !jsontext.Value(trimmed).IsValid(lax...) {
		f := finder{redactor: r, text: text}
		f.find()
		if len(f.cuts) == 0 && !bytes.Contains(text, []byte(`"value`)) {
			return nil, false
		}
		return markText, true
	}
	out, redacted := r.json(trimmed, at)
	if !redacted {
		return text, true
	}
	return out, true
}

// mayBeYAML reports whether a text has lines of names with values, one of which
// may be secret.
func mayBeYAML(text []byte) bool {
	for i := 0; i < len(text); i++ {
		colon := bytes.IndexByte(text[i:], ':')
		if colon < 0 {
			return false
		}
		i += colon
		if i+1 < len(text) && class[text[i+1]]&isSpace == 0 {
			continue
		}
		if name := nameBefore(text, i); len(name) > 0 && (maySet(text, i) || isVariables(name) || isArguments(name)) {
			return true
		}
	}
	return false
}

// yamlText redacts the documents of a text of YAML. Those that have something
// to take out are written anew, without their comments.
func (r *redactor) yamlText(text []byte, at place) (out []byte, ok bool) {
	defer r.leave()
	r.yamls++
	if !r.enter() || len(text) > maxYAMLBytes || r.yamls > maxYAMLTexts {
		return markText, true
	}
	changed := false
	for i, doc := range documents(text) {
		if i > 0 {
			out = append(out, "---\n"...)
		}
		redacted, isYAML := r.yamlDocument(doc, at)
		if !isYAML {
			return r.noYAML(text)
		}
		changed = changed || !bytes.Equal(redacted, doc)
		out = append(out, redacted...)
	}
	if !changed {
		return text, true
	}
	return out, true
}

// noYAML is for what has lines like YAML, and is none: templates, messages. Where
// a secret may go on over several lines, all of it goes.
func (r *redactor) noYAML(text []byte) (out []byte, ok bool) {
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n \t|>+-")
		if !bytes.HasSuffix(line, []byte(":")) {
			continue
		}
		if v := names.judge(nameBefore(line, len(line)-1)); v == secretName || v == secretText {
			return markText, true
		}
	}
	return nil, false
}

// documents splits a stream of YAML.
func documents(text []byte) (docs [][]byte) {
	begin, at := 0, 0
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("---")) && len(bytes.TrimSpace(line)) == 3 {
			docs = append(docs, text[begin:at])
			begin = at + len(line)
		}
		at += len(line)
	}
	return append(docs, text[begin:])
}

// yamlDocument redacts one document; not ok where it is no object and no list.
func (r *redactor) yamlDocument(doc []byte, at place) (out []byte, ok bool) {
	if len(bytes.TrimSpace(doc)) == 0 {
		return doc, true
	}
	asJSON, err := yaml.YAMLToJSONStrict(doc)
	if err != nil || len(asJSON) == 0 || asJSON[0] != '{' && asJSON[0] != '[' {
		return nil, false
	}
	redacted, changed := r.json(asJSON, at)
	if changed {
		out, err := yaml.JSONToYAML(redacted)
		if err != nil {
			return markText, true
		}
		return out, true
	}
	// What YAML does not read as a value may hold one: comments.
	f := finder{redactor: r, text: doc}
	f.find()
	out, _ = f.cut()
	return out, true
}
