package redact

import "github.com/go-json-experiment/json/jsontext"

// facts is what is to be known of an object before its members are read, in
// whatever order they come.
type facts struct {
	flags uint8
	kind  Kind
	// path is the text of a JSON patch's path, and command where the array of
	// the command begins to which args belong; in bytes of the value.
	path    [2]uint32
	command uint32
}

const (
	hasSecretName = 1 << iota // a pair whose name is a secret's
	hasPlainName              // a pair whose name is a header's that is no secret
	hasName
	hasPath
	hasOp
	hasCommand
	hasSecretField // a cause of a refusal whose field holds a secret
)

// Kind is what an object is, as far as that says what is secret in it.
type Kind uint8

// Kinds of objects.
const (
	Other Kind = iota
	Secret
	ConfigMap
	// SecretLike is a custom resource that holds a Secret's data.
	SecretLike
)

// stringEnd returns where the string ends that begins at i, behind its closing
// quote, and whether it is what stands between the quotes, in printable ASCII;
// -1 where it has no end.
func stringEnd(in []byte, i int) (end int, plain bool) {
	plain = true
	for i++; i < len(in); i++ {
		switch c := in[i]; {
		case c == '"':
			return i + 1, plain
		case c == '\\':
			plain = false
			i++
		case c < ' ' || c >= 0x7f:
			plain = false
		}
	}
	return -1, false
}

func skipSpace(in []byte, i int) int {
	for i < len(in) && (in[i] == ' ' || in[i] == '\t' || in[i] == '\r' || in[i] == '\n') {
		i++
	}
	return i
}

// survey returns what is to be known of each object of a value, in the order in
// which they begin; not ok where the value is none, or nests too deep.
func survey(in []byte, all []facts) (_ []facts, ok bool) {
	const anArray = -1
	var space [64]int32
	open := space[:0] // objects by their place in all
	for i := 0; i < len(in); {
		switch c := in[i]; c {
		case '{', '[':
			if len(open) == maxDepth {
				return all, false
			}
			if c == '[' {
				open = append(open, anArray)
			} else {
				open = append(open, int32(len(all)))
				all = append(all, facts{})
			}
			i++
		case '}', ']':
			if len(open) == 0 {
				return all, false
			}
			open = open[:len(open)-1]
			i++
		case '"':
			end, plain := stringEnd(in, i)
			if end < 0 {
				return all, false
			}
			name := in[i+1 : end-1]
			i = skipSpace(in, end)
			if i == len(in) || in[i] != ':' || len(open) == 0 || open[len(open)-1] == anArray {
				continue
			}
			i = skipSpace(in, i+1)
			if len(name) > 24 {
				continue
			}
			if !plain {
				name, _ = jsontext.AppendUnquote(nil, in[end-len(name)-2:end])
			}
			all[open[len(open)-1]].note(in, name, i)
		default:
			i++
		}
	}
	return all, len(open) == 0
}

// note notes a member whose value begins at i.
func (o *facts) note(in, name []byte, i int) {
	if i == len(in) {
		return
	}
	switch string(name) {
	case "command", "Command":
		if in[i] == '[' {
			o.flags |= hasCommand
			o.command = uint32(i)
		}
		return
	case "sensitive", "secure", "secret", "isSecret", "encrypted":
		if hasPrefixAt(in, i, "true") {
			o.flags |= hasSecretName
		}
		return
	case "name", "Name", "key", "Key", "kind", "op", "path", "field", "parameter", "ParameterKey", "parameterName", "headerName", "variable", "varName", "header", "envName":
	default:
		return
	}
	if in[i] != '"' {
		return
	}
	end, plain := stringEnd(in, i)
	if end < 0 {
		return
	}
	text := in[i+1 : end-1]
	if !plain {
		text, _ = jsontext.AppendUnquote(nil, in[i:end])
	}
	switch string(name) {
	case "kind":
		o.kind = KindOf(text)
	case "op":
		switch string(text) {
		case "add", "replace", "test", "remove", "copy", "move":
			o.flags |= hasOp
		}
	case "field":
		if isSecretField(text) {
			o.flags |= hasSecretField
		}
	case "path":
		o.flags |= hasPath
		o.path = [2]uint32{uint32(i), uint32(end)}
	default:
		if string(name) == "name" || string(name) == "Name" {
			o.flags |= hasName
		}
		o.pair(text)
	}
}

// pair notes the name of a pair.
func (o *facts) pair(name []byte) {
	switch names.judge(name) {
	case secretName, secretText:
		o.flags |= hasSecretName
	default:
		if isPlainHeader(name) {
			o.flags |= hasPlainName
		}
	}
}

// isPatch reports whether an object is an operation of a JSON patch.
func (o *facts) isPatch(in []byte) bool {
	if o.flags&(hasOp|hasPath) != hasOp|hasPath {
		return false
	}
	path := in[o.path[0]+1 : o.path[1]-1]
	return len(path) == 0 || path[0] == '/' || path[0] == '\\'
}
