package redact

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"
)

// tripletSet is a set of three letters each. It has three of each name of a
// secret, so that a name which has none of them is no secret's. Letters are of
// five bits: a set may say yes of others too.
type tripletSet [1 << 15 / 64]uint64

func (s *tripletSet) set(triplet uint32) { s[triplet>>6] |= 1 << (triplet & 63) }

func (s *tripletSet) has(triplet uint32) bool { return s[triplet>>6]&(1<<(triplet&63)) != 0 }

// commonNames are what most names of clusters are made of: a triplet of a
// secret's name that is none of theirs says more.
const commonNames = "system serviceaccount controller clusterrole clusterrolebinding rolebinding namespace kubernetes authorization authentication " +
	"reason decision resource version deployment replicaset statefulset daemonset service endpoint configmap container kube scheduler manager leader election " +
	"field selector label annotation operator metadata network storage persistent volume claim certificate node pod webhook admission policy x509sha256 timeoutseconds"

// add adds three letters of a name: those that are least common.
func (s *tripletSet) add(name string) {
	if len(name) == 2 { // with any letter before or after
		for c := range uint32(32) {
			s.set(c<<10 | letter(name[0])<<5 | letter(name[1]))
			s.set(letter(name[0])<<10 | letter(name[1])<<5 | c)
		}
		return
	}
	best, least := "", math.MaxInt
	for i := range len(name) - 2 {
		if n := strings.Count(commonNames, name[i:i+3]); n < least {
			best, least = name[i:i+3], n
		}
	}
	s.set(letter(best[0])<<10 | letter(best[1])<<5 | letter(best[2]))
}

func letter(c byte) uint32 { return uint32(c) & 31 }

// minTriplets is how many letters a name has at least of which triplets tell.
const minTriplets = 3

// mayBeSecret reports whether a name may be a secret's. It is never wrong to
// say no.
func (l *nameList) mayBeSecret(name []byte) bool {
	triplet, letters := uint32(0), 0
	for _, c := range name {
		switch {
		case c >= utf8.RuneSelf:
			return true // more than ASCII folds to ASCII
		case c == '-' || c == '_' || c == '.' || c == '/' || c == ' ' || c == ':':
			continue
		}
		triplet = (triplet<<5 | letter(c)) & (1<<15 - 1)
		if letters++; letters >= minTriplets && l.triplets.has(triplet) {
			return true
		}
	}
	return letters > 0 && letters < minTriplets
}

// tellingSet knows how words begin that tell of a secret, and tokens: hardly any
// word of most texts begins so. It may say yes of others too.
type tellingSet struct {
	two   [1 << 10 / 64]uint64 // words of two letters
	three tripletSet           // and of three
	four  [1 << 15 / 64]uint64 // the first four of longer ones, hashed
}

var telling = func() *tellingSet {
	s := new(tellingSet)
	for _, t := range tokenShapes {
		if t.prefix[0] != '$' {
			s.add(t.prefix, true)
		}
	}
	for _, w := range words {
		s.add(w, false)
	}
	for name := range programs {
		s.add(name, false)
	}
	s.add("eyJ", true)
	return s
}()

// add adds how a word begins, up to what is no letter; open says that more
// letters may follow it.
func (s *tellingSet) add(word string, open bool) {
	n := 0
	for n < len(word) && class[word[n]]&isWord != 0 {
		n++
	}
	open = open && n == len(word)
	switch {
	case n < 2:
		panic("redact: " + word + " begins too shortly")
	case n == 2:
		two := letter(word[0])<<5 | letter(word[1])
		s.two[two>>6] |= 1 << (two & 63)
	case n == 3:
		s.three.set(letter(word[0])<<10 | letter(word[1])<<5 | letter(word[2]))
	default:
		s.set(fourOf(letter(word[0]), letter(word[1]), letter(word[2]), letter(word[3])))
	}
	for c := range uint32(32) {
		switch {
		case open && n == 2:
			s.three.set(letter(word[0])<<10 | letter(word[1])<<5 | c)
			for d := range uint32(32) {
				s.set(fourOf(letter(word[0]), letter(word[1]), c, d))
			}
		case open && n == 3:
			s.set(fourOf(letter(word[0]), letter(word[1]), letter(word[2]), c))
		}
	}
}

func (s *tellingSet) set(four uint32) { s.four[four>>6] |= 1 << (four & 63) }

// fourOf is a hash of four letters, and hashOf of four bytes by their letters.
func fourOf(a, b, c, d uint32) uint32 { return hashOf(a | b<<8 | c<<16 | d<<24) }

func hashOf(bytes uint32) uint32 { return bytes & 0x1F1F1F1F * 0x9E3779B1 >> 17 }

// mayBegin reports whether a word may begin as one of them does.
func (s *tellingSet) mayBegin(word []byte) bool {
	switch len(word) {
	case 1:
		return false
	case 2:
		two := letter(word[0])<<5 | letter(word[1])
		return s.two[two>>6]&(1<<(two&63)) != 0
	case 3:
		return s.three.has(letter(word[0])<<10 | letter(word[1])<<5 | letter(word[2]))
	}
	four := hashOf(binary.LittleEndian.Uint32(word))
	return s.four[four>>6]&(1<<(four&63)) != 0
}
