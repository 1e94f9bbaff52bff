package redact

import (
	"bytes"
	"cmp"
	"slices"
)

// finder finds what is secret in one text of no structure.
type finder struct {
	*redactor
	text []byte
	cuts []cut
	// command is what the words before say of the next one.
	command command
	// word is the word of the last address that was looked at; see wordAt.
	word word
}

// cut is what is taken out: the bytes from one place to another.
// and what stands there then, if that is not the mark.
type cut struct {
	from, to int
	by       []byte
}

func (f *finder) take(from, to int) {
	if from < to {
		f.cuts = append(f.cuts, cut{from: from, to: to})
	}
}

// find looks for everything.
func (f *finder) find() {
	f.privateKeys()
	f.settings()
	f.tokens()
	f.words()
	f.markup()
	f.embedded()
	f.escapes()
}

// cut returns the text with a mark for each of the cuts.
func (f *finder) cut() (out []byte, changed bool) {
	if len(f.cuts) == 0 {
		return f.text, false
	}
	slices.SortFunc(f.cuts, func(a, b cut) int { return cmp.Or(a.from-b.from, b.to-a.to, len(a.by)-len(b.by)) })
	at := 0
	for i := 0; i < len(f.cuts); {
		c := f.cuts[i]
		for i++; i < len(f.cuts) && f.cuts[i].from <= c.to; i++ {
			// What stands within an object that was read is redacted with it.
			if next := f.cuts[i]; c.by == nil || next.to > c.to {
				c.to, c.by = max(c.to, next.to), nil
			}
		}
		if c.by == nil {
			c.by = markText
		}
		out = append(append(out, f.text[at:c.from]...), c.by...)
		at = c.to
	}
	out = append(out, f.text[at:]...)
	return out, !bytes.Equal(out, f.text)
}

// privateKeys takes out private keys in PEM, to their end or the text's.
func (f *finder) privateKeys() {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	for at := 0; ; {
		i := bytes.Index(f.text[at:], []byte(begin))
		if i < 0 {
			return
		}
		from := at + i
		at = from + len(begin)
		label := f.text[at:min(at+64, len(f.text))]
		if i := bytes.Index(label, []byte(dashes)); i >= 0 {
			label = label[:i]
		}
		if !bytes.Contains(label, []byte("PRIVATE")) {
			continue
		}
		to := len(f.text)
		if i := bytes.Index(f.text[at:], []byte(end)); i >= 0 {
			to = at + i + len(end)
			if i := bytes.Index(f.text[to:], []byte(dashes)); i >= 0 && i < 64 {
				to += i + len(dashes)
			}
		}
		f.take(from, to)
		at = to
	}
}

// settings takes out what is set under the name of a secret, and what stands
// before the host of an address.
func (f *finder) settings() {
	for i := 0; i < len(f.text); i++ {
		switch f.text[i] {
		case '=':
			i = f.setting(i)
		case ':':
			if hasPrefixAt(f.text, i, "://") {
				f.userInfo(i)
				i += 2
				continue
			}
			i = f.setting(i)
		case '@':
			f.dataSource(i)
		case '(':
			i = f.call(i)
		case '>':
			if opensElement(f.text, i) { // <password>x</password>
				end := i + 1
				for end < len(f.text) && f.text[end] != '<' {
					end++
				}
				if value := f.text[i+1 : end]; len(bytes.TrimSpace(value)) > 0 {
					f.take(i+1, end)
				}
				i = end - 1
			}
		}
	}
}

// setting looks at what is set by the = or : at i. It returns the last place
// that need not be looked at again.
func (f *finder) setting(i int) int {
	quoted, from, to := nameBounds(f.text, i)
	if from == to {
		return i
	}
	name := f.text[from:to]
	if isLiteral(name) { // --from-literal=key=value
		if next := bytes.IndexByte(f.text[i+1:], '='); next >= 0 && next < maxName {
			return f.value(i+1+next, from, quoted, true)
		}
		return i
	}
	goes := isSecret(name) || isOneOf(name, "value") && (f.isInvalidSecret(from) || isPairBefore(f.text, from))
	if !goes {
		from, goes = wordBefore(f.text, from, to)
	}
	goes = goes || setsBot(f.text, name, i)
	if !goes && (from == 0 || !isQuery(f.text[from-1]) || !names.isSecretParameter(name)) {
		return i
	}
	return f.value(i, from, quoted, isStrong(name))
}

