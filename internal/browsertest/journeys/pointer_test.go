package journeys

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// A click anywhere on a value's row of an open menu ticks the value, a click on
// what else a menu says does nothing, and the menu stays until it is left.
func TestMenusByPointer(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	dimensions := []query.Dimension{
		query.ByResourceType, query.ByActor, query.ByMethod, query.ByAction, query.ByIP, query.ByStatusCode,
		query.ByResourceName, query.ByNamespace, query.ByCluster, query.BySource, query.ByClient, query.ByStage,
		query.ByResource, query.ByGroup, query.ByUserAgent,
	}
	if menus := tab.Count("#filters .values[hx-get]"); menus != len(dimensions) {
		t.Fatalf("the page has %d menus of values, and this test goes through %d", menus, len(dimensions))
	}
	for _, dimension := range dimensions {
		t.Run(string(dimension), func(t *testing.T) {
			tab.Go(list)
			menu, values := "#m-"+string(dimension), "#v-"+string(dimension)
			if browsertest.Eval[bool](tab, `!!document.querySelector("`+menu+`").parentElement.closest("details")`) {
				tab.Click("#m-more > summary")
			}
			tab.Click(menu + " > summary")
			// The first row that the log counts.
			const row = ".row:has(.n)"
			tab.Visible(values + " " + row)
			value := tab.Attribute(values+" "+row+" .in input", "value")
			chosen := list + "?" + string(dimension) + "=" + url.QueryEscape(value)
			stays := func(what, address string) {
				t.Helper()
				tab.Await("the answer to a click on "+what+", at "+address, fmt.Sprintf(`location.pathname + location.search == %q && !document.querySelector(".htmx-request")`, address))
				if !browsertest.Eval[bool](tab, `document.querySelector("`+menu+`").open`) {
					t.Fatalf("a click on %s shuts the menu", what)
				}
			}
			for _, aim := range []struct{ what, at string }{
				{"the value's text", " .in bdi"}, {"its count", " .n"}, {"the middle of its row", ""},
			} {
				tab.ClickThere(values + " " + row + aim.at)
				stays(aim.what, chosen)
				tab.ClickThere(values + " " + row + aim.at)
				stays(aim.what+", again", list)
			}
			tab.ClickThere(values + " " + row + " .out span")
			stays("not", list+"?"+string(dimension)+"_exclude="+url.QueryEscape(value))
			tab.ClickThere(values + " " + row + " .out span")
			stays("not, again", list)
			if hint := menu + " > .panel > fieldset > .note, " + menu + " > fieldset > .note"; tab.Text(hint) != "" {
				tab.ClickThere(hint)
				stays("the note", list)
			}
			if hint := values + " .in small"; tab.Has(hint) {
				tab.ClickThere(hint)
				tab.Await("the value of a note to be ticked", `!!document.querySelector("`+values+` .row:has(small) .in input").checked`)
				stays("a value's note", tab.Address())
			}
			tab.Click("h1")
			tab.Hidden(values)
		})
	}
}

// The same of the menus that hold no values of the log.
func TestOtherMenusByPointer(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	open := func(menu string) {
		t.Helper()
		if !browsertest.Eval[bool](tab, `document.querySelector("`+menu+`").open`) {
			t.Fatalf("the click shuts %s", menu)
		}
	}

	tab.Click("#m-time > summary")
	for i, range_ := range []string{"last_hour", "last_24_hours", "last_7_days", "last_30_days"} {
		tab.ClickThere(fmt.Sprintf("#m-time .row:nth-child(%d) span", i+1))
		want := list + "?range=" + range_
		if range_ == "last_7_days" {
			want = list
		}
		tab.At(want)
		open("#m-time")
	}
	tab.ClickThere("#m-time label.row:has(#time-custom) span")
	tab.ClickThere(`#m-time label[for="from"]`)
	tab.Await("the field that the label is of", `document.activeElement.id == "from"`)
	open("#m-time")
	tab.ClickThere("#m-time .dates")
	open("#m-time")
	tab.Click("h1")
	tab.Hidden("#m-time .panel")

	tab.Go(list)
	tab.Click("#m-more > summary")
	for _, flag := range []string{"dry_run", "truncated"} {
		menu := "#m-" + flag
		tab.Click(menu + " > summary")
		for i, address := range []string{list + "?" + flag + "=true", list + "?" + flag + "=false", list} {
			tab.ClickThere(fmt.Sprintf("%s .row:nth-child(%d) span", menu, (i+1)%3+1))
			tab.At(address)
			open(menu)
			open("#m-more")
		}
	}

	const export = "#toolbar details.menu"
	tab.Click(export + " > summary")
	for _, note := range []string{" .note", " .note:last-child", " .panel"} {
		tab.ClickThere(export + note)
		open(export)
	}
	tab.Click(".why > summary")
	tab.Hidden(export + " .panel")
	tab.ClickThere(".why .card")
	open(".why")
	tab.Click("h1")
	tab.Hidden(".why .card")
}

