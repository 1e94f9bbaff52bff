package browsertest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Themes and widths that pages are looked at in.
const (
	Light = "light"
	Dark  = "dark"

	Phone  = 360
	Tablet = 768
	Laptop = 1280
	Wide   = 1920
)

// Look is how a person looks at the pages. The zero Look is a laptop in the
// light theme, in UTC, with scripts.
type Look struct {
	Theme         string // Light or Dark
	Width         int    // in CSS pixels; a phone's is that of a mobile device
	TimeZone      string // such as Europe/Berlin
	NoScript      bool
	ReducedMotion bool
}

func (l Look) withDefaults() Look {
	if l.Theme == "" {
		l.Theme = Light
	}
	if l.Width == 0 {
		l.Width = Laptop
	}
	if l.TimeZone == "" {
		l.TimeZone = "UTC"
	}
	return l
}

// wait is how long anything that a test awaits may take.
const wait = 20 * time.Second

// Tab is a browser's tab with a profile of its own.
type Tab struct {
	Base string // the server's address, such as http://127.0.0.1:1234
	Look Look

	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	tolerated  []string
}

// Serve opens a tab at a server of its own.
func Serve(t testing.TB, h http.Handler, look Look) *Tab {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return Open(t, server.URL, look)
}

// Open opens a tab for the server at base. When the test ends, it fails if the
// browser complained.
func Open(t testing.TB, base string, look Look) *Tab {
	t.Helper()
	process, err := chromium.start()
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	ctx, end := chromedp.NewContext(process, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	tab := &Tab{Base: base, t: t, ctx: ctx}
	// htmx calls it an error that a later request takes a former one's place.
	tab.Tolerate("htmx:afterRequest")
	tab.Tolerate("htmx:sendAbort")
	if err := chromedp.Listen(ctx, tab.hear); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	tab.As(look)
	// Before the tab is closed, and before the server is.
	t.Cleanup(tab.check)
	return tab
}

// Another opens a second tab, which shares nothing with the first.
func (tab *Tab) Another(look Look) *Tab {
	tab.t.Helper()
	return Open(tab.t, tab.Base, look)
}

// As changes how the page is looked at, from now on. Whether there are scripts
// is decided when a page is loaded.
func (tab *Tab) As(look Look) {
	tab.t.Helper()
	look = look.withDefaults()
	tab.Look = look
	motion := "no-preference"
	if look.ReducedMotion {
		motion = "reduce"
	}
	options, height := []chromedp.EmulateViewportOption{}, int64(900)
	if look.Width <= Phone {
		options, height = append(options, chromedp.EmulateMobile), 740
	}
	tab.do("emulate a device", chromedp.EmulateViewport(int64(look.Width), height, options...))
	call(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	call(tab, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: look.TimeZone})
	call(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: look.NoScript})
	call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: look.Theme}, {Name: "prefers-reduced-motion", Value: motion},
	}})
}

// hear takes down what the browser complains of.
func (tab *Tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		tab.complain("exception: " + text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert || e.Type == runtime.ConsoleAPICalledTypeWarning {
			var args []string
			for _, arg := range e.Args {
				args = append(args, string(arg.Value)+arg.Description)
			}
			tab.complain(fmt.Sprintf("console.%s: %s", e.Type, strings.Join(args, " ")))
		}
	case *log.EventEntryAdded:
		tab.complain(fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
	case *page.EventJavascriptDialogOpening:
		tab.complain("dialog: " + e.Message)
		// Not from here, where the answer would be waited for for ever.
		go func() {
			_, _ = chromedp.Call(tab.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
		}()
	case *network.EventRequestWillBeSent:
		tab.sent(e.Request.URL)
	}
}

// sent complains of requests that leave the server. The browser draws its own
// form controls from data: URLs.
func (tab *Tab) sent(address string) {
	for _, prefix := range []string{tab.Base + "/", "data:image/", "blob:" + tab.Base + "/"} {
		if strings.HasPrefix(address, prefix) {
			return
		}
	}
	if address != tab.Base && !strings.HasPrefix(address, "http://127.0.0.1:") {
		tab.complain("request to " + address)
	}
}

func (tab *Tab) complain(text string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.complaints = append(tab.complaints, text)
}

// Tolerate lets the browser complain of what contains a text, such as "status
// of 400" where a test asks for nonsense.
func (tab *Tab) Tolerate(text string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.tolerated = append(tab.tolerated, text)
}

// Complaints returns what the browser complained of and nobody tolerates.
func (tab *Tab) Complaints() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	var out []string
complaints:
	for _, complaint := range tab.complaints {
		for _, text := range tab.tolerated {
			if strings.Contains(complaint, text) {
				continue complaints
			}
		}
		out = append(out, complaint)
	}
	return out
}

func (tab *Tab) check() {
	for _, complaint := range tab.Complaints() {
		tab.t.Errorf("the browser complains: %s", complaint)
	}
	if tab.t.Failed() {
		tab.Screenshot("failed-" + strings.NewReplacer("/", "-", " ", "-").Replace(tab.t.Name()))
	}
}
