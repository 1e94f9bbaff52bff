package journeys

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// The navigation leads to what was changed, and a link stays what it is.
func TestEntrance(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, "/", browsertest.Look{})
	tab.At(entrance)
	shows(t, tab, w.count(sevenDays, written))
	contains(t, "the chips", chips(tab), "Method", "GET")

	tab.Go(list)
	tab.At(list)
	shows(t, tab, w.count(sevenDays, func(*audit.Event) bool { return true }))
	if tab.Has("#chips .chip") {
		t.Errorf("a link without filters has the chips %s", chips(tab))
	}
	tab.Click("header nav a")
	tab.At(entrance)
}

func TestTimeRange(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, entrance, browsertest.Look{TimeZone: "Asia/Tokyo"})
	for _, preset := range []struct {
		label, value string
		span         time.Duration
	}{{"Last hour", "last_hour", time.Hour}, {"Last 24 hours", "last_24_hours", 24 * time.Hour}, {"Last 30 days", "last_30_days", 30 * 24 * time.Hour}, {"Last 7 days", "", sevenDays}} {
		tab.Click("#m-time > summary")
		contains(t, "the menu of time ranges", tab.Text("#m-time .panel"), preset.label)
		radio := `#m-time input[value="` + preset.value + `"]`
		if preset.value == "" {
			radio = `#m-time input[value=""], #m-time input[value="last_7_days"]`
		}
		tab.Click(radio)
		want := entrance
		if preset.value != "" {
			want += "&range=" + preset.value
		}
		tab.At(want)
		shows(t, tab, w.count(preset.span, written))
		tab.Keys(kb.Escape)
		contains(t, "the button", tab.Text("#m-time > summary"), preset.label)
	}

	// A custom range is typed in the reader's time zone, and kept in UTC.
	from, to := w.events[60].OccurredAt, w.events[20].OccurredAt
	tokyo := time.FixedZone("JST", 9*3600)
	tab.Click("#m-time > summary")
	tab.FillTime("#from", from.In(tokyo))
	tab.FillTime("#to", to.In(tokyo))
	tab.Click("#m-time button.primary")
	tab.At(entrance + "&from=" + url.QueryEscape(from.Format(time.RFC3339)) + "&to=" + url.QueryEscape(to.Format(time.RFC3339)))
	n := 0
	for i := range w.events {
		if e := &w.events[i]; written(e) && !e.OccurredAt.Before(from) && e.OccurredAt.Before(to) {
			n++
		}
	}
	shows(t, tab, n)
	contains(t, "the window", tab.Text("#count"), from.In(tokyo).Format(time.DateTime), to.In(tokyo).Format(time.DateTime))
	// Who opens the same address elsewhere reads the same times in another zone.
	tab.As(browsertest.Look{TimeZone: "America/St_Johns"})
	tab.Reload()
	shows(t, tab, n)
	stJohns, err := time.LoadLocation("America/St_Johns")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "the window", tab.Text("#count"), from.In(stJohns).Format(time.DateTime), to.In(stJohns).Format(time.DateTime))
	tab.Click("#m-time > summary")
	if got := tab.Value("#from"); got != from.In(stJohns).Format("2006-01-02T15:04:05") {
		t.Errorf("the field for the beginning holds %s", got)
	}
}

