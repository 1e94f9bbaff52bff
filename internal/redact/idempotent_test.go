package redact

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
)

// oddTexts returns the texts of the corpora, of the fuzz targets and of odd
// clients.
func oddTexts(t *testing.T) (texts []string) {
	t.Helper()
	for _, pattern := range []string{"testdata/fuzz/*/*", "../audit/testdata/canaries/*.txt", "../audit/testdata/evidence/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%d files of %s: %v", len(files), pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(data)) {
				line = strings.TrimSuffix(line, "\n")
				if value, ok := strings.CutPrefix(line, "string("); ok {
					if line, err = strconv.Unquote(strings.TrimSuffix(value, ")")); err != nil {
						t.Fatalf("%s: %v", file, err)
					}
				}
				texts = append(texts, strings.ReplaceAll(line, "CANARY", "hunter2"), strings.ReplaceAll(line, "CANARY", "Zq1ujjk6bgqjm0e7x"))
			}
		}
	}
	return append(texts, audittest.OddTexts()...)
}

// What is redacted does not change when it is redacted again: events are
// imported, copied and restored.
func TestIdempotent(t *testing.T) {
	for _, text := range oddTexts(t) {
		once := Text(text)
		if twice := Text(once); twice != once {
			t.Errorf("%q\nbecomes %q\nand then %q", text, once, twice)
		}
		once = URI("/x?" + text)
		if twice := URI(once); twice != once {
			t.Errorf("the query %q\nbecomes %q\nand then %q", text, once, twice)
		}
		if text == "" || text[0] != '{' && text[0] != '[' {
			continue
		}
		for _, p := range []Policy{{}, {KeepConfigMapValues: true}} {
			for kind := Other; kind <= SecretLike; kind++ {
				once := p.Body([]byte(text), kind)
				if twice := p.Body(bytes.Clone(once), kind); !bytes.Equal(once, twice) {
					t.Errorf("%s\nbecomes %s\nand then %s", text, once, twice)
				}
			}
		}
	}
}
