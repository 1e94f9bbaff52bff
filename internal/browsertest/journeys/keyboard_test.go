package journeys

import (
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// A person without a mouse signs in, filters, reads an event, copies it, and
// signs out. Whatever opens takes the focus, and whatever closes gives it back.
func TestKeyboardAlone(t *testing.T) {
	w := newWeek(t)
	tab := browsertest.Serve(t, world.Handler(t, w, false), browsertest.Look{})
	tab.AllowClipboard()
	focus := func(what, wanted string) {
		t.Helper()
		tab.Await("the focus on "+what, `(e => !!(`+wanted+`))(document.activeElement)`)
	}
	tab.Go(entrance)
	focus("the token", `e.id == "token"`)
	tab.Paste(world.Tokens[webtest.Everywhere])
	tab.Keys(kb.Enter)
	tab.At(entrance)
	shows(t, tab, w.count(sevenDays, written))

	// The first stop leads past the header.
	tab.Keys("\t")
	focus("the way to the content", `e.matches(".skip") && e.getBoundingClientRect().top >= 0`)
	tab.Keys(kb.Enter)
	focus("the content", `e.id == "content"`)

	// A menu, by its find field and arrows.
	tab.Tab("the menu of actors", `e.matches("#m-actor > summary")`)
	tab.Keys(kb.Enter)
	focus("its find field", `e.matches("#m-actor .find")`)
	tab.Keys("deploy")
	tab.Await("what was typed, and the actor that holds it", `["deploy", "`+ci+`"].every(v => !!document.querySelector("#v-actor .in input[value='" + v + "']"))`)
	for range 3 {
		tab.Keys(kb.ArrowDown)
		if browsertest.Eval[string](tab, `document.activeElement.value`) == ci {
			break
		}
	}
	focus("the actor", `e.name == "actor" && e.value == "`+ci+`"`)
	tab.Keys(" ")
	tab.At(list + "?actor=" + url.QueryEscape(ci) + "&method_exclude=GET")
	n := w.count(sevenDays, func(e *audit.Event) bool { return e.Actor == ci && written(e) })
	shows(t, tab, n)
	tab.Keys(kb.ArrowRight)
	focus("the way to exclude it", `e.name == "actor_exclude" && e.value == "`+ci+`"`)
	tab.Keys(kb.Escape)
	focus("the menu's button", `e.matches("#m-actor > summary") && !e.parentElement.open`)

	// A chip goes, and the focus stays near.
	tab.Tab("the chip of the method", `e.closest("#chips") && e.textContent.includes("GET")`)
	tab.Keys(kb.Enter)
	tab.At(list + "?actor=" + url.QueryEscape(ci))
	focus("the other chips", `e.closest("#chips")`)

	// The search by its key, then the events by theirs.
	tab.Keys("/")
	focus("the search", `e.id == "search"`)
	tab.Keys("thing-1" + kb.Enter)
	tab.At(list + "?actor=" + url.QueryEscape(ci) + "&search=thing-1")
	tab.Await("what is found", `[...document.querySelectorAll("#rows .name")].every(e => e.textContent.startsWith("thing-1"))`)
	tab.Tab("an event", `e.matches("#rows > tr:first-child a.open")`)
	tab.Keys("j")
	focus("the next event", `e.matches("#rows > tr:nth-child(2) a.open")`)
	tab.Keys(kb.ArrowDown)
	tab.Keys("k")
	focus("the event before", `e.matches("#rows > tr:nth-child(2) a.open")`)
	tab.Keys(kb.Enter)
	focus("the drawer", `e.id == "drawer-title"`)
	tab.Tab("copying", `e.closest("#drawer") && e.dataset.copyFrom`)
	tab.Keys(" ")
	tab.Await("what is copied", `document.querySelector("#toast").textContent == "JSON copied"`)
	contains(t, "the clipboard", tab.Clipboard(), ci)
	focus("the button still", `e.dataset.copyFrom`)
	tab.Keys(kb.Escape)
	tab.Hidden("#drawer aside")
	focus("the event that was open", `e.matches("#rows > tr:nth-child(2) a.open")`)
	tab.Keys(kb.Enter)
	focus("the drawer", `e.id == "drawer-title"`)
	tab.Tab("the way out", `e.matches("[data-drawer-close]")`)
	tab.Keys(kb.Enter)
	tab.Hidden("#drawer aside")
	focus("the event that was open", `e.matches("#rows > tr:nth-child(2) a.open")`)

	tab.Keys("?")
	tab.Visible("#keys")
	tab.Keys(kb.Escape)
	tab.Hidden("#keys")
	focus("where it was", `e.matches("#rows > tr:nth-child(2) a.open")`)

	tab.Tab("the way out of the session", `e.closest("form[action='/logout']")`)
	tab.Keys(kb.Enter)
	tab.At("/login")
	focus("the token", `e.id == "token"`)
}

// Wherever the tabulator stops, the stop can be seen, and nothing covers it.
func TestFocusIsSeen(t *testing.T) {
	w := newWeek(t)
	takeSnapshot(t, w, "deletions", time.Now())
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	for _, address := range []string{entrance, entrance + "&live=1&event=" + w.events[0].ID.String(), events + w.events[0].ID.String(), list + "/query?method=DELETE", list + "/values/actor", "/security/snapshots", list + "?actr=1"} {
		tab.Tolerate("status of 400")
		for _, look := range []browsertest.Look{{}, {Theme: browsertest.Dark}, {Width: browsertest.Phone}} {
			tab.As(look)
			tab.Go(address)
			stops := 0
			for range 250 {
				tab.Keys("\t")
				seen := browsertest.Eval[string](tab, focusSeen)
				if seen == "end" {
					break
				}
				if stops++; seen != "" {
					t.Errorf("%s, %s, %d pixels: %s", address, tab.Look.Theme, tab.Look.Width, seen)
				}
			}
			if stops < 5 {
				t.Errorf("%s has %d stops", address, stops)
			}
		}
	}
}

// focusSeen gives what is wrong with how the focus is seen, "" if nothing is,
// and "end" where the tabulator begins again.
const focusSeen = `(() => {
	const e = document.activeElement;
	window.stops ||= new Set();
	if (e == document.body || stops.has(e)) return "end";
	stops.add(e);
	const name = e.outerHTML.slice(0, 160).replace(/\s+/g, " ");
	const ring = x => {
		if (!x) return false;
		const s = getComputedStyle(x);
		return s.outlineStyle != "none" && parseFloat(s.outlineWidth) >= 2 || x instanceof SVGElement && s.stroke != "none" && parseFloat(s.strokeWidth) >= 2;
	};
	if (![e, e.nextElementSibling, ...e.querySelectorAll("*")].some(ring)) return "nothing shows the focus on " + name;
	const own = x => x && (e.contains(x) || x.contains(e) || e.labels && [...e.labels].some(l => l.contains(x)));
	const boxes = [...e.getClientRects()].filter(b => b.width && b.height);
	if (!boxes.some(b => own(document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2)) || own(document.elementFromPoint(b.x + 2, b.y + 2)))) return "the focus is hidden on " + name;
	return "";
})()`
