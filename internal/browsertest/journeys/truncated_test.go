package journeys

import (
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Truncated events bear a badge, can be chosen and left out, and what a search
// saw of them in part is said; a menu chooses between sources.
func TestTruncatedAndSource(t *testing.T) {
	w := newWeek(t)
	now := time.Now().UTC().Truncate(time.Second)
	batch := store.Batch{Source: "edge", ReceivedAt: now}
	for i := range 3 {
		e := weekEvent(1000+i, now.Add(-time.Duration(i+2)*time.Minute))
		e.Source, e.Truncated, e.Action = batch.Source, i > 0, e.Action+strings.Repeat("-of-a-long-name", i*20)
		if i > 0 { // by hand, by somebody whose name fills its column
			e.Client, e.Actor = audit.ClientCLI, e.Actor+strings.Repeat("-of-a-long-name", i*20)
		}
		batch.Events = append(batch.Events, e)
	}
	if got, err := w.Append(t.Context(), batch); err != nil || got.Stored != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	all := w.count(sevenDays, func(*audit.Event) bool { return true }) + 3

	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	shows(t, tab, all)
	const badges = "#rows .action .badge"
	if n := tab.Count(badges); n != 2 {
		t.Errorf("%d events have a badge, want the 2 that were cut", n)
	}
	if hidden := browsertest.Eval[int](tab, `[...document.querySelectorAll("#rows .badge")].filter(e => {
		e.closest("tr").scrollIntoView({block: "center"});
		const box = e.getBoundingClientRect();
		return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) != e;
	}).length`); hidden > 0 {
		t.Errorf("%d badges are hidden behind a long action or actor", hidden)
	}
	menu := func(name string) {
		t.Helper()
		tab.Click("#m-more > summary")
		tab.Click("#m-" + name + " > summary")
	}

	menu("truncated")
	tab.ClickThere("#m-truncated .row:nth-child(2) span")
	tab.At(list + "?truncated=true")
	shows(t, tab, 2)
	contains(t, "the chips", chips(tab), "Truncated", "only truncated events")
	contains(t, "the button", tab.Text("#m-more > summary"), "1")
	tab.ClickThere("#m-truncated .row:nth-child(3) span")
	tab.At(list + "?truncated=false")
	shows(t, tab, all-2)
	if tab.Has(badges) {
		t.Error("an event that was cut is among the whole ones")
	}
	tab.ClickThere("#m-truncated .row:nth-child(1) span")
	tab.At(list)
	shows(t, tab, all)
	tab.Click("h1")
	tab.Hidden("#m-more > .panel")

	// The badge is part of its row, which opens the event beside the list.
	tab.ClickThere(badges)
	tab.Visible(".drawer .lead .badge")
	contains(t, "the event", tab.Text(".drawer"), "Truncated", "The client sent more than is kept", "edge")
	tab.Click("[data-drawer-close]")
	tab.At(list)

	// A search says what it did not see all of, and leads there.
	tab.Press("#search", "nothing is named so\r")
	tab.At(list + "?search=nothing+is+named+so")
	contains(t, "the note", tab.Text(".in-part"), "2 truncated events were searched only in part")
	tab.Click(".in-part a")
	tab.At(list + "?truncated=true")
	shows(t, tab, 2)
	if tab.Has(".in-part") {
		t.Error("a list without a search says that it searched")
	}
	tab.Click("#chips .clear")
	tab.At(list)
	shows(t, tab, all)

	menu("source")
	tab.Visible(`#v-source input[value="edge"]`)
	row := `#v-source .row:has(input[value="edge"])`
	contains(t, "the menu", tab.Text(row), "edge", "3")
	tab.ClickThere(row + " .in bdi")
	tab.At(list + "?source=edge")
	shows(t, tab, 3)
	contains(t, "the chips", chips(tab), "Source", "edge")
	tab.ClickThere(row + " .out span")
	tab.At(list + "?source_exclude=edge")
	shows(t, tab, all-3)
	tab.Click("h1")
	tab.Hidden("#v-source")
}
