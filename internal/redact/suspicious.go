package redact

import "bytes"

// Classes of bytes, as suspicious looks at them.
const (
	isWord     = 1 << iota // belongs to a word: a letter, a digit, _
	isEncoded              // may stand within Base64
	isSetter               // follows a name: = and :
	isQuote                // opens a text within a text
	isSpace                // between words
	isName                 // belongs to a name
	isEnd                  // ends a line
	isSeparate             // ends a command
	isTelltale             // may tell that a secret stands beside it
)

var class = func() (c [256]uint16) {
	for i := range 256 {
		b := byte(i)
		switch {
		case 'a' <= b|0x20 && b|0x20 <= 'z' || '0' <= b && b <= '9':
			c[i] = isWord | isEncoded | isName
		case b >= 0x80:
			c[i] = isName
		}
	}
	c['_'] |= isWord | isEncoded | isName
	for _, b := range "-/" {
		c[b] |= isEncoded | isName
	}
	c['.'] |= isName
	c['+'] |= isEncoded
	c['='] |= isSetter
	c[':'] |= isSetter
	for _, b := range "\"'`" {
		c[b] |= isQuote
	}
	for _, b := range " \t\r\n" {
		c[b] |= isSpace
	}
	c['\n'] |= isEnd | isSeparate
	c['\r'] |= isEnd
	for _, b := range ";|&" {
		c[b] |= isSeparate
	}
	for _, b := range "=:@-><{%\\($" {
		c[b] |= isTelltale
	}
	return c
}()

// minEncoded is how long a run of Base64 is that is looked into: no credential
// in it is shorter.
const minEncoded = 24

// suspicious reports whether a text may hold a secret. It looks at each byte
// once, at names before = and :, and at how words begin; most texts of most
// events pass. It may be wrong to say yes, never to say no.
func suspicious(text []byte) bool {
	if len(text) < minSecretText {
		return false
	}
	if text[0] == '{' || text[0] == '[' || text[0] == ' ' || text[0] == '\n' {
		if isStructured(text) {
			return true
		}
	}
	sawColon, run, looked := false, 0, -1
	for i := 0; i < len(text); {
		c := text[i]
		k := class[c]
		switch {
		case k&isWord != 0:
			begin := i
			for i++; i < len(text) && class[text[i]]&isWord != 0; i++ {
			}
			if telling.mayBegin(text[begin:i]) && begins(text[begin:]) {
				return true
			}
		case k&isTelltale != 0:
			sawColon = sawColon || c == ':'
			if c == '@' && sawColon { // user:password@host
				return true
			}
			if tells(text, i) {
				return true
			}
			i++
		default:
			i++
		}
		switch {
		case k&isEncoded == 0:
			run = i
		case i-run >= minEncoded && run != looked:
			if looked = run; mayBeEncoded(text[run:]) {
				return true
			}
		}
	}
	return false
}

// tells reports whether the byte at i, which is no letter, tells that a secret
// stands beside it.
func tells(text []byte, i int) bool {
	switch c := text[i]; c {
	case '=', ':':
		if c == ':' && i+2 < len(text) && text[i+1] == '/' && text[i+2] == '/' {
			return false // an @ tells more
		}
		return maySet(text, i)
	case '-':
		// A flag whose value is the next word, or PEM.
		if i == 0 || class[text[i-1]]&(isSpace|isQuote) != 0 || text[i-1] == '[' || text[i-1] == ',' {
			return flagAt(text, i)
		}
		return hasPrefixAt(text, i, "-----")
	case '>':
		return i > 0 && text[i-1] == '/' || opensElement(text, i)
	case '<':
		return i+1 < len(text) && text[i+1] == '/'
	case '{':
		return opensObject(text, i)
	case '%', '\\':
		return isEscape(text, i)
	case '(':
		return callsSecret(text, i)
	case '$':
		return i+2 < len(text) && class[text[i+1]]&isWord != 0 && begins(text[i:])
	}
	return false
}

// minSecretText is the length of the shortest text that can hold a secret and
// what tells that it is one: p=x.
const minSecretText = 3