// A text that is selected in a menu may end outside of it; the keyboard leaves a
// menu when the focus does.
func TestMenusAreLeft(t *testing.T) {
	tab := at(t, newWeek(t), webtest.Everywhere, list, browsertest.Look{})
	tab.Click("#m-time > summary")
	box := browsertest.Eval[[]float64](tab, `(b => [b.x + 5, b.y + b.height / 2, b.right + 200])(document.querySelector("#m-time label[for=from]").getBoundingClientRect())`)
	tab.Mouse(
		chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, box[0], box[1], chromedp.ButtonLeft, chromedp.ClickCount(1)),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, box[2], box[1], chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, box[2], box[1], chromedp.ButtonLeft, chromedp.ClickCount(1)),
	)
	if !browsertest.Eval[bool](tab, `document.querySelector("#m-time").open`) {
		t.Error("selecting a text of the menu shuts it")
	}
	tab.Tab("what is behind the menu", `!e.closest("#m-time")`)
	tab.Hidden("#m-time .panel")
}

// A field for a time that nobody touched sends the instant that it came with,
// also where a zone has its hour twice.
func TestRepeatedHour(t *testing.T) {
	w := week{Store: embeddedtest.Open(t, embedded.Options{Retention: 100 * 365 * 24 * time.Hour})}
	night := time.Date(2025, 10, 26, 0, 0, 0, 0, time.UTC)
	for i, minute := range []time.Duration{35, 95, 100} {
		w.add(t, weekEvent(i, night.Add(minute*time.Minute)))
	}
	const window = "from=2025-10-26T01%3A30%3A00Z&to=2025-10-26T01%3A45%3A00Z"
	for _, look := range []browsertest.Look{{TimeZone: "Europe/Berlin"}, {TimeZone: "Europe/Berlin", NoScript: true}} {
		tab := at(t, w, webtest.Everywhere, list+"?"+window, look)
		shows(t, tab, 2)
		tab.Press("#search", "thing\r")
		tab.At(list + "?search=thing&" + window)
		shows(t, tab, 2)
	}

	// Another zone on the page, and back, changes nothing.
	tab := at(t, w, webtest.Everywhere, list+"?"+window, browsertest.Look{TimeZone: "Europe/Berlin"})
	for _, zone := range []string{"utc", "local"} {
		browsertest.Eval[bool](tab, `(e => { e.value = "`+zone+`"; e.dispatchEvent(new Event("change", {bubbles: true})); return true })(document.querySelector("#zone"))`)
	}
	if from := tab.Value("#from"); from != "2025-10-26T02:30" && from != "2025-10-26T02:30:00" {
		t.Errorf("the field for the beginning holds %s", from)
	}
	tab.Press("#search", "thing\r")
	tab.At(list + "?search=thing&" + window)

	// What was typed is of the first of the two hours, as browsers read it.
	tab.Click("#m-time > summary")
	tab.FillTime("#to", time.Date(2025, 10, 26, 2, 50, 0, 0, time.UTC))
	tab.FillTime("#from", time.Date(2025, 10, 26, 1, 30, 0, 0, time.UTC))
	tab.Click("#m-time button.primary")
	tab.At(list + "?search=thing&from=2025-10-25T23%3A30%3A00Z&to=2025-10-26T00%3A50%3A00Z")
	shows(t, tab, 1)
}
