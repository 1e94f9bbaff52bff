package redact

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// lastApplied is where kubectl keeps the whole object as a text.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// object copies an object.
func (w *walker) object(p place) bool {
	if w.next == len(w.objects) {
		return false
	}
	o := &w.objects[w.next]
	w.next++
	if o.kind != Other {
		p.kind = o.kind
	}
	w.at++
	for n := 0; ; n++ {
		if another, ok := w.more(n, '}'); !another || !ok {
			return ok
		}
		if w.peek() != '"' {
			return false
		}
		name, ok := w.name()
		if !ok || w.peek() != ':' {
			return false
		}
		w.at++
		w.space()
		if !w.memberValue(p, o, name) {
			return false
		}
	}
}

// name copies the name of a member.
func (w *walker) name() (name []byte, ok bool) {
	end, isPlain := stringEnd(w.in, w.at)
	if end < 0 {
		return nil, false
	}
	token := w.in[w.at:end]
	name = token[1 : len(token)-1]
	if !isPlain {
		name, _ = jsontext.AppendUnquote(nil, token)
		w.writeText(token, name)
	}
	w.at = end
	return name, true
}

// memberValue copies the value of a member.
func (w *walker) memberValue(p place, o *facts, name []byte) bool {
	if string(name) == "value" && o.isPatch(w.in) {
		return w.value(w.patched(o))
	}
	m := w.member(p, o, name)
	if m.mode == arguments && o.flags&hasCommand != 0 && w.peek() == '[' {
		return w.commandLine(m, o)
	}
	return w.value(m)
}

// commandLine copies the arguments of a command that stands beside them.
func (w *walker) commandLine(m place, o *facts) bool {
	line := command{}
	if int(o.command) != w.at { // it is not the command itself
		line = w.programOf(o)
	}
	w.at++
	return w.arrayOf(m, true, &line)
}

// maxCommand is how many bytes of a command are read to know its program.
const maxCommand = 256

// programOf returns what the command says that stands beside arguments. Of a
// long one the beginning is enough.
func (w *walker) programOf(o *facts) command {
	in := w.in[o.command+1 : min(int(o.command)+maxCommand, len(w.in))]
	o.flags &^= hasCommand // arguments that are given twice have it once
	f := finder{redactor: w.redactor}
	for i := 0; i < len(in) && in[i] != ']'; i++ {
		if in[i] != '"' {
			continue
		}
		end, _ := stringEnd(in, i)
		if end < 0 {
			break
		}
		f.text, f.cuts = in[i+1:end-1], f.cuts[:0]
		f.words()
		i = end - 1
	}
	return f.command
}

// member is where the value of a member stands.
func (w *walker) member(p place, o *facts, name []byte) place {
	in := func(m mode) place { return place{mode: m, kind: p.kind} }
	n := w.nameOf(name)
	switch p.mode {
	case goes, values:
		return p
	case secrets, secretsIn:
		return in(w.inSecrets(o, name, n.verdict))
	case variables:
		// A map of them: its names are theirs.
		return in(w.inVariables())
	case variable:
		if isValue(name) {
			return in(goes)
		}
		if o.flags&hasName == 0 && n.verdict != aboutSecret && string(name) != "valueFrom" {
			return in(w.inVariables()) // a map within a map
		}
	case header:
		if isValue(name) && o.flags&hasPlainName == 0 {
			return in(goes)
		}
	}
	if m, ok := w.byName(p, name); ok {
		return in(m)
	}
	if isValue(name) && o.flags&hasSecretName != 0 || o.flags&hasSecretField != 0 && string(name) == "message" && !hasPrefixAt(w.in, w.at, `"Required`) {
		return in(goes)
	}
	switch n.verdict {
	case secretName:
		return in(secrets)
	case secretText:
		if c := w.peek(); c != '{' && c != '[' {
			return in(secrets)
		}
	case secretMap:
		return in(secretsIn)
	case plainName, aboutSecret:
		switch {
		case n.arguments:
			return in(arguments)
		case n.variables:
			return in(w.inPlainVariables())
		}
	}
	return in(plain)
}

