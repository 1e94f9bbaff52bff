package dashboard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/porter-dev/audit-operator/internal/browsertest"
)

// An open menu stays on the screen when the window changes and the bar wraps.
func TestMenusStayOnScreen(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{Width: 900})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs")
	for _, menu := range []string{"#m-time", "#m-status_code", "#m-more", "#toolbar .menu"} {
		tab.Click(menu + " > summary")
		for _, width := range []int{browsertest.Laptop, 820, browsertest.Phone, 1040, browsertest.Wide, 320, browsertest.Tablet + 1, 900} {
			tab.As(browsertest.Look{Width: width})
			tab.Await(fmt.Sprintf("%s to be on a screen of %d pixels", menu, width), fmt.Sprintf(`(box => innerWidth == %d && box.width > 0 && box.left >= 0 && box.right <= innerWidth)(document.querySelector("%s > .panel").getBoundingClientRect())`, width, menu))
		}
		tab.Keys(kb.Escape)
		tab.Click("h1")
		tab.Hidden(menu + " > .panel")
	}
}

// The chart's labels stay in its card, also where the window ends shortly after
// a round time.
func TestTicksStayInTheChart(t *testing.T) {
	h := world.Handler(t, world.Store, false)
	for _, plain := range []bool{false, true} { // whether scripts are off
		tab := browsertest.Serve(t, h, browsertest.Look{NoScript: plain})
		tab.SignIn(world.Tokens[everywhere], "/security/audit-logs")
		for _, end := range []time.Duration{40 * time.Minute, 15 * time.Hour, 23 * time.Hour} {
			to := time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC).Add(end)
			tab.Go("/security/audit-logs?from=" + to.Add(-7*24*time.Hour).Format(time.RFC3339) + "&to=" + to.Format(time.RFC3339))
			for _, width := range []int{browsertest.Laptop, browsertest.Phone, 800, 320} {
				tab.As(browsertest.Look{Width: width, NoScript: plain})
				tab.Await(fmt.Sprintf("the labels of a week that ends at %s to be in a chart on %d pixels", end, width), fmt.Sprintf(`(card => innerWidth == %d && (labels => labels.length > 2 && labels.every(label => label.right <= card.right))([...document.querySelectorAll("#chart .ticks text")].map(e => e.getBoundingClientRect()).filter(box => box.width > 0)))(document.querySelector("#chart").getBoundingClientRect())`, width))
			}
		}
	}
}

