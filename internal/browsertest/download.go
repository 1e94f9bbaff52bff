package browsertest

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// Download does what starts a download and returns the file when it is
// complete, with the name that the browser would save it under.
func (tab *Tab) Download(start func()) (name string, content []byte) {
	tab.t.Helper()
	dir := tab.t.TempDir()
	ctx, stop := context.WithTimeout(tab.ctx, wait)
	defer stop()
	began, ended := make(chan *browser.EventDownloadWillBegin, 1), make(chan *browser.EventDownloadProgress, 1)
	hear := func(event any) {
		switch e := event.(type) {
		case *browser.EventDownloadWillBegin:
			select {
			case began <- e:
			default: // one was asked for
			}
		case *browser.EventDownloadProgress:
			if e.State == browser.DownloadProgressStateInProgress {
				return
			}
			select {
			case ended <- e:
			default:
			}
		}
	}
	if err := chromedp.ListenBrowser(ctx, hear); err != nil {
		tab.t.Fatal(err)
	}
	id := chromedp.FromContext(tab.ctx).BrowserContextID
	if _, err := chromedp.CallBrowser(tab.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: dir, EventsEnabled: new(true), BrowserContextID: id,
	}); err != nil {
		tab.t.Fatal(err)
	}
	start()
	var file *browser.EventDownloadWillBegin
	select {
	case file = <-began:
	case <-ctx.Done():
		tab.t.Fatalf("no download began within %s\n%s", wait, tab.state())
	}
	select {
	case e := <-ended:
		if e.GUID != file.GUID || e.State != browser.DownloadProgressStateCompleted {
			tab.t.Fatalf("the download of %s ended as %s", file.SuggestedFilename, e.State)
		}
	case <-ctx.Done():
		tab.t.Fatalf("the download of %s does not end", file.SuggestedFilename)
	}
	content, err := os.ReadFile(filepath.Join(dir, file.GUID))
	if err != nil {
		tab.t.Fatal(err)
	}
	return file.SuggestedFilename, content
}

// AllowClipboard lets pages write to the clipboard, and the test read it.
func (tab *Tab) AllowClipboard() {
	tab.t.Helper()
	ctx, stop := context.WithTimeout(tab.ctx, 5*time.Second)
	defer stop()
	if _, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted,
		BrowserContextID: chromedp.FromContext(tab.ctx).BrowserContextID,
	}); err != nil {
		tab.t.Fatal(err)
	}
	if _, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-write"}, Setting: browser.PermissionSettingGranted,
		BrowserContextID: chromedp.FromContext(tab.ctx).BrowserContextID,
	}); err != nil {
		tab.t.Fatal(err)
	}
}

// Clipboard returns the text of the clipboard.
func (tab *Tab) Clipboard() string {
	tab.t.Helper()
	return Eval[string](tab, `navigator.clipboard.readText()`)
}
