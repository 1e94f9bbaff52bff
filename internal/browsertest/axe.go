package browsertest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// axeSource reads axe-core once.
var axeSource = sync.OnceValues(func() (string, error) {
	path := os.Getenv("AXE")
	if path == "" {
		return "", fmt.Errorf("AXE is not set; run: export AXE=$(hack/axe.sh)")
	}
	b, err := os.ReadFile(path)
	return string(b), err
})

// axeRun looks for breaches of WCAG 2.2 AA, and of what axe-core's authors
// advise, once nothing moves any more.
const axeRun = `(async () => {
	await Promise.all(document.getAnimations().filter(a => a.effect?.getComputedTiming().iterations !== Infinity).map(a => a.finished.catch(() => {})));
	const got = await axe.run(document, {runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}, resultTypes: ["violations"]});
	return got.violations.map(v => ({id: v.id, impact: v.impact ?? "", help: v.help, tags: v.tags, nodes: v.nodes.map(n => n.target.join(" ") + ": " + (n.failureSummary ?? "").split("\n").slice(1).map(s => s.trim()).join("; "))}));
})()`

type violation struct {
	ID, Impact, Help string
	Tags, Nodes      []string
}

func (v violation) String() string {
	return fmt.Sprintf("%s (%s): %s\n\t%s", v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n\t"))
}

// Axe looks for what keeps people out of the page as it is now, a menu or a
// drawer open as they are, and keeps a screenshot of it by the state's name.
// Breaches of WCAG 2.2 AA fail the test, as does a page that scrolls sideways;
// other advice is logged.
func (tab *Tab) Axe(state string) {
	tab.t.Helper()
	tab.Screenshot(state)
	if wide := tab.Overflow(); wide != "" {
		tab.t.Errorf("%s, %s, %d pixels: the page scrolls sideways: %s", state, tab.Look.Theme, tab.Look.Width, wide)
	}
	for _, v := range tab.violations() {
		if slices.Contains(v.Tags, "best-practice") {
			tab.t.Logf("%s, %s, %d pixels: axe advises: %s", state, tab.Look.Theme, tab.Look.Width, v)
			continue
		}
		tab.t.Errorf("%s, %s, %d pixels: axe finds %s", state, tab.Look.Theme, tab.Look.Width, v)
	}
}

func (tab *Tab) violations() []violation {
	tab.t.Helper()
	source, err := axeSource()
	if err != nil {
		tab.t.Fatal(err)
	}
	Eval[bool](tab, `(() => { if (!window.axe) { `+source+` } return true })()`)
	// It looks at every element, which takes a busy machine long.
	found, err := evalWithin[[]violation](tab, axeRun, 6*wait)
	if err != nil {
		tab.t.Fatalf("axe-core: %v\n%s", err, tab.state())
	}
	return found
}