// inPlainVariables is variables for a list, a map, or a text that may be one.
func (w *walker) inPlainVariables() mode {
	switch w.peek() {
	case '{', '[', '"', 0:
		return variables
	}
	return plain
}

func (w *walker) inVariables() mode {
	switch w.peek() {
	case '{', '[':
		return variable
	}
	return goes
}

// inSecrets is how a member is read of an object that stands under the name of
// a secret.
func (w *walker) inSecrets(o *facts, name []byte, v verdict) mode {
	switch {
	case v == aboutSecret:
		return plain
	case string(name) == "key" && o.flags&(hasName|hasPath) != 0:
		return plain
	case string(name) == "items" && w.peek() == '[':
		return secretsIn
	}
	return secrets
}

// byName says how members are read that are known by their name.
func (w *walker) byName(p place, name []byte) (mode, bool) {
	switch string(name) {
	case "data", "stringData", "binaryData":
		return w.data(p.kind, name), true
	case "encryptedData", "secretData", "content", "contents", "payload":
		return goes, p.kind == SecretLike
	case lastApplied:
		return document, true
	case "requestObject", "responseObject":
		return goes, true
	case "requestURI":
		return address, true
	case "httpHeaders", "http_headers":
		return headers, true
	}
	return goes, p.kind == SecretLike && isValue(name)
}

// data is how the data of an object is read.
func (w *walker) data(k Kind, name []byte) mode {
	c := w.peek()
	switch {
	case k == ConfigMap && w.KeepConfigMapValues:
		return plain
	case k == ConfigMap && c == '{':
		return values
	case k == Secret, k == SecretLike, c == '"':
		return goes
	case c == '{' && (len(name) > len("data") || w.holdsTexts()):
		return goes
	case c == 0: // the path of a patch goes on
		return values
	}
	return plain
}

// holdsTexts reports whether an object begins with a text, as a map of them
// does. It is only as good as that: objects of other kinds have others.
func (w *walker) holdsTexts() bool {
	i := skipSpace(w.in, w.at+1)
	if i == len(w.in) || w.in[i] != '"' {
		return false
	}
	end, _ := stringEnd(w.in, i)
	if end < 0 {
		return false
	}
	i = skipSpace(w.in, end)
	if i == len(w.in) || w.in[i] != ':' {
		return false
	}
	i = skipSpace(w.in, i+1)
	return i < len(w.in) && w.in[i] != '{' && w.in[i] != '['
}

// maxSegments is how many parts of a patch's path are read.
const maxSegments = 64

// patched is where the value of a JSON patch's operation goes: its path is read
// as if it were there.
func (w *walker) patched(o *facts) place {
	token := w.in[o.path[0]:o.path[1]]
	path := string(token[1 : len(token)-1])
	if strings.IndexByte(path, '\\') >= 0 {
		unquoted, _ := jsontext.AppendUnquote(nil, token)
		path = string(unquoted)
	}
	at := walker{redactor: w.redactor} // it has no bytes: what comes is not known
	p, inList := w.root, false
	segments := strings.Split(path, "/")
	if len(segments) > maxSegments {
		return place{mode: goes}
	}
	for i, segment := range segments[1:] {
		segment = strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
		final := i == len(segments)-2
		if isIndex(segment) && p.mode != values {
			p, inList = elementOf(p), true
			if final && p.mode == arguments {
				p.mode = argument
			}
			continue
		}
		if final {
			// What the value is says more than the name alone.
			at.in, at.at = w.in, w.at
		}
		if inList && final && isValue([]byte(segment)) {
			return place{mode: goes, kind: p.kind}
		}
		p, inList = at.member(p, &facts{}, []byte(segment)), false
	}
	return p
}

func isIndex(segment string) bool {
	return segment == "-" || segment != "" && isDigits([]byte(segment))
}

// elementOf is where the elements of an array stand.
func elementOf(p place) place {
	switch p.mode {
	case variables:
		p.mode = variable
	case headers:
		p.mode = header
	}
	return p
}
