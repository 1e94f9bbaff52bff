package journeys

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	named    = regexp.MustCompile("`((?:Test|Benchmark)[A-Za-z0-9]+)`")
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)[A-Za-z0-9]+)\(`)
)

// What docs/testing.md says is tested is tested: each test that it names is
// there, and each test of people at the pages is named.
func TestTableOfFeatures(t *testing.T) {
	const root = "../../.."
	page, err := os.ReadFile(filepath.Join(root, "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	here, everywhere := map[string]bool{}, map[string]bool{}
	if err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !regexp.MustCompile(`_test\.go$`).MatchString(path) {
			return err
		}
		content, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(content, -1) {
			everywhere[string(m[1])] = true
			if filepath.Dir(path) == filepath.Join(root, "internal", "browsertest", "journeys") {
				here[string(m[1])] = true
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	delete(here, "TestMain")
	if len(here) < 20 {
		t.Fatalf("this folder has the tests %v", here)
	}
	for _, m := range named.FindAllSubmatch(page, -1) {
		name := string(m[1])
		if delete(here, name); !everywhere[name] {
			t.Errorf("docs/testing.md names %s, which is not there", name)
		}
	}
	for name := range here {
		t.Errorf("docs/testing.md lacks %s", name)
	}
}
