package journeys

import (
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Live shows what arrives and matches, says what chart and count lack until
// they agree again, keeps still while paused, and is a part of the address.
func TestLive(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list+"?method=DELETE", browsertest.Look{})
	n := w.count(sevenDays, func(e *audit.Event) bool { return e.Method == "DELETE" })
	shows(t, tab, n)
	tab.Click(`#toolbar a[href*="live=1"]`)
	tab.At(list + "?method=DELETE&live=1")
	tab.Visible("#tail[data-state=live]")
	shows(t, tab, n)

	// arrives stores an event of a method now, with a name of its own.
	arrivals := 160
	arrives := func(method, name string) {
		t.Helper()
		for arrivals++; []string{"POST", "PATCH", "DELETE", "GET"}[arrivals%4] != method; {
			arrivals++
		}
		e := weekEvent(arrivals, time.Now().UTC().Truncate(time.Microsecond))
		e.ResourceName = name
		w.add(t, e)
	}
	const first = `document.querySelector("#rows > tr:first-child .name").textContent`
	arrives("POST", "not-asked-for")
	arrives("DELETE", "seen-live")
	tab.Await("the event that was asked for", first+` == "seen-live"`)
	if rows := tab.Texts("#rows .name"); strings.Contains(strings.Join(rows, " "), "not-asked-for") {
		t.Errorf("what the filter leaves out is among %s", rows)
	}
	// Chart and count are of before, and say so; then they agree.
	if tab.Text("#count strong") == itoa(n) {
		contains(t, "beside the old count", tab.Text("#tail-new"), "1 new event that chart and count don’t have yet")
	}
	tab.Await("chart and count to agree", `document.querySelector("#tail-new").textContent == ""`)
	shows(t, tab, n+1)

	tab.Click("#tail-pause")
	tab.Visible("#tail[data-state=paused]")
	arrives("DELETE", "while-paused")
	// Somebody who asks has it, this page does not.
	other := tab.Another(browsertest.Look{})
	other.SignIn(world.Tokens[webtest.Everywhere], list+"?method=DELETE")
	shows(t, other, n+2)
	if got := browsertest.Eval[string](tab, first); got != "seen-live" {
		t.Errorf("while paused the first row becomes %s", got)
	}
	tab.Click("#tail-pause")
	tab.Await("what arrived in the meantime", first+` == "while-paused"`)

	// Another filter goes on live, and follows what is asked for now.
	tab.Click("#m-method > summary")
	tab.Click(`#v-method input[name="method"][value="DELETE"]`)
	tab.At(list + "?live=1")
	tab.Click(`#v-method input[name="method"][value="POST"]`)
	tab.At(list + "?method=POST&live=1")
	tab.Keys("\x1b")
	tab.Visible("#tail[data-state=live]")
	arrives("DELETE", "no-more-asked-for")
	arrives("POST", "asked-for-now")
	tab.Await("what is asked for now", first+` == "asked-for-now"`)
	if rows := tab.Texts("#rows .name"); strings.Contains(strings.Join(rows, " "), "no-more-asked-for") {
		t.Errorf("what the filter leaves out is among %s", rows)
	}

	// The address has it: loaded again it goes on; turned off it is over.
	tab.Reload()
	tab.Visible("#tail[data-state=live]")
	arrives("POST", "after-a-reload")
	tab.Await("what arrives after a reload", first+` == "after-a-reload"`)
	tab.Click("#toolbar a[aria-current]")
	tab.At(list + "?method=POST")
	if tab.Has("#tail") {
		t.Error("turned off, it is still there")
	}
	shows(t, tab, w.count(sevenDays, func(e *audit.Event) bool { return e.Method == "POST" })+3)
	tab.Back()
	tab.At(list + "?method=POST&live=1")
	tab.Visible("#tail[data-state=live]")
}
