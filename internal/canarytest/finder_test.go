package canarytest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // to memory
	_ = w.Close()
	return b.String()
}

func zstandard(text string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// A word is found in every form that a place may hold it in.
func TestFinder(t *testing.T) {
	c := NewCorpus(1)
	c.Sow("here", "CANARY")
	var word string
	for word = range c.Canaries {
	}
	base64Of := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	percent, unicode := "", ""
	for _, r := range word {
		percent += fmt.Sprintf("%%%02x", r)
		unicode += fmt.Sprintf(`\u%04x`, r)
	}
	for name, in := range map[string]string{
		"as it is": word, "its beginning": word[:halfBytes], "its end": word[halfBytes:], "hexadecimal": hex.EncodeToString([]byte("a" + word)), "in capitals": strings.ToUpper(hex.EncodeToString([]byte(word))),
		"Base64": base64Of(word), "Base64 behind one": base64Of("a" + word + "b"), "Base64 behind two": base64Of("ab" + word), "Base64 for addresses": base64.URLEncoding.EncodeToString([]byte(`{"a":"` + word + `?>"}`)),
		"Base64 of Base64": base64Of(base64Of("text: " + word)), "gzip": zipped(word), "gzip of Base64": zipped(base64Of(word)), "Base64 of gzip": base64Of(zipped(word)), "zstd": zstandard(word), "zstd of gzip": zstandard(zipped(word)),
		"percent": percent, "percent twice": strings.ReplaceAll(percent, "%", "%25"), "JSON": unicode, "JSON in JSON": strings.ReplaceAll(unicode, `\`, `\\`), "HTML": html.EscapeString(word), "HTML by numbers": "&#" + fmt.Sprint(word[0]) + ";" + word[1:],
	} {
		for _, around := range [][2]string{{"", ""}, {"before ", " behind"}, {"\x00\xff", "\x00\xff\x01"}} {
			f, err := NewFinder(c.Canaries)
			if err != nil {
				t.Fatal(err)
			}
			f.Search("x", []byte(around[0]+in+around[1]))
			if len(f.Found()[word]) == 0 {
				t.Errorf("%s is not found in %q", name, around[0]+in+around[1])
			}
		}
	}
	f, err := NewFinder(c.Canaries)
	if err != nil {
		t.Fatal(err)
	}
	if f.Search("x", []byte(word[:halfBytes-1]+" "+word[halfBytes+1:])); len(f.Found()) > 0 {
		t.Errorf("found where there is none: %v", f.Found())
	}
}
