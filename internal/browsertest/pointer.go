package browsertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/chromedp/chromedp"
)

// Click clicks the first element that a selector matches with the mouse, where
// a person would aim at it: a box or a button with a label on the label's text,
// anything else in its middle. It does once the element is visible, stands
// still, nothing covers it, and nothing is about to take its place.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.click(selector, clickable)
}

// ClickThere clicks in the middle of what a selector matches, whatever takes
// the click there: a text, a number, the space between two things.
func (tab *Tab) ClickThere(selector string) {
	tab.t.Helper()
	tab.click(selector, seen)
}

func (tab *Tab) click(selector, where string) {
	tab.t.Helper()
	var at, before []float64
	deadline := time.Now().Add(wait)
	for at == nil || !slices.Equal(at, before) {
		if time.Now().After(deadline) {
			tab.t.Fatalf("nothing can be clicked at %s, or it never stands still\n%s", selector, tab.state())
		}
		before = at
		at, _ = eval[[]float64](tab, fmt.Sprintf(where, quote(selector)))
	}
	tab.do("click "+selector, chromedp.MouseClickXY(at[0], at[1]))
}

// aim is the script's functions by which a click finds its place. The text of a
// label is its first that can be seen.
const aim = `
	const textOf = label => {
		const texts = document.createTreeWalker(label, NodeFilter.SHOW_TEXT);
		for (let text; (text = texts.nextNode());) {
			if (!text.data.trim() || !text.parentElement.checkVisibility({visibilityProperty: true})) continue;
			const range = document.createRange();
			range.selectNodeContents(text);
			const box = range.getClientRects()[0];
			if (box && box.width > 3 && box.height > 3 && !text.parentElement.closest(".hidden")) return range;
		}
		return null;
	};
	const labelled = e => e.matches("input[type=checkbox], input[type=radio]") && e.labels.length ? textOf(e.labels[0]) : null;
	const middle = (e, what) => {
		let box = what.getClientRects()[0];
		if (!box || box.top < 0 || box.bottom > innerHeight || box.left < 0 || box.right > innerWidth) e.scrollIntoView({block: "center", inline: "nearest", behavior: "instant"});
		box = what.getClientRects()[0];
		return box && [box.x + box.width / 2, box.y + box.height / 2];
	};
	const takes = (e, at) => {
		const hit = document.elementFromPoint(...at);
		return hit && (e.contains(hit) || hit.contains(e) || hit.closest("label")?.control === e);
	};`

// clickable gives where an element can be clicked, if it can, after what moves
// has moved by a frame's time.
const clickable = `(e => {` + aim + `
	if (!e?.checkVisibility({visibilityProperty: true}) || e.closest(".htmx-request")) return null;
	const at = middle(e, labelled(e) ?? e);
	return at && takes(e, at) ? at : null;
})(document.querySelector(%s))`

// seen gives the middle of an element, if it can be seen.
const seen = `(e => {` + aim + `
	if (!e?.checkVisibility({visibilityProperty: true}) || e.closest(".htmx-request")) return null;
	return middle(e, e);
})(document.querySelector(%s))`

// unclickable goes through all controls that can be seen and says which does
// not take a click where a person aims at it.
const unclickable = `(() => {` + aim + `
	const bad = [];
	for (const e of document.querySelectorAll("a[href], button, input, select, textarea, summary")) {
		if (!e.checkVisibility({visibilityProperty: true}) || e.disabled || e.closest("[inert], .hidden, .skip") || e.closest("svg")) continue;
		if (document.querySelector("dialog[open]") && !e.closest("dialog")) continue;
		const at = middle(e, labelled(e) ?? e);
		if (!at) continue;
		const hit = document.elementFromPoint(...at);
		if (!(hit && (e.contains(hit) || hit.closest("label")?.control === e))) bad.push(e.outerHTML.replace(/\s+/g, " ").slice(0, 120) + " is under " + (hit ? hit.outerHTML.replace(/\s+/g, " ").slice(0, 120) : "nothing"));
	}
	scrollTo(0, 0);
	return bad;
})()`

// Pointer fails the test when a control does not take a click where a person
// would aim at it.
func (tab *Tab) Pointer(state string) {
	tab.t.Helper()
	for _, e := range Eval[[]string](tab, unclickable) {
		tab.t.Errorf("%s, %s, %d pixels: a click does not reach %s", state, tab.Look.Theme, tab.Look.Width, e)
	}
}