// A person investigates: searches, excludes by a menu, finds a value by its
// beginning, removes chips, goes back, and narrows the time by the chart.
func TestListByHand(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, busyStore(t, 3000), false), browsertest.Look{})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs?method_exclude=GET")

	// The search goes out by itself; Enter sends it at once.
	tab.Fill("#search", "check")
	tab.At("/security/audit-logs?method_exclude=GET&search=check")
	tab.Await("the focus to stay", `document.activeElement.id == "search"`)
	tab.Await("the chip", `document.querySelector("#chips").textContent.includes("check")`)
	tab.Await("the count to be said", `/^[0-9,]+ events from /.test(document.getElementById("said").textContent)`)
	tab.Press("#search", "out\r")
	tab.At("/security/audit-logs?method_exclude=GET&search=checkout")

	// A menu excludes; the menu stays open, its button counts.
	tab.Press("#m-actor > summary", "\r")
	tab.Await("the actors' counts", `document.querySelectorAll("#v-actor .n").length > 3`)
	tab.Press(`#v-actor .out input[value="bob@example.com"]`, " ")
	tab.At("/security/audit-logs?actor_exclude=bob%40example.com&method_exclude=GET&search=checkout")
	tab.Await("the badge", `document.querySelector("#on-actor").textContent == "1" && document.querySelector("#m-actor").open`)
	tab.Press(`#v-actor .in input[value="bob@example.com"]`, " ")
	tab.At("/security/audit-logs?actor=bob%40example.com&method_exclude=GET&search=checkout")
	tab.Await("rows of bob alone", `[...document.querySelectorAll("td.actor .most > bdi")].every(e => e.textContent == "bob@example.com")`)

	// What is typed is looked for, and can be chosen itself.
	tab.Fill("#m-actor .find", "system:serviceaccount:a")
	tab.Visible(`#v-actor .in input[value="system:serviceaccount:a*"]`)
	if rows := tab.Texts("#v-actor .row bdi:not(.hidden)"); len(rows) != 4 {
		t.Errorf("the menu offers %q", rows)
	}
	tab.Press(`#v-actor .in input[value="system:serviceaccount:a*"]`, " ")
	tab.At("/security/audit-logs?actor=bob%40example.com&actor=system%3Aserviceaccount%3Aa%2A&method_exclude=GET&search=checkout")
	tab.Keys(kb.Escape)
	tab.Await("the menu to close, and its button to have the focus", `!document.querySelector("#m-actor").open && !!document.activeElement.closest("#m-actor")`)

	// Chips go one by one; the form follows, and so do back and forward.
	tab.Click(`#chips a[aria-label^="Remove bob"]`)
	tab.At("/security/audit-logs?actor=system%3Aserviceaccount%3Aa%2A&method_exclude=GET&search=checkout")
	tab.Await("the focus in the chips", `!!document.activeElement.closest("#chips")`)
	tab.Back()
	tab.At("/security/audit-logs?actor=bob%40example.com&actor=system%3Aserviceaccount%3Aa%2A&method_exclude=GET&search=checkout")
	tab.Visible("#chips")
	tab.Forward()
	tab.At("/security/audit-logs?actor=system%3Aserviceaccount%3Aa%2A&method_exclude=GET&search=checkout")
	tab.Click(".clear")
	tab.At("/security/audit-logs")
	tab.Hidden("#chips")
	if got := tab.Value("#search"); got != "" {
		t.Errorf("after Clear all the search field holds %q", got)
	}

	// Presets, and the chart by keys.
	tab.Click("#m-time > summary")
	tab.Click(`#m-time input[value="last_24_hours"]`)
	tab.At("/security/audit-logs?range=last_24_hours")
	tab.Await("the chart of a day", `document.querySelector("#chart figcaption").textContent.includes("15 minutes") && !!document.querySelector("#chart").dataset.ready`)
	if stops := tab.Count(`#chart .bars a[tabindex="0"]`); stops != 1 {
		t.Errorf("the chart has %d stops for the tabulator", stops)
	}
	tab.Press(`#chart .bars a[tabindex="0"]`, kb.ArrowLeft)
	tab.Keys(kb.ArrowLeft, browsertest.Shift)
	tab.Keys(kb.ArrowLeft, browsertest.Shift)
	said := tab.Text("#read")
	tab.Keys("\r")
	tab.Await("a window of three bars", `new URLSearchParams(location.search).has("to") && document.querySelector("#chips").textContent.includes("Date range")`)
	if count := tab.Text("#count strong"); !strings.HasSuffix(said, ": "+count+" events") {
		t.Errorf("the chart said %q, and the list counts %s", said, count)
	}
	tab.Click(`.zoom a:nth-child(2)`)
	tab.At("/security/audit-logs")

	// What can't be read is said in the page, at the address that was asked for.
	tab.Tolerate("status of 400")
	tab.Tolerate("Response Status Error Code 400")
	tab.Go("/security/audit-logs")
	tab.Click("#m-time > summary")
	browsertest.Eval[bool](tab, `(e => { e.value = "2031-01-01T00:00:00"; e.dispatchEvent(new Event("input", {bubbles: true})); return true })(document.querySelector("#from"))`)
	tab.Press("#m-time button", "\r")
	tab.Visible("#results .problem")
	if got := tab.Text("#results .problem"); !strings.Contains(got, "must be before the end of the range") {
		t.Errorf("the page says %q", got)
	}
}

// Without scripts the same menus are forms and links.
func TestListWithoutScripts(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{NoScript: true})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs?method_exclude=GET")
	tab.Click("#m-resource_type > summary")
	tab.Click(`#m-resource_type .in input[value="application"]`)
	tab.Click(`#m-resource_type .out input[value="project"]`)
	tab.Click("#m-resource_type .apply")
	tab.At("/security/audit-logs?resource_type=application&resource_type_exclude=project&method_exclude=GET")
	tab.Click("#m-time > summary")
	tab.Click(`#m-time input[value="last_hour"]`)
	tab.Click("#m-time button")
	tab.At("/security/audit-logs?resource_type=application&resource_type_exclude=project&method_exclude=GET&range=last_hour")
	tab.Click("#chart .bars a")
	tab.Await("a narrower window", `location.search.includes("&from=") && !location.search.includes("range=")`)
	tab.Go("/security/audit-logs")
	tab.Click("#m-actor > summary")
	tab.Click("#m-actor .unscripted")
	tab.At("/security/audit-logs/values/actor")
	tab.Screenshot("values-without-scripts")
	tab.Click("tbody tr a:nth-child(2)")
	tab.At("/security/audit-logs?actor_exclude=alice")
	tab.Visible(".empty")
}
