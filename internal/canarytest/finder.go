package canarytest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// halfBytes is the least part of a word that is looked for.
	halfBytes = 10
	// keyBytes is how many bytes of a pattern are looked up at once.
	keyBytes = 8
	// maxWithin bounds how often what was decoded is decoded again.
	maxWithin = 4
	// maxInflated bounds what one compressed part may become.
	maxInflated = 64 << 20
)

// Finder looks for words in data, in whole and in halves, as they are and as
// Base64 and hexadecimal digits, and in what is compressed or escaped there.
type Finder struct {
	patterns map[uint64][]pattern
	likely   []uint64 // a bit for each key's hash
	unzstd   *zstd.Decoder
	found    map[string][]string
}

type pattern struct {
	text []byte
	word string
}

// NewFinder returns one that looks for the keys of the map, which have 20
// characters at least.
func NewFinder(words map[string]string) (*Finder, error) {
	unzstd, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxInflated))
	if err != nil {
		return nil, err
	}
	f := &Finder{patterns: map[uint64][]pattern{}, likely: make([]uint64, 1<<18), unzstd: unzstd, found: map[string][]string{}}
	for word := range words {
		for _, half := range []string{word[:len(word)/2], word[len(word)/2:]} {
			f.add(word, half)
			f.add(word, hex.EncodeToString([]byte(half)))
			f.add(word, strings.ToUpper(hex.EncodeToString([]byte(half))))
		}
		for before := range 3 {
			// What stands around it changes the first and the last digits.
			padded := append(make([]byte, before), word...)
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				digits := encoding.EncodeToString(padded)
				f.add(word, digits[(before*8+5)/6:len(padded)*8/6])
			}
		}
	}
	return f, nil
}

func (f *Finder) add(word, text string) {
	key := binary.LittleEndian.Uint64([]byte(text))
	f.patterns[key] = append(f.patterns[key], pattern{[]byte(text), word})
	h := hash(key)
	f.likely[h>>6] |= 1 << (h & 63)
}

func hash(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> 40 }

// Found returns the places of each word that was found.
func (f *Finder) Found() map[string][]string { return f.found }

// Search looks into data that was found at a place.
func (f *Finder) Search(place string, data []byte) { f.search(place, data, 0) }

func (f *Finder) search(place string, data []byte, within int) {
	f.match(place, data)
	if within >= maxWithin {
		return
	}
	for part, kind := range f.inflated(data) {
		f.search(place+", "+kind, []byte(part), within+1)
	}
	for _, digits := range base64Digits.FindAll(data, -1) {
		if text, ok := decoded(digits); ok {
			f.search(place+", Base64", text, within+1)
		}
	}
	if plain := unescaped(data); len(plain) < len(data) {
		f.search(place+", escaped", plain, within+1)
	}
}

func (f *Finder) match(place string, data []byte) {
	for i := 0; i+keyBytes <= len(data); i++ {
		key := binary.LittleEndian.Uint64(data[i:])
		if h := hash(key); f.likely[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, p := range f.patterns[key] {
			if bytes.HasPrefix(data[i:], p.text) {
				f.tell(p.word, place, data[max(0, i-60):min(len(data), i+len(p.text)+20)])
			}
		}
	}
}

// tell remembers a few of a word's places.
func (f *Finder) tell(word, place string, around []byte) {
	if places := f.found[word]; len(places) < 3 {
		f.found[word] = append(places, place+": "+strconv.Quote(string(around)))
	}
}

var (
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	gzipMagic = []byte{0x1f, 0x8b, 0x08}
)

// inflated yields what is compressed anywhere in the data, and how.
func (f *Finder) inflated(data []byte) func(func(string, string) bool) {
	return func(yield func(part, kind string) bool) {
		for i := range data {
			switch rest := data[i:]; {
			case bytes.HasPrefix(rest, zstdMagic):
				out, _ := f.unzstd.DecodeAll(rest, nil) // to where other bytes follow
				if len(out) > 0 && !yield(string(out), "zstd") {
					return
				}
			case bytes.HasPrefix(rest, gzipMagic):
				r, err := gzip.NewReader(bytes.NewReader(rest))
				if err != nil {
					continue
				}
				out, _ := io.ReadAll(io.LimitReader(r, maxInflated)) // the same
				if len(out) > 0 && !yield(string(out), "gzip") {
					return
				}
			}
		}
	}
}

var (
	base64Digits   = regexp.MustCompile(`[A-Za-z0-9+/_-]{24,}`)
	base64Alphabet = strings.NewReplacer("-", "+", "_", "/")
)

// decoded returns what Base64 stands for, if that is a text or compressed.
func decoded(digits []byte) ([]byte, bool) {
	text := base64Alphabet.Replace(string(digits))
	if len(text)%4 == 1 {
		text = text[:len(text)-1]
	}
	out, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(out) == 0 {
		return nil, false
	}
	if bytes.HasPrefix(out, gzipMagic) || bytes.HasPrefix(out, zstdMagic) {
		return out, true
	}
	for _, c := range out[:min(len(out), 12)] {
		if c >= 0x7f || c < ' ' && c != '\n' && c != '\t' && c != '\r' {
			return nil, false
		}
	}
	return out, true
}

var escapes = regexp.MustCompile(`\\+u00[0-9A-Fa-f]{2}|(?:%(?:25)*[0-9A-Fa-f]{2})|&#x?[0-9A-Fa-f]+;`)

// unescaped replaces the escapes of JSON, of addresses and of HTML.
func unescaped(data []byte) []byte {
	return escapes.ReplaceAllFunc(data, func(e []byte) []byte {
		digits, base := string(e[max(0, len(e)-2):]), 16
		if e[0] == '&' {
			digits = strings.TrimSuffix(string(e[2:]), ";")
			if hexadecimal, ok := strings.CutPrefix(digits, "x"); ok {
				digits = hexadecimal
			} else {
				base = 10
			}
		}
		n, err := strconv.ParseUint(digits, base, 8)
		if err != nil {
			return e
		}
		return []byte{byte(n)}
	})
}
