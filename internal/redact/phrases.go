package redact

import "bytes"

// phrase is a row of words on a command line of a program, the last of which is
// secret. Flags between them are passed over. A part of it is
//
//	word    this word, in upper or lower case
//	word*   a word that begins so
//	*       any word
//	?       a word that is the name of a secret
//	-ab^c   flags of one letter that stand together: a and b among them, c not
//	!       the secret; !+ it and all words after it
type phrase []string

// maxPhrases is how many phrases a program has at most.
const maxPhrases = 6

// progress is how many parts of each phrase of a program were read.
type progress [maxPhrases]uint8

// follow reads a word by the phrases of the program, and reports whether the
// next word is secret by them.
func (c *command) follow(word []byte) bool {
	for i, p := range c.program.phrases {
		at := &c.progress[i]
		switch {
		case p.isPart(int(*at), word):
			*at++
		case word[0] == '-': // between the words
		case p.isPart(0, word):
			*at = 1
		default:
			*at = 0
		}
	}
	return c.isSecretNext()
}

// pass reads an argument that is no word of a phrase, but may stand for any.
func (c *command) pass() {
	if c.program != nil {
		c.follow([]byte{' '})
		if c.isSecretNext() {
			c.next = aSecret
		}
	}
}

// isSecretNext reports whether a phrase came to its secret. A phrase that takes
// one word begins anew.
func (c *command) isSecretNext() (secret bool) {
	for i, p := range c.program.phrases {
		at := &c.progress[i]
		if int(*at) != len(p)-1 {
			continue
		}
		secret = true
		if p[*at] == "!" && len(p) > 1 {
			*at = 0
		}
	}
	return secret
}

// isPart reports whether a word is the part at a place of the phrase.
func (p phrase) isPart(at int, word []byte) bool {
	if at >= len(p)-1 {
		return false
	}
	switch part := p[at]; {
	case part == "*":
		return word[0] != '-'
	case part == "?":
		v := names.judge(bytes.TrimLeft(word, ":$"))
		return word[0] != '-' && (v == secretName || v == secretText)
	case part[0] == '-' && len(part) > 1:
		return isCluster(word, part)
	case part[len(part)-1] == '*':
		return bytes.HasPrefix(word, []byte(part[:len(part)-1]))
	default:
		return bytes.EqualFold(word, []byte(part))
	}
}

// isCluster reports whether a word is flags of one letter as a part wants them;
// -pw and -hmac, of which no letter is left out, are words too.
func isCluster(word []byte, part string) bool {
	if len(word) < 2 || word[0] != '-' || word[1] == '-' || len(word) > maxWord {
		return false
	}
	if string(word) == part {
		return true
	}
	wanted := true
	for _, letter := range []byte(part[1:]) {
		if letter == '^' {
			wanted = false
			continue
		}
		if (bytes.IndexByte(word[1:], letter) >= 0) != wanted {
			return false
		}
	}
	return true
}
