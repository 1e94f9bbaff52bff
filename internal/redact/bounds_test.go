package redact

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// hostileBytes is how long the texts are that a hostile client sends, and
// longest how long one of them may take at most: a way of reading that goes
// over what it has read already would take minutes.
const (
	hostileBytes = 256 << 10
	longest      = 5 * time.Second
)

func TestLinear(t *testing.T) {
	for _, unit := range []string{
		"a", "=", ":", "a=", "a:", "a: ", "password", "password=", "password: ", "password=\"", `password=\"`, `token=\\\"`, "password='", "://", "a://", "a://b:c", "@", ":@", "a:b@", "a:b@tcp(", "'", "\"", "\\", " ", "\n", "a\n", "- ", "--password ", "--password", "mysql -p", "mysql -p'",
		"curl -u ", "Bearer ", "basic a", "identified by ", "password for ", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "eyJ", "eyJ.", "ghp_", "$2a$", "YXBp", "YXBpVmVyc2lvbjog", "{\"", "[{", "a: b\n", "value: x\n", "password:\n", "token: |\n", "- name: a\n  value: b\n", "---\n", "&", "?a=b&", "%41", "+", "command=mysql&", ";", ",", "--from-literal=",
		"{\"a\":\"", "\u00e9", "\xff", ": Invalid value: ", "env[0].value: Invalid value: \"", "[redacted]", "password=[redacted]", "password= ", "password =", "a\\\"=", "[\"]", "b[\"c\"]=",
	} {
		text := strings.Repeat(unit, hostileBytes/len(unit))
		for name, f := range map[string]func(){
			"text":      func() { Text(text) },
			"uri":       func() { URI("/x?" + text) },
			"path":      func() { URI("/" + text) },
			"arguments": func() { Policy{}.Arguments([]string{"mysql", text, text}) },
			"quoted":    func() { Policy{}.Body(fmt.Appendf(nil, "{\"value\":%q}", strings.ToValidUTF8(text, "?")), Other) },
			"body":      func() { Policy{}.Body([]byte(text), Other) },
		} {
			began := time.Now()
			f()
			if took := time.Since(began); took > longest {
				t.Errorf("%s of %q takes %v", name, unit, took)
			}
		}
	}
	for _, unit := range []string{`{"token":`, `{"args":[`, `{"command":["a"],"args":`, `{"value":1,"name":"password","x":`, `[`, `{"data":`} {
		text := strings.Repeat(unit, maxDepth/2) + "1"
		for i := len(unit) * maxDepth / 2; i > 0; i -= len(unit) {
			for _, c := range []byte(unit) {
				if c == '{' {
					text += "}"
				} else if c == '[' && !strings.Contains(unit, "[\"a\"]") {
					text += "]"
				}
			}
		}
		began := time.Now()
		Policy{}.Body([]byte(text), Other)
		if took := time.Since(began); took > longest {
			t.Errorf("%d of %q take %v", maxDepth/2, unit, took)
		}
	}
}

// A value that nests as deep as it may is read, and one deeper goes.
func TestDepth(t *testing.T) {
	for depth, want := range map[int]bool{maxDepth: true, maxDepth + 1: false} {
		in := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		if got := string(Policy{}.Body([]byte(in), Other)) == in; got != want {
			t.Errorf("%d levels stay: %t, want %t", depth, got, want)
		}
	}
}

// Texts are read within each other up to the bound; one deeper goes, if it may
// hold a secret.
func TestNested(t *testing.T) {
	nest := func(levels int, inner string) string {
		for range levels {
			inner = `{"a":` + fmt.Sprintf("%q", inner) + `}`
		}
		return inner
	}
	for _, levels := range []int{1, maxNested, maxNested + 1, maxNested + 3} {
		if got := Text(nest(levels, "password=hunter2")); strings.Contains(got, "hunter2") {
			t.Errorf("%d levels: %s", levels, got)
		}
		in := nest(levels, "nothing here")
		if got := Text(in); got == in != (levels <= maxNested) {
			t.Errorf("%d levels: %s", levels, got)
		}
	}
	text := "password=hunter2 and more that makes it long"
	for range maxNested + 2 {
		text = base64.StdEncoding.EncodeToString([]byte(text))
		if got := Text(text); got != Mark {
			t.Errorf("of %s there is %s", text, got)
		}
	}
}

// YAML is parsed up to its bounds; what is beyond goes.
func TestYAMLBounds(t *testing.T) {
	head := "password: hunter2\nb: |\n  "
	for size, want := range map[int]bool{maxYAMLBytes: true, maxYAMLBytes + 1: false} {
		got := Text(head + strings.Repeat("x", size-len(head)))
		if strings.Contains(got, "hunter2") || strings.Contains(got, "xxx") != want {
			t.Errorf("of %d bytes there is %.80s", size, got)
		}
	}
	for n, want := range map[int]int{maxYAMLTexts: 0, maxYAMLTexts + 1: 1} {
		in := `["` + strings.Repeat(`password: hunter2\nb: c\n","`, n) + `"]`
		got := string(Policy{}.Body([]byte(in), Other))
		if strings.Contains(got, "hunter2") || strings.Count(got, `"[redacted]"`) != want {
			t.Errorf("of %d texts %d go whole, want %d", n, strings.Count(got, `"[redacted]"`), want)
		}
	}
}

// An alias that stands for more and more costs no more than its text.
func TestYAMLBomb(t *testing.T) {
	bomb := "password: x\na: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	began := time.Now()
	if got := Text(bomb); len(got) > 100*len(bomb) || time.Since(began) > longest {
		t.Errorf("%d bytes after %v", len(got), time.Since(began))
	}
}

// A path of a patch is read up to its bound; what is set at a longer one goes.
func TestPathSegments(t *testing.T) {
	for n, want := range map[int]bool{maxSegments - 1: true, maxSegments: false} {
		in := `[{"op":"add","path":"` + strings.Repeat("/a", n) + `","value":"blue"}]`
		if got := string(Policy{}.Body([]byte(in), Other)); strings.Contains(got, "blue") != want {
			t.Errorf("%d parts: %s", n, got)
		}
	}
}