// isInvalidSecret reports whether the word at a place ends the refusal of a
// secret field: spec.containers[0].env[0].value: Invalid value: "x".
func (f *finder) isInvalidSecret(at int) bool {
	const invalid = ": Invalid "
	if at < len(invalid) || string(f.text[at-len(invalid):at]) != invalid {
		return false
	}
	to := at - len(invalid)
	from := to
	for from > 0 && to-from < maxName && (class[f.text[from-1]]&isName != 0 || f.text[from-1] == '[' || f.text[from-1] == ']') {
		from--
	}
	return isSecretField(f.text[from:to])
}

// isSecretField reports whether a field of an object, as a refusal names it,
// holds what is secret.
func isSecretField(field []byte) bool {
	for _, secret := range []string{"args[", "command[", "data[", "Data["} {
		if bytes.Contains(field, []byte(secret)) {
			return true
		}
	}
	if bytes.HasSuffix(field, []byte("].value")) {
		return true
	}
	return isSecret(bytes.TrimRight(field, "]"))
}

func isLiteral(name []byte) bool {
	return string(name) == "--from-literal" || string(name) == "from-literal"
}

// isStrong reports whether a name is rather a password's than a word of a
// sentence, as in "no token: not found".
func isStrong(name []byte) bool {
	for _, part := range []string{"pass", "Pass", "PASS", "pwd", "PWD"} {
		if bytes.Contains(name, []byte(part)) {
			return true
		}
	}
	return bytes.ContainsAny(name, "-_.") || bytes.ContainsFunc(name[1:], func(r rune) bool { return 'A' <= r && r <= 'Z' })
}

// value takes out the value that the = or : at i sets to a name that begins at
// from. It returns the last place of it.
func (f *finder) value(i, from int, quoted, strong bool) int {
	text, at := f.text, i+1
	if text[i] == '=' && at < len(text) && (text[at] == '>' || text[at] == '=') {
		at++
	}
	if text[i] == ':' && at < len(text) && text[at] == '=' {
		at++
	}
	spaced := text[i] == ':' || i > 0 && class[text[i-1]]&isSpace != 0
	begin := at
	for spaced && at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	if at == len(text) || class[text[at]]&isEnd != 0 {
		return i
	}
	if end, ok := f.quotedEnd(f.stringBegin(at)); ok {
		return end
	}
	if text[i] == ':' && quoted && text[at] != '{' && text[at] != '[' && !hasDigit(text[at:min(at+1, len(text))]) {
		return i // of a sentence: secret "x": not found
	}
	lineStart := f.beginsLine(from)
	end := at
	switch {
	case text[i] == ':' && hasPrefixAt(text, at, "Invalid value: "):
		return i // it is quoted behind
	case text[i] == ':' && lineStart, isHeader(text[from:i]):
		end = f.lineEnd(at, from, lineStart)
	case text[at] == '{' && text[i] == ':':
		for end < len(text) && class[text[end]]&isEnd == 0 {
			end++
		}
	default:
		if end = f.valueEnd(at); end > at && end < len(text) && text[end-1] == '(' && class[text[end]]&isQuote != 0 {
			end = f.callEnd(end)
		}
	}
	value := bytes.TrimRight(text[at:end], " \t")
	switch {
	case len(value) == 0, isMarked(value), isReference(value), isAnswer(value), isFile(value) && namesKubeconfig(bytes.TrimRight(text[from:i], " \t")):
		return end - 1
	case text[i] == ':' && !lineStart && !strong && at > begin && !looksRandom(value) && !isHeader(text[from:i]):
		return i
	case text[i] == ':' && lineStart && isBlock(value):
		return end - 1
	}
	f.take(at, at+len(value))
	return max(end-1, i)
}

// quotedEnd takes out the text in quotes that begins at a place, if one does.
func (f *finder) quotedEnd(at int) (last int, ok bool) {
	open := at
	for open < len(f.text) && f.text[open] == '\\' && open-at < maxSpaces {
		open++
	}
	if open == len(f.text) || class[f.text[open]]&isQuote == 0 {
		return 0, false
	}
	closing := f.text[at : open+1] // with its backslashes
	end := open + 1
	for end < len(f.text) && (f.text[end] != closing[0] || !bytes.HasPrefix(f.text[end:], closing)) {
		if f.text[end] == '\\' && closing[0] != '\\' {
			end++
		}
		end++
	}
	end = min(end, len(f.text))
	if value := f.text[open+1 : end]; !isReference(value) {
		f.take(open+1, end)
	}
	return min(end+len(closing), len(f.text)) - 1, true
}