// Each filter includes and excludes what its menu offers, by checkboxes, and
// its chip takes it away again.
func TestFilters(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	all := w.count(sevenDays, func(*audit.Event) bool { return true })
	for _, f := range []struct {
		dimension query.Dimension
		value     string
		is        func(e *audit.Event) bool
	}{
		{query.ByResourceType, "application", func(e *audit.Event) bool { return e.ResourceType == "application" }},
		{query.ByActor, alice, func(e *audit.Event) bool { return e.Actor == alice }},
		{query.ByMethod, "DELETE", func(e *audit.Event) bool { return e.Method == "DELETE" }},
		{query.ByAction, "application.create", func(e *audit.Event) bool { return e.Action == "application.create" }},
		{query.ByIP, "192.0.2.3", func(e *audit.Event) bool { return e.IPs[0].String() == "192.0.2.3" }},
		{query.ByStatusCode, "403", func(e *audit.Event) bool { return e.StatusCode == 403 }},
		{query.ByResourceName, "thing-7", func(e *audit.Event) bool { return e.ResourceName == "thing-7" }},
		{query.ByCluster, webtest.OwnCluster, func(e *audit.Event) bool { return true }},
		{query.ByClient, "cli", func(e *audit.Event) bool { return e.Client == audit.ClientCLI }},
		{query.ByNamespace, "shop", func(e *audit.Event) bool { return e.Namespace == "shop" }},
	} {
		t.Run(string(f.dimension), func(t *testing.T) {
			menu := "#m-" + string(f.dimension)
			included := w.count(sevenDays, f.is)
			open := func() {
				t.Helper()
				if outer := browsertest.Eval[bool](tab, `!!document.querySelector("`+menu+`").parentElement.closest("details")`); outer {
					tab.Click("#m-more > summary")
				}
				tab.Click(menu + " > summary")
				tab.Visible(menu + ` input[name="` + string(f.dimension) + `"][value="` + f.value + `"]`)
			}
			open()
			tab.Click(menu + ` input[name="` + string(f.dimension) + `"][value="` + f.value + `"]`)
			tab.At(list + "?" + string(f.dimension) + "=" + url.QueryEscape(f.value))
			shows(t, tab, included)
			tab.Click(menu + ` input[name="` + string(f.dimension) + `_exclude"][value="` + f.value + `"]`)
			tab.At(list + "?" + string(f.dimension) + "_exclude=" + url.QueryEscape(f.value))
			tab.Await("the count", `document.querySelector("#count strong")?.textContent == "`+itoa(all-included)+`"`)
			if got := browsertest.Eval[int](tab, sumOfBars); got != all-included {
				t.Errorf("the chart has %d, want %d", got, all-included)
			}
			tab.Keys(kb.Escape)
			if tab.Count("#chips .chip") != 1 {
				t.Errorf("the chips are %s, want one", chips(tab))
			}
			tab.Click("#chips .chip a")
			tab.At(list)
			shows(t, tab, all)
		})
	}
}

// The resource type picker describes the six types; several are any of them.
func TestResourceTypePicker(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	tab.Click("#m-resource_type > summary")
	offered := tab.Text("#m-resource_type .panel")
	for _, resourceType := range audit.BuiltInResourceTypes() {
		contains(t, "the picker", offered, resourceType.DisplayName, resourceType.Description)
	}
	tab.Click(`#m-resource_type input[name="resource_type"][value="application"]`)
	tab.At(list + "?resource_type=application")
	tab.Click(`#m-resource_type input[name="resource_type"][value="environment_group"]`)
	const both = list + "?resource_type=application&resource_type=environment_group"
	tab.At(both)
	shows(t, tab, w.count(sevenDays, func(e *audit.Event) bool {
		return e.ResourceType == "application" || e.ResourceType == "environment_group"
	}))
	contains(t, "the chips", chips(tab), "Resource type", "any of", "Application", "Environment group")
	tab.Screenshot("filter-types")
	// One of the two goes, then all.
	tab.Keys(kb.Escape)
	tab.Click("#chips .chip a")
	tab.At(list + "?resource_type=environment_group")
	tab.Click("#chips .clear")
	tab.At(list)
	shows(t, tab, w.count(sevenDays, func(*audit.Event) bool { return true }))
}

// A menu counts its values when it opens, within the other filters, and finds
// those that hold what is typed.
func TestFacetMenu(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, entrance, browsertest.Look{})
	tab.Click("#m-actor > summary")
	tab.Await("counts", `document.querySelectorAll("#v-actor .n").length == 3`)
	for i, actor := range []string{alice, bob, ci} {
		n := w.count(sevenDays, func(e *audit.Event) bool { return written(e) && e.Actor == actor })
		row := browsertest.Eval[string](tab, `[...document.querySelectorAll("#v-actor .row")].find(r => r.textContent.includes("`+actor+`"))?.querySelector(".n").textContent ?? ""`)
		if row != itoa(n) {
			t.Errorf("actor %d is counted %q times, want %d", i, row, n)
		}
	}
	tab.Fill("#m-actor .find", "DEPLOY")
	tab.Await("the one that matches", `document.querySelectorAll("#v-actor .n").length == 1`)
	if found := tab.Text("#v-actor"); strings.Contains(found, alice) || strings.Contains(found, bob) {
		t.Errorf("a part of one name finds %s", found)
	}
	tab.Click(`#v-actor input[name="actor"][value="` + ci + `"]`)
	tab.At(list + "?actor=" + url.QueryEscape(ci) + "&method_exclude=GET")
}

