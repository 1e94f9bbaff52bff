package browsertest

// unseen goes through all that the keyboard can reach, forwards and back, and
// says what shows no focus, or has it while something covers all of it.
const unseen = `(() => {
	const looks = e => [e, e.nextElementSibling, ...e.children].map(x => {
		if (!x) return "";
		const s = getComputedStyle(x);
		return [s.outlineStyle != "none" && parseFloat(s.outlineWidth) > 0 && s.outlineColor, s.boxShadow, s.borderColor, s.backgroundColor, s.stroke].join();
	}).join();
	const named = e => e.outerHTML.replace(/\s+/g, " ").slice(0, 120);
	const reached = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].
		filter(e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({visibilityProperty: true}));
	const bad = new Set(), before = document.activeElement;
	for (const e of [...reached, ...reached.toReversed()]) {
		document.activeElement.blur();
		const was = looks(e);
		e.focus({focusVisible: true});
		if (document.activeElement != e) continue; // inert, behind a dialog
		if (looks(e) == was) bad.add("shows no focus: " + named(e));
		const seen = [...e.getClientRects()].some(box => [.02, .5, .98].some(x => [.05, .5, .95].some(y => {
			const hit = document.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
			return hit && (e.contains(hit) || hit.contains(e));
		})));
		if (!seen) bad.add("is covered when it has the focus: " + named(e));
	}
	document.activeElement.blur();
	if (before != document.body) before?.focus({preventScroll: true});
	scrollTo(0, 0);
	return [...bad];
})()`

// moving says what moves, though the person asked for less motion.
const moving = `document.getAnimations().filter(a => a.playState == "running").map(a => (a.animationName ?? a.transitionProperty) + " of " + a.effect?.target?.outerHTML.slice(0, 120))`

// Keyboard fails the test when the keyboard reaches what does not show that it
// has the focus, or can't be seen then.
func (tab *Tab) Keyboard(state string) {
	tab.t.Helper()
	for _, e := range Eval[[]string](tab, unseen) {
		tab.t.Errorf("%s, %s, %d pixels: %s", state, tab.Look.Theme, tab.Look.Width, e)
	}
}

// Still fails the test when something moves in a tab of reduced motion.
func (tab *Tab) Still(state string) {
	tab.t.Helper()
	if !tab.Look.ReducedMotion {
		tab.t.Fatalf("%s: the tab does not ask for less motion", state)
	}
	for _, e := range Eval[[]string](tab, moving) {
		tab.t.Errorf("%s: with reduced motion there is still %s", state, e)
	}
}

// Reflow fails the test when the page scrolls sideways at 320 pixels, which is
// a laptop's window at 400 %, or at 640.
func (tab *Tab) Reflow(state string) {
	tab.t.Helper()
	was := tab.Look
	for _, width := range []int{320, 640} {
		look := was
		look.Width = width
		tab.As(look)
		if wide := tab.Overflow(); wide != "" {
			tab.t.Errorf("%s, %d pixels: the page scrolls sideways: %s", state, width, wide)
		}
	}
	tab.As(was)
}
