package redact

import "bytes"

// element redacts an element of a command line that is given as a list, and
// notes what it says of the next one.
func (r *redactor) element(text []byte, line *command) (out []byte, changed bool) {
	next := line.next
	switch {
	case len(text) == 0:
		return text, false
	case next == aSecret && !isFlag(text):
		line.next = nothing
		if line.program != nil && line.isSecretNext() {
			line.next = aSecret
		}
		if bytes.Equal(text, markText) || isReference(text) {
			return text, false
		}
		return markText, true
	case bytes.ContainsAny(text, " \t\r\n'\"`|;&(") && next != aUser && next != aPair || len(text) > maxArgument:
		// A script, or a value: what it says is said within it.
		line.next = nothing
		line.pass()
		if p := attachedSecret(text, line); p > 0 {
			return append(append([]byte(nil), text[:p]...), Mark...), true
		}
		return r.text(text)
	}
	out, structured := r.structuredElement(text)
	if structured {
		line.next = nothing
		return out, !bytes.Equal(out, text)
	}
	f := finder{redactor: r, text: text, command: *line}
	f.find()
	*line = f.command
	return f.cut()
}

// maxArgument is how long an element is at most that may be a flag or a program.
const maxArgument = 4 << 10

// attachedSecret returns where the secret begins in an element such as -px y,
// whose flag is of a known program; 0 where it is none.
func attachedSecret(text []byte, line *command) int {
	p := line.program
	if p == nil || !line.only || len(text) < 3 || text[0] != '-' || text[1] == '-' {
		return 0
	}
	if bytes.IndexByte([]byte(p.secret), text[1]) >= 0 {
		return 2
	}
	return 0
}

// isIdle reports whether a word neither is what the words before it say, nor
// says anything of the next one.
func (c *command) isIdle(word []byte) bool {
	if c.next != nothing || c.program != nil {
		return false
	}
	if len(word) == 0 || word[0] == '-' {
		return len(word) == 0
	}
	return !isTelling(word[bytes.LastIndexByte(word, '/')+1:])
}

func (r *redactor) structuredElement(text []byte) (out []byte, ok bool) {
	if !isStructured(text) {
		return nil, false
	}
	return r.structured(text)
}

// Arguments redacts a command line that is given as a list, in place, and
// reports whether it changed. Under DropExecArguments all but the program go.
func (p Policy) Arguments(words []string) (changed bool) {
	r := redactor{Policy: p}
	var line command
	for i, word := range words {
		var out string
		if p.DropExecArguments {
			out = Mark
			if program, _, more := bytes.Cut([]byte(word), []byte(" ")); i == 0 && !more {
				out = string(program)
			}
		} else {
			out = r.argument(word, &line)
		}
		changed = changed || out != word
		words[i] = out
	}
	return changed
}

func (r *redactor) argument(word string, line *command) (redacted string) {
	defer takeOut(&redacted, Mark)
	if out, ok := r.element([]byte(word), line); ok {
		return string(out)
	}
	return word
}
