package export

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"unicode"
)

func TestEncodeCell(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"alice@example.com":      "alice@example.com",
		"system:node:a-1":        "system:node:a-1",
		"/api/v1/pods?x=1&y=-2":  "/api/v1/pods?x=1&y=-2",
		`CORP\alice`:             `CORP\alice`,
		`CORP\u0041lice`:         `CORP\u005cu0041lice`,
		"=1+1":                   "'=1+1",
		"+1":                     "'+1",
		"-1":                     "'-1",
		"@SUM(A1)":               "'@SUM(A1)",
		"＝1":                     "'＝1",
		"  =1":                   "'  =1",
		"\u00a0=1":               "'\u00a0=1",
		"\ufeff=1":               `'\ufeff=1`,
		"\u200b\u200d=1":         "'\u200b\u200d=1",
		"\t=1":                   `'\u0009=1`,
		"\r=1":                   `'\u000d=1`,
		"\n=1":                   `'\u000a=1`,
		"a\nb":                   `a\u000ab`,
		`"=1"`:                   `'"=1"`,
		"'quoted'":               "''quoted'",
		"''=1":                   "'''=1",
		"a;=1":                   "a;'=1",
		`a; "=1"`:                `a;' "=1"`,
		"Mozilla/5.0 (X; Linux)": "Mozilla/5.0 (X; Linux)",
		"\x00":                   `\u0000`,
		"\x1b[31mred":            `\u001b[31mred`,
		"\u202egnp.exe":          `\u202egnp.exe`,
		"a\u2028b":               `a\u2028b`,
		"bad\xff\xfeutf":         "bad\ufffdutf",
		Failed:                   Failed,
		"a\n" + Failed:           `a\u000a` + Failed,
	} {
		if got := EncodeCell(text); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

// What a cell holds comes back whatever it is, on one line, and cannot begin a
// formula where a program may take it for the start of a cell.
func FuzzCell(f *testing.F) {
	for _, text := range []string{"", "a", "=1", " =1", "'=1", "a;=1", `a;"=1`, `\u0041`, `\\u005cu0041`, "\x00\ufeff=1", "\u202e;\u200b@x", "bad\xff", "a;;'=b", `";=`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cell := EncodeCell(text)
		if got, want := DecodeCell(cell), strings.ToValidUTF8(text, "\uFFFD"); got != want {
			t.Fatalf("%q came back as %q, by %q", want, got, cell)
		}
		for _, c := range cell {
			if unicode.IsControl(c) {
				t.Errorf("%q is written with the control character %U", text, c)
			}
		}
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		if err := w.Write([]string{"x", cell}); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		if n := strings.Count(file.String(), "\n"); n != 1 {
			t.Errorf("%q takes %d lines", text, n)
		}
		rows, err := csv.NewReader(&file).ReadAll()
		if err != nil || rows[0][1] != cell {
			t.Fatalf("%q is read from a file as %q, %v", cell, rows, err)
		}
		for part := range strings.SplitSeq(cell, ";") {
			if first := strings.TrimLeftFunc(part, isPassedOver); first != "" && strings.ContainsAny(first[:1], "=+-@") {
				t.Errorf("%q is written as %q, of which %q begins a formula", text, cell, part)
			}
		}
	})
}
