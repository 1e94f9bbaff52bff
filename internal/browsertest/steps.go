package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// do runs the browser's actions; what fails, or takes too long, fails the test.
func (tab *Tab) do(step string, actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, wait)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		tab.t.Fatalf("%s: %v\n%s", step, err, tab.state())
	}
}

func call[P, R any](tab *Tab, command cdp.Command[P, R], params P) R {
	tab.t.Helper()
	result, err := chromedp.Call(tab.ctx, command, params)
	if err != nil {
		tab.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// state says where the tab is, for whoever reads of a failure.
func (tab *Tab) state() string {
	ctx, cancel := context.WithTimeout(tab.ctx, time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 600)`))
	if err != nil {
		return "the page does not answer: " + err.Error()
	}
	return "the page is at " + text
}

// Eval evaluates a script in the page and returns what it gives; a promise is
// awaited. It works with scripts disabled too, as long as nothing is awaited.
func Eval[T any](tab *Tab, script string) T {
	tab.t.Helper()
	got, err := eval[T](tab, script)
	if err != nil {
		tab.t.Fatalf("%s: %v\n%s", script, err, tab.state())
	}
	return got
}

func eval[T any](tab *Tab, script string) (T, error) {
	return evalWithin[T](tab, script, wait)
}

func evalWithin[T any](tab *Tab, script string, within time.Duration) (T, error) {
	ctx, cancel := context.WithTimeout(tab.ctx, within)
	defer cancel()
	await := func(p *runtime.EvaluateParams) { p.AwaitPromise = new(!tab.Look.NoScript) }
	return chromedp.Run(ctx, chromedp.Evaluate[T](script, await))
}

// quote writes a string as a script does.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings can always be written
	}
	return string(b)
}

// Go navigates to a path, such as /security/audit-logs?method=POST, as if it
// were typed into the address bar, and waits until it is loaded.
func (tab *Tab) Go(path string) {
	tab.t.Helper()
	tab.do("go to "+path, chromedp.Navigate(tab.Base+path))
}

// Back, Forward and Reload are the browser's buttons. The first two wait for
// nothing, since a page may be shown again without being loaded.
func (tab *Tab) Back()    { tab.t.Helper(); tab.through(-1) }
func (tab *Tab) Forward() { tab.t.Helper(); tab.through(1) }
func (tab *Tab) Reload()  { tab.t.Helper(); tab.do("reload", chromedp.Reload()) }

// through goes to another entry of the tab's history.
func (tab *Tab) through(steps int64) {
	tab.t.Helper()
	history := call(tab, page.GetNavigationHistory, cdp.Empty{})
	to := history.CurrentIndex + steps
	if to < 0 || to >= int64(len(history.Entries)) {
		tab.t.Fatalf("the history has no entry %d of %d", to, len(history.Entries))
	}
	call(tab, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[to].ID})
}

// SignIn opens a path and signs in by the form, which leads there.
func (tab *Tab) SignIn(token, path string) {
	tab.t.Helper()
	tab.Go(path)
	tab.Fill("#token", token)
	tab.Press("#token", "\r")
	tab.Await("being signed in", `!document.querySelector("#token") && document.readyState == "complete" && location.pathname != "/login"`)
}

// ForgetCookies ends the session as far as the browser knows of it.
func (tab *Tab) ForgetCookies() {
	tab.t.Helper()
	call(tab, network.ClearBrowserCookies, cdp.Empty{})
}

// Fill empties a field and types text into it.
func (tab *Tab) Fill(selector, text string) {
	tab.t.Helper()
	tab.Visible(selector)
	tab.do("empty "+selector, chromedp.Focus(chromedp.CSS(selector)))
	Eval[bool](tab, fmt.Sprintf(`(e => { if (e.value && e.select) e.select(); return true })(document.querySelector(%s))`, quote(selector)))
	switch {
	case text == "":
		tab.Keys("\b")
	case len(text) > 100:
		tab.Paste(text)
	default:
		tab.Keys(text)
	}
}

// Paste puts a text in wherever the focus is, at once.
func (tab *Tab) Paste(text string) {
	tab.t.Helper()
	call(tab, input.InsertText, input.InsertTextParams{Text: text})
}

// FillTime types a time of the browser's zone into a field for date and time, in
// the order that an American keyboard expects.
func (tab *Tab) FillTime(selector string, at time.Time) {
	tab.t.Helper()
	tab.Press(selector, at.Format("01022006")+kb.ArrowRight+at.Format("030405PM"))
	if got := tab.Value(selector); got != at.Format("2006-01-02T15:04:05") && got != at.Format("2006-01-02T15:04") {
		tab.t.Fatalf("typing %s into %s gives %q", at, selector, got)
	}
}

// Press focuses an element and presses keys there: text, or those of package kb.
func (tab *Tab) Press(selector, keys string) {
	tab.t.Helper()
	tab.Visible(selector)
	tab.do("focus "+selector, chromedp.Focus(chromedp.CSS(selector)))
	tab.Keys(keys)
}

// Keys presses keys wherever the focus is.
func (tab *Tab) Keys(keys string, options ...chromedp.KeyOption) {
	tab.t.Helper()
	tab.do(fmt.Sprintf("press %.20q", keys), chromedp.KeyEvent(keys, append(options, asKeyboard)...))
}

// asKeyboard sends a key as keyboards do. Only so a page that takes a key for
// itself keeps it from being written, too.
func asKeyboard(p *input.DispatchKeyEventParams) {
	if p.Type == kb.KeyDown {
		p.Type = kb.KeyRawDown
	}
}

// Shift is held while Keys presses others.
var Shift = chromedp.KeyModifiers(chromedp.ModifierShift)

// Tab moves the focus on by the keyboard until a script says that the focused
// element, e, is the wanted one, and fails when it comes to none.
func (tab *Tab) Tab(what, wanted string) {
	tab.t.Helper()
	script := `(e => !!(` + wanted + `))(document.activeElement)`
	for range 300 {
		tab.Keys("\t")
		if Eval[bool](tab, script) {
			return
		}
	}
	tab.t.Fatalf("the tabulator never comes to %s\n%s", what, tab.state())
}

// Await waits until a script gives true.
func (tab *Tab) Await(what, script string) {
	tab.t.Helper()
	if err := tab.until(script); err != nil {
		tab.t.Fatalf("waited for %s: %v\n%s", what, err, tab.state())
	}
}

func (tab *Tab) until(script string) error {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	again := time.NewTicker(15 * time.Millisecond)
	defer again.Stop()
	for {
		// On the way from one page to the next there is nothing to ask.
		got, err := eval[bool](tab, script)
		if err == nil && got {
			return nil
		}
		select {
		case <-deadline.C:
			return errors.Join(fmt.Errorf("it took more than %s", wait), err)
		case <-tab.ctx.Done():
			return tab.ctx.Err()
		case <-again.C:
		}
	}
}

// Visible waits until an element is there and can be seen.
func (tab *Tab) Visible(selector string) {
	tab.t.Helper()
	tab.Await(selector+" to be visible", fmt.Sprintf(`!!document.querySelector(%s)?.checkVisibility({visibilityProperty: true})`, quote(selector)))
}

// Hidden waits until no such element can be seen.
func (tab *Tab) Hidden(selector string) {
	tab.t.Helper()
	tab.Await(selector+" to be hidden", fmt.Sprintf(`![...document.querySelectorAll(%s)].some(e => e.checkVisibility({visibilityProperty: true}))`, quote(selector)))
}

// At waits until the address is a path with its query string, and the page is
// loaded.
func (tab *Tab) At(path string) {
	tab.t.Helper()
	err := tab.until(fmt.Sprintf(`document.readyState == "complete" && location.pathname + location.search == %s`, quote(path)))
	if err != nil {
		tab.t.Fatalf("the address is %s, want %s (%v)\n%s", tab.Address(), path, err, tab.state())
	}
}

// Address returns the path and the query string of where the tab is.
func (tab *Tab) Address() string {
	tab.t.Helper()
	return Eval[string](tab, `location.pathname + location.search`)
}

// Text returns what can be read in the first element that a selector matches,
// its white space folded.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	text := Eval[string](tab, fmt.Sprintf(`document.querySelector(%s)?.innerText ?? "(no such element)"`, quote(selector)))
	return strings.Join(strings.Fields(text), " ")
}

// Texts returns what can be read in each element that a selector matches.
func (tab *Tab) Texts(selector string) []string {
	tab.t.Helper()
	texts := Eval[[]string](tab, fmt.Sprintf(`[...document.querySelectorAll(%s)].map(e => e.innerText)`, quote(selector)))
	for i := range texts {
		texts[i] = strings.Join(strings.Fields(texts[i]), " ")
	}
	return texts
}

// Count returns how many elements a selector matches.
func (tab *Tab) Count(selector string) int {
	tab.t.Helper()
	return Eval[int](tab, fmt.Sprintf(`document.querySelectorAll(%s).length`, quote(selector)))
}

// Has reports whether a selector matches.
func (tab *Tab) Has(selector string) bool { tab.t.Helper(); return tab.Count(selector) > 0 }

// Value returns the value of a field.
func (tab *Tab) Value(selector string) string {
	tab.t.Helper()
	return Eval[string](tab, fmt.Sprintf(`document.querySelector(%s)?.value ?? "(no such field)"`, quote(selector)))
}

// Attribute returns an attribute of the first element that a selector matches.
func (tab *Tab) Attribute(selector, name string) string {
	tab.t.Helper()
	return Eval[string](tab, fmt.Sprintf(`document.querySelector(%s)?.getAttribute(%s) ?? "(no such attribute)"`, quote(selector), quote(name)))
}

// Overflow says which elements make the page wider than the window, so that it
// scrolls sideways, or are cut off at its beginning; nothing should.
func (tab *Tab) Overflow() string {
	tab.t.Helper()
	return Eval[string](tab, `(() => {
		const root = document.documentElement;
		const inside = e => { for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX != "visible" && p != document.body && p != root) return true; return false };
		const named = found => found.slice(0, 5).map(e => e.tagName.toLowerCase() + (e.id && "#" + e.id) + (typeof e.className == "string" && e.className && "." + e.className.trim().split(/\s+/).join("."))).join(", ");
		const all = [...document.body.querySelectorAll("*")];
		const cut = all.filter(e => { const box = e.getBoundingClientRect(); return box.left < -1 && box.right > 1 && e.checkVisibility() && !inside(e) });
		if (cut.length) return "cut off at the left: " + named(cut);
		if (root.scrollWidth <= root.clientWidth) return "";
		return root.scrollWidth + " of " + root.clientWidth + " pixels: " + named(all.filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 && !inside(e)));
	})()`)
}

// Mouse presses, moves and releases the mouse.
func (tab *Tab) Mouse(events ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	tab.do("use the mouse", events...)
}
