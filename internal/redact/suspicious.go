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
)

var class = func() (c [256]uint8) {
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
	c['='] |= isSetter | isEncoded
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
	inWord, sawColon, run := false, false, 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		k := class[c]
		if k&isEncoded != 0 {
			if run++; run == minEncoded && k&isSetter == 0 {
				if mayBeEncoded(text[i+1-minEncoded:]) {
					return true
				}
			}
		} else {
			run = 0
		}
		if k&isWord != 0 {
			if !inWord && starts.has(text[i:]) && begins(text[i:]) {
				return true
			}
			inWord = true
			continue
		}
		inWord = false
		if k == isName || k == isSpace {
			continue
		}
		switch {
		case k&isSetter != 0:
			sawColon = sawColon || c == ':'
			if c == ':' && i+2 < len(text) && text[i+1] == '/' && text[i+2] == '/' {
				continue // an @ tells more
			}
			if name := nameBefore(text, i); len(name) > 0 && maySet(name, text, i) {
				return true
			}
		case c == '@' && sawColon: // user:password@host
			return true
		case c == '-':
			// A flag whose value is the next word, or PEM.
			if hasPrefixAt(text, i, "-----") {
				return true
			}
			if i == 0 || class[text[i-1]]&(isSpace|isQuote) != 0 || text[i-1] == '[' || text[i-1] == ',' {
				if flagAt(text, i) {
					return true
				}
			}
		case c == '>' && (text[max(i-1, 0)] == '/' || opensElement(text, i)):
			return true
		case c == '<' && i+1 < len(text) && text[i+1] == '/', c == '{' && opensObject(text, i), isEscape(text, i), c == '(' && callsSecret(text, i):
			return true
		case c == '$' && i+2 < len(text) && class[text[i+1]]&isWord != 0 && begins(text[i:]):
			return true
		}
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
	v := names.judge(text[from:to])
	return v == secretName || v == secretText
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

// maySet reports whether a name is one whose value is secret where it is set.
func maySet(name, text []byte, at int) bool {
	if isSecret(name) || isPairName(name) || setsBot(text, name, at) {
		return true
	}
	_, from, to := nameBounds(text, at)
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
	var head [16]byte
	if copy(head[:], run) < len(head) {
		return false
	}
	return isEncodedText(head[:])
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

func isSecretFlag(word []byte) bool {
	v := names.judge(bytes.TrimLeft(word, "-"))
	return v == secretName || v == secretText
}
