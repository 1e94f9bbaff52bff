// Package canarytest is what the proof of redaction is made of: secrets and
// evidence in all places where a client can put them, and a search for them that
// reads through compression and encodings.
package canarytest

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// What stands in a text for a secret, for the Base64 of one, and for something
// that an auditor needs.
const (
	canary    = "CANARY"
	canary64  = "BASE64" + canary
	evidence  = "EVIDENCE"
	wordBytes = 2 * halfBytes
)

// Corpus knows where each secret and each piece of evidence was put.
type Corpus struct {
	Canaries map[string]string // place by secret
	Evidence map[string]string // place by text

	random *rand.Rand
}

// NewCorpus returns an empty one. The same seed makes the same words.
func NewCorpus(seed uint64) *Corpus {
	return &Corpus{map[string]string{}, map[string]string{}, rand.New(rand.NewPCG(seed, 14))}
}

// word returns a new one of lower-case letters and digits, as names of objects
// may be, which occurs nowhere else.
func (c *Corpus) word() string {
	w := "z"
	for len(w) < wordBytes {
		w += strconv.FormatUint(c.random.Uint64(), 36)
	}
	return w[:wordBytes-2] + "7x"
}

// Sow writes a new secret or piece of evidence for each place of the text that
// stands for one.
func (c *Corpus) Sow(where, text string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		at, mark, known := len(text), "", c.Canaries
		for _, m := range []string{canary64, canary, evidence} {
			if i := strings.Index(text, m); i >= 0 && i < at {
				at, mark = i, m
			}
		}
		if mark == "" {
			return b.String() + text
		}
		if mark == evidence {
			known = c.Evidence
		}
		w := c.word()
		known[w] = fmt.Sprintf("%s, no. %d", where, n)
		b.WriteString(text[:at])
		text = text[at+len(mark):]
		if mark == canary64 {
			w = base64.StdEncoding.EncodeToString([]byte(w))
		}
		b.WriteString(w)
	}
}
