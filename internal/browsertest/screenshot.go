package browsertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
)

// Screenshot keeps what the whole page looks like now as
// artifacts/screenshots/<name>-<theme>-<width>.png of the repository, which git
// ignores and make clean removes.
func (tab *Tab) Screenshot(name string) {
	tab.t.Helper()
	dir := Artifacts(tab.t, "screenshots")
	path := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, tab.Look.Theme, tab.Look.Width))
	if err := os.WriteFile(path, tab.Picture(true), 0o644); err != nil {
		tab.t.Fatal(err)
	}
}

// Picture returns what the page looks like as PNG: the whole of it, or what is
// in the window.
func (tab *Tab) Picture(whole bool) []byte {
	tab.t.Helper()
	return call(tab, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &whole}).Data
}

// Artifacts returns a folder of the repository's artifacts, and makes it.
func Artifacts(t testing.TB, name string) string {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "artifacts", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("the tests run in no Go module")
}