// opensElement reports whether an element of XML begins before i whose name is a
// secret's.
func opensElement(text []byte, i int) bool {
	_, from, to := nameBounds(text, i)
	if from == to || from == 0 || text[from-1] != '<' && text[from-1] != ':' {
		return false
	}
	return isSecret(text[from:to])
}

// isStructured reports whether a text begins as JSON does.
func isStructured(text []byte) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case class[c]&isSpace != 0:
		case c == '{':
			for i++; i < len(text); i++ {
				if class[text[i]]&isSpace == 0 {
					return text[i] == '"'
				}
			}
			return false
		case c == '[':
			for i++; i < len(text); i++ {
				if class[text[i]]&isSpace == 0 {
					return text[i] == '{' || text[i] == '[' || text[i] == '"'
				}
			}
			return false
		default:
			return false
		}
	}
	return false
}

// nameBefore returns the name that what stands at i sets: before it, without
// quotes and spaces between.
func nameBefore(text []byte, i int) []byte {
	_, from, to := nameBounds(text, i)
	return text[from:to]
}

func nameBounds(text []byte, i int) (quoted bool, from, to int) {
	to = i
	if to > 0 && text[i] == '=' && (text[to-1] == ':' || text[to-1] == '+') {
		to--
	}
	for n := 0; to > 0 && n < maxSpaces && (text[to-1] == ' ' || text[to-1] == '\t'); n++ {
		to--
	}
	if to > 0 && class[text[to-1]]&isQuote != 0 {
		quoted = true
		for to--; to > 0 && text[to-1] == '\\'; to-- {
			if i-to > maxSpaces {
				break
			}
		}
	}
	if to > 0 && text[to-1] == ']' { // a field of a list: env["PASSWORD"]
		for to--; to > 0 && i-to < maxSpaces && class[text[to-1]]&isQuote != 0; to-- {
			quoted = true
		}
	}
	for from = to; from > 0 && to-from < maxName && class[text[from-1]]&isName != 0; from-- {
	}
	return quoted, from, to
}

// maySet reports whether the = or : at i sets a name whose value is secret.
func maySet(text []byte, i int) bool {
	_, from, to := nameBounds(text, i)
	if from == to {
		return false
	}
	name := text[from:to]
	if isSecret(name) || isPairName(name) || setsBot(text, name, i) {
		return true
	}
	if _, ok := wordBefore(text, from, to); ok {
		return true
	}
	return from > 0 && isQuery(text[from-1]) && names.isSecretParameter(name)
}

func isQuery(c byte) bool { return c == '?' || c == '&' || c == '#' || c == ';' }

// isPairName reports whether a name says that what follows is a pair's value:
// name: PASSWORD, value: x; or a list of variables.
func isPairName(name []byte) bool {
	switch string(name) {
	case "value", "Value", "default", "env", "from-literal", "--from-literal", "data", "stringData", "binaryData":
		return true
	}
	return false
}

// mayBeEncoded reports whether a run may be Base64 of a text, whose first byte
// is ASCII, or begins a byte-order mark.
func mayBeEncoded(run []byte) bool {
	switch c := run[0]; {
	case 'I' <= c && c <= 'Z', 'a' <= c && c <= 'f', c == 'C', c == '7':
	default:
		return false
	}
	return isEncodedText(run)
}

// flagAt reports whether a flag stands at i whose next word is secret, or PEM.
func flagAt(text []byte, i int) bool {
	end := i
	for end < len(text) && (class[text[end]]&isName != 0) && end-i < maxName {
		end++
	}
	if end-i >= 5 && string(text[i:i+5]) == "-----" {
		return true
	}
	name := text[i:end]
	if end == len(text) && i == 0 {
		return false // a flag alone
	}
	if isSecretFlag(name) || string(name) == "--from-literal" {
		return true
	}
	if end == len(text) || class[text[end]]&isSpace != 0 {
		return false
	}
	// Something odd stands in the word, which the finder reads as a whole.
	for end < len(text) && class[text[end]]&(isSpace|isQuote) == 0 && end-i < maxName {
		end++
	}
	return isSecretFlag(text[i:end])
}

func isSecretFlag(word []byte) bool { return isSecret(bytes.TrimLeft(word, "-")) }
