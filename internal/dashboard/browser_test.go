package dashboard_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chromium returns the context of a real browser, and what it complained of.
func chromium(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("Chromium is missing: apt-get install chromium, or run make test as root, which installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WindowSize(1280, 900), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var complaints []string
	complain := func(text string) { mu.Lock(); complaints = append(complaints, text); mu.Unlock() }
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complain(e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			complain(e.Entry.Text)
		case *network.EventRequestWillBeSent:
			// The browser draws its own form controls from data: URLs.
			if url := e.Request.URL; !strings.HasPrefix(url, "http://127.0.0.1:") && !strings.HasPrefix(url, "data:") {
				complain("asked for " + e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return ctx, func() []string { mu.Lock(); defer mu.Unlock(); return complaints }
}

// value runs an action that has a result.
func value[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func do(t *testing.T, ctx context.Context, step string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", step, err)
	}
}

const (
	token       = chromedp.CSS("#token")
	events      = chromedp.CSS("table.events")
	facts       = chromedp.CSS(".facts")
	chips       = chromedp.CSS(".chip")
	picker      = chromedp.CSS(".menu > summary")
	pickerBox   = chromedp.CSS(".menu fieldset")
	pickerApply = chromedp.CSS(".menu button")
	application = chromedp.CSS(`.menu input[value="application"]`)
	environment = chromedp.CSS(`.menu input[value="environment_group"]`)
	firstEvent  = chromedp.CSS("tbody tr:first-child a")
)

// The way of a person who was sent a share URL: sign in, read, open the picker
// by the keyboard, clear it, and see every type.
func TestInABrowser(t *testing.T) {
	server := httptest.NewServer(world.Handler(t, world.Store, false))
	defer server.Close()
	ctx, complaints := chromium(t)
	rows := func() int {
		t.Helper()
		return value(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("tbody tr").length`))
	}
	address := func() string { t.Helper(); return value(t, ctx, chromedp.Location()) }
	link := server.URL + "/security/audit-logs?resource_type=application&resource_type=environment_group"

	do(t, ctx, "sign in", chromedp.Navigate(link), chromedp.WaitVisible(token),
		chromedp.SendKeys(token, world.Tokens[everywhere]+kb.Enter), chromedp.WaitVisible(events))
	if address() != link || rows() != 4 {
		t.Errorf("after the log-in %d rows at %s, want 4 at %s", rows(), address(), link)
	}
	screenshot(t, ctx, "audit-logs")

	do(t, ctx, "open the picker", chromedp.Focus(picker), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(environment))
	offered := value(t, ctx, chromedp.Text(pickerBox))
	for _, name := range []string{"Application", "Datastore", "Add-on", "Environment group", "Cluster", "Project"} {
		if !strings.Contains(offered, name) {
			t.Errorf("the picker lacks %s", name)
		}
	}
	screenshot(t, ctx, "picker")
	do(t, ctx, "clear it", chromedp.Focus(application), chromedp.KeyEvent(" "), chromedp.Focus(environment), chromedp.KeyEvent(" "),
		chromedp.Focus(pickerApply), chromedp.KeyEvent(kb.Enter), chromedp.WaitNotPresent(chips), chromedp.WaitVisible(events))
	if address() != server.URL+"/security/audit-logs" || rows() != len(world.Events) {
		t.Errorf("without types %d rows at %s, want all %d", rows(), address(), len(world.Events))
	}

	do(t, ctx, "open one event", chromedp.Click(firstEvent), chromedp.WaitVisible(facts))
	screenshot(t, ctx, "event")
	do(t, ctx, "open a snapshot", chromedp.Navigate(server.URL+"/security/snapshots/"+world.Snapshots["shop"].ID), chromedp.WaitVisible(facts))
	screenshot(t, ctx, "snapshot")
	if got := complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %v", got)
	}
}

// screenshot keeps what a page looks like where AUDIT_SCREENSHOTS names a folder.
func screenshot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("AUDIT_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), value(t, ctx, chromedp.CaptureScreenshot()), 0o644); err != nil {
		t.Fatal(err)
	}
}