// The search waits for a pause, does not for Enter, takes spaces for nothing
// and begins at the first page.
func TestSearch(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	tab.Go(tab.Attribute(`a[rel="next"]`, "href"))
	n := w.count(sevenDays, func(e *audit.Event) bool { return strings.HasSuffix(e.ResourceName, "-11") })
	tab.Fill("#search", "THING-11")
	tab.At(list + "?search=THING-11")
	shows(t, tab, n)
	tab.Fill("#search", "thing-12\r")
	tab.At(list + "?search=thing-12")
	shows(t, tab, w.count(sevenDays, func(e *audit.Event) bool { return strings.HasSuffix(e.ResourceName, "-12") }))
	tab.Fill("#search", "   \r")
	tab.Await("no search", `!new URLSearchParams(location.search).get("search")`)
	tab.Go(list + "?search=+++")
	shows(t, tab, w.count(sevenDays, func(*audit.Event) bool { return true }))
	if most := tab.Attribute("#search", "maxlength"); most != "255" {
		t.Errorf("a search has at most %s characters, want 255", most)
	}
}

// A stretch of the chart narrows the range: by the mouse and by keys. Chart,
// count and table agree before and after.
func TestBrush(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	before := w.count(sevenDays, func(*audit.Event) bool { return true })
	shows(t, tab, before)
	box := browsertest.Eval[[]float64](tab, `(b => [b.x, b.y, b.width, b.height])(document.querySelector("#chart svg").getBoundingClientRect())`)
	y := box[1] + box[3]/2
	tab.Mouse(
		chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, box[0]+box[2]*0.30, y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, box[0]+box[2]*0.45, y, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, box[0]+box[2]*0.60, y, chromedp.ButtonLeft),
	)
	tab.Screenshot("brush")
	tab.Mouse(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, box[0]+box[2]*0.60, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	narrowed := inRange(t, tab, w)
	if narrowed == 0 || narrowed >= before {
		t.Errorf("the brush narrows %d events to %d", before, narrowed)
	}
	shows(t, tab, narrowed)

	// By keys: the last bar, and with Shift the four before it.
	tab.Tab("the chart", `!!e.closest("#chart .bars")`)
	for range 4 {
		tab.Keys(kb.ArrowLeft, browsertest.Shift)
	}
	tab.Keys(kb.Enter)
	tab.Await("a narrower range", `document.querySelector("#count strong").textContent != "`+itoa(narrowed)+`"`)
	again := inRange(t, tab, w)
	if again == 0 || again >= narrowed {
		t.Errorf("the keys narrow %d events to %d", narrowed, again)
	}
	shows(t, tab, again)
	tab.Back()
	tab.Await("the range before", `document.querySelector("#count strong")?.textContent == "`+itoa(narrowed)+`"`)
}

// inRange waits for a range in the address and counts the events in it.
func inRange(t *testing.T, tab *browsertest.Tab, w week) int {
	t.Helper()
	tab.Await("a range in the address", `new URLSearchParams(location.search).has("from") && !document.querySelector(".htmx-request")`)
	u, err := url.Parse(tab.Address())
	if err != nil {
		t.Fatal(err)
	}
	from, errFrom := time.Parse(time.RFC3339Nano, u.Query().Get("from"))
	to, errTo := time.Parse(time.RFC3339Nano, u.Query().Get("to"))
	if errFrom != nil || errTo != nil {
		t.Fatalf("the range %q is no range: %v, %v", u.RawQuery, errFrom, errTo)
	}
	n := 0
	for i := range w.events {
		if at := w.events[i].OccurredAt; !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}