// lineEnd is where the line of a value ends, or the quotes that its name stands
// in.
func (f *finder) lineEnd(at, from int, lineStart bool) int {
	open := byte(0)
	if from > 0 && class[f.text[from-1]]&isQuote != 0 {
		open = f.text[from-1]
	}
	for at < len(f.text) && class[f.text[at]]&isEnd == 0 {
		if class[f.text[at]]&isQuote != 0 && (f.text[at] == open || open == 0 && !lineStart) {
			break
		}
		at++
	}
	return at
}

// valueEnd is where a value without quotes ends: at a space or a quote, or where
// another name is set.
func (f *finder) valueEnd(at int) int {
	for end := at; ; end++ {
		if end == len(f.text) {
			return end
		}
		c := f.text[end]
		switch {
		case class[c]&(isSpace|isQuote) != 0:
			return end
		case c == '\\' && end+1 < len(f.text) && class[f.text[end+1]]&isQuote != 0:
			return end
		case c == '&' || c == ';' || c == ',':
			if f.setsName(end + 1) {
				return end
			}
		}
	}
}

// setsName reports whether a name and what sets it stand at a place, or the
// end.
func (f *finder) setsName(at int) bool {
	n := at
	for n < len(f.text) && n-at < maxWord && class[f.text[n]]&isName != 0 {
		n++
	}
	return n == at && n == len(f.text) || n < len(f.text) && (n > at && class[f.text[n]]&isSetter != 0 || class[f.text[n]]&isSpace != 0)
}

// beginsLine reports whether a name is the first of its line, as in YAML and in
// headers.
func (f *finder) beginsLine(from int) bool {
	for n := 0; from > 0; n++ {
		switch c := f.text[from-1]; {
		case class[c]&isEnd != 0:
			return true
		case n > maxName || class[c]&(isSpace|isQuote) == 0 && c != '-' && c != '#' && c != '>' && c != '<' && c != '*':
			return false
		}
		from--
	}
	return true
}

// isHeader reports whether a name is of a header whose value has several words.
func isHeader(name []byte) bool {
	name = bytes.TrimRight(name, " \t")
	for _, end := range []string{"authorization", "cookie"} {
		if len(name) >= len(end) && bytes.EqualFold(name[len(name)-len(end):], []byte(end)) {
			return true
		}
	}
	return false
}

// isReference reports whether a value is the name of a variable: $(NAME), ${NAME}.
func isReference(value []byte) bool {
	n := len(value)
	if n < 4 || value[0] != '$' || value[1] != '(' && value[1] != '{' || value[n-1] != ')' && value[n-1] != '}' {
		return false
	}
	for _, c := range value[2 : n-1] {
		if class[c]&isWord == 0 && c != '.' {
			return false
		}
	}
	return true
}

// isMarked reports whether a value was taken out already, in parentheses too.
func isMarked(value []byte) bool {
	return bytes.Equal(bytes.TrimRight(value, ")],;}"), bytes.TrimRight(markText, "]"))
}

// isAnswer reports whether a value is one of a question, as in: using password:
// YES.
func isAnswer(value []byte) bool {
	return isOneOf(bytes.TrimRight(value, ").,;"), "yes", "no", "true", "false", "null", "none")
}

// isFile reports whether a value begins as the path of a file.
func isFile(value []byte) bool { return value[0] == '/' || value[0] == '~' || value[0] == '.' }

// namesKubeconfig reports whether a name is a kubeconfig's, which is a file on
// command lines and in variables.
func namesKubeconfig(name []byte) bool {
	const end = "kubeconfig"
	return len(name) >= len(end) && bytes.EqualFold(name[len(name)-len(end):], []byte(end))
}

// isBlock reports whether a value is only the beginning of one: of YAML's
// blocks, which are for who parses it.
func isBlock(value []byte) bool { return len(value) <= 3 && (value[0] == '|' || value[0] == '>') }

// looksRandom reports whether a value looks like a secret rather than a word.
func looksRandom(value []byte) bool {
	if len(value) < 6 {
		return false
	}
	return hasDigit(value) || len(value) >= 24
}

func hasPrefixAt(text []byte, at int, prefix string) bool {
	return len(text)-at >= len(prefix) && string(text[at:at+len(prefix)]) == prefix
}
