package redact

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// mode is how a value is read.
type mode uint8

const (
	plain     mode = iota
	goes           // it is taken out whole
	secrets        // texts and numbers go, but those that say where a secret is
	secretsIn      // texts stay; what stands in objects is as in secrets
	values         // texts and numbers go, names stay
	variables      // environment variables: a list or a map of them
	variable       // one of them
	headers        // a list of headers
	header         // one of them
	arguments      // a command line
	argument       // one of it, alone
	address        // a request's URI
	document       // a text that must be read, or goes
)

// Body returns a value of JSON without white space and without what is secret
// in it. The value is returned as it is where nothing changes. What is no JSON,
// or nests too deep, is taken out whole. Kind is what the request says the
// value is.
func (p Policy) Body(v jsontext.Value, kind Kind) (redacted jsontext.Value) {
	defer takeOut(&redacted, markValue)
	if len(v) == 0 {
		return v
	}
	r := redactor{Policy: p}
	out, _ := r.json(v, place{kind: kind})
	return out
}

// Names returns a value of JSON with its names, and without its texts and
// numbers: for what is not known to be anything.
func (p Policy) Names(v jsontext.Value) (names jsontext.Value) {
	defer takeOut(&names, markValue)
	r := redactor{Policy: p}
	out, _ := r.json(v, place{mode: values})
	return out
}

// walker copies one value. What is not replaced is copied in long runs.
type walker struct {
	*redactor
	in      []byte
	at      int
	flushed int // what is before was written
	out     []byte
	objects []facts
	next    int // of objects
	scratch []byte
	// redacted says that something was taken out; white space and escapes may
	// change without.
	redacted bool
	root     place
	// known has what the list says of names that came before: objects of one
	// cluster have the same few hundred.
	known map[string]nameOf
}

// place is where a value stands.
type place struct {
	mode mode
	kind Kind
}

var walkers = sync.Pool{New: func() any { return &walker{known: map[string]nameOf{}} }}

const (
	// maxKept is how many facts a walker keeps the memory of.
	maxKept = 4096
	// maxKnown is how many names a walker remembers, and maxKnownName how long
	// one is at most.
	maxKnown     = 1024
	maxKnownName = 48
)

// nameOf is what a name says.
type nameOf struct {
	verdict
	variables, arguments bool
}

// nameOf returns what a name says.
func (w *walker) nameOf(name []byte) nameOf {
	if n, ok := w.known[string(name)]; ok {
		return n
	}
	n := nameOf{verdict: names.judge(name), variables: isVariables(name), arguments: isArguments(name)}
	if w.known != nil && len(name) <= maxKnownName {
		if len(w.known) >= maxKnown {
			clear(w.known)
		}
		w.known[string(name)] = n
	}
	return n
}

// json reads a value.
func (r *redactor) json(in []byte, root place) (out []byte, redacted bool) {
	w := walkers.Get().(*walker)
	defer func() {
		if cap(w.objects) > maxKept || cap(w.scratch) > 16*maxKept {
			return
		}
		*w = walker{objects: w.objects[:0], scratch: w.scratch[:0], known: w.known}
		walkers.Put(w)
	}()
	w.redactor, w.in, w.root = r, in, root
	var ok bool
	if w.objects, ok = survey(in, w.objects[:0]); !ok || !w.value(root) || skipSpace(in, w.at) != len(in) {
		return markValue, true
	}
	if w.at < len(in) {
		w.replace(w.at, len(in), nil)
	}
	if w.flushed == 0 {
		return in, w.redacted
	}
	return append(w.out, in[w.flushed:]...), w.redacted
}

// replace writes other bytes for those from one place to another.
func (w *walker) replace(from, to int, by []byte) {
	if w.out == nil {
		w.out = make([]byte, 0, len(w.in)+len(Mark))
	}
	w.out = append(append(w.out, w.in[w.flushed:from]...), by...)
	w.flushed = to
}

// space leaves white space out.
func (w *walker) space() {
	if w.at == len(w.in) || w.in[w.at] > ' ' {
		return
	}
	from := w.at
	w.at = skipSpace(w.in, w.at)
	w.replace(from, w.at, nil)
}

// peek returns the next byte; 0 at the end.
func (w *walker) peek() byte {
	w.space()
	if w.at == len(w.in) {
		return 0
	}
	return w.in[w.at]
}

// more goes on to the next of an object's or an array's parts, of which n were
// read: another is false at the end.
func (w *walker) more(n int, end byte) (another, ok bool) {
	switch c := w.peek(); {
	case c == end:
		w.at++
		return false, true
	case n > 0 && c != ',':
		return false, false
	case n > 0:
		w.at++
		w.space()
	}
	return true, true
}

// value copies the next value.
func (w *walker) value(p place) bool {
	switch c := w.peek(); {
	case c == 0:
		return false
	case p.mode == goes:
		return w.leaveOut()
	case c == '{':
		return w.object(p)
	case c == '[':
		return w.array(p)
	case c == '"':
		return w.string(p)
	}
	return w.literal(p)
}

