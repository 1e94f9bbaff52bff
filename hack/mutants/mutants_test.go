package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Each mutant still finds what it breaks, once; whether the tests notice it is
// for make mutants to say, which takes long.
func TestMutantsFit(t *testing.T) {
	names := map[string]bool{}
	for _, m := range all() {
		if names[m.name] {
			t.Errorf("two mutants are named %s", m.name)
		}
		names[m.name] = true
		content, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(content, []byte(m.old)); n != 1 {
			t.Errorf("%s: %s holds the text to replace %d times; bring the mutant up to date", m.name, m.file, n)
		}
	}
}