// end returns where the value that begins here ends, and counts its objects.
func (w *walker) end() (end int, ok bool) {
	depth := 0
	for i := w.at; i < len(w.in); {
		switch w.in[i] {
		case '"':
			if i, _ = stringEnd(w.in, i); i < 0 {
				return 0, false
			}
			if depth == 0 {
				return i, true
			}
			continue
		case '{':
			w.next++
			depth++
		case '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i, i > w.at
			}
			if depth--; depth == 0 {
				return i + 1, true
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i, i > w.at
			}
		}
		i++
	}
	return len(w.in), depth == 0
}

// leaveOut writes a mark for the next value. What can be no secret stays.
func (w *walker) leaveOut() bool {
	end, ok := w.end()
	if !ok {
		return false
	}
	switch v := w.in[w.at:end]; string(v) {
	// The mark reads as a list with one word where it stands in YAML.
	case "null", "true", "false", `""`, "{}", "[]", `"` + Mark + `"`, `"redacted"`, `["redacted"]`:
	default:
		w.replace(w.at, end, markValue)
		w.redacted = true
	}
	w.at = end
	return true
}

// literal copies a number, true, false or null.
func (w *walker) literal(p place) bool {
	switch p.mode {
	case secrets, values:
		return w.leaveOut()
	}
	end, ok := w.end()
	w.at = end
	return ok
}

// string copies a text.
func (w *walker) string(p place) bool {
	switch p.mode {
	case secrets, values:
		return w.leaveOut()
	}
	end, isPlain := stringEnd(w.in, w.at)
	if end < 0 {
		return false
	}
	token := w.in[w.at:end]
	text := token[1 : len(token)-1]
	if isPlain && !suspicious(text) && (p.mode == plain || p.mode == secretsIn) {
		w.at = end
		return true
	}
	if !isPlain {
		w.scratch, _ = jsontext.AppendUnquote(w.scratch[:0], token) // what is no UTF-8 is replaced
		text = w.scratch
	}
	out, changed := w.textIn(p.mode, text)
	w.redacted = w.redacted || changed
	if changed || !isPlain {
		w.writeText(token, out)
	}
	w.at = end
	return true
}

// writeText writes a text for the token that stands next, if it is another.
func (w *walker) writeText(token, text []byte) {
	var space [256]byte
	quoted, _ := jsontext.AppendQuote(space[:0], text)
	if !bytes.Equal(quoted, token) {
		w.replace(w.at, w.at+len(token), quoted)
	}
}

// textIn redacts a text as its place says.
func (w *walker) textIn(m mode, text []byte) (out []byte, changed bool) {
	switch m {
	case address:
		out := w.uri(string(text))
		return []byte(out), out != string(text)
	case argument:
		// The flag that it may belong to is not known.
		if len(text) > 0 && (text[0] != '-' || bytes.IndexByte(text, '=') < 0 && len(text) > 2 && text[1] != '-') {
			return markText, !bytes.Equal(text, markText)
		}
	case document:
		if out, ok := w.structured(text); ok {
			return out, !bytes.Equal(out, text)
		}
		return markText, !bytes.Equal(text, markText)
	case variable, variables:
		if m == variables {
			if out, ok := w.structuredAt(text, place{mode: m}); ok {
				return out, !bytes.Equal(out, text)
			}
		}
		// NAME=value, as a list of texts has it.
		if eq := bytes.IndexByte(text, '='); eq > 0 && eq < len(text)-1 && m == variable {
			out := append(append([]byte(nil), text[:eq+1]...), Mark...)
			return out, !bytes.Equal(out, text)
		}
	}
	return w.redactor.text(text)
}

// array copies an array.
func (w *walker) array(p place) bool {
	element, isLine := p, p.mode == arguments || p.mode == plain
	switch p.mode {
	case variables:
		element.mode = variable
	case headers:
		element.mode = header
	}
	w.at++
	line := finder{redactor: w.redactor}
	return w.arrayOf(element, isLine, &line.command)
}

// arrayOf copies the elements of an array up to its end. Those of a command line
// go on with what the words before them said.
func (w *walker) arrayOf(element place, isLine bool, line *command) bool {
	for n := 0; ; n++ {
		if another, ok := w.more(n, ']'); !another || !ok {
			return ok
		}
		if isLine && w.peek() == '"' {
			if !w.lineElement(line) {
				return false
			}
			continue
		}
		if !w.value(element) {
			return false
		}
	}
}

// lineElement copies a word of a command line.
func (w *walker) lineElement(line *command) bool {
	end, isPlain := stringEnd(w.in, w.at)
	if end < 0 {
		return false
	}
	token := w.in[w.at:end]
	text := token[1 : len(token)-1]
	if isPlain && line.isIdle(text) && !suspicious(text) {
		w.at = end
		return true
	}
	if !isPlain {
		w.scratch, _ = jsontext.AppendUnquote(w.scratch[:0], token)
		text = w.scratch
	}
	out, changed := w.element(text, line)
	w.redacted = w.redacted || changed
	if changed || !isPlain {
		w.writeText(token, out)
	}
	w.at = end
	return true
}
