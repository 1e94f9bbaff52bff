package journeys

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Without scripts people sign in, filter by forms and links, narrow the time,
// turn pages and read events; what would need scripts is not offered.
func TestFiltersWithoutScripts(t *testing.T) {
	w := newWeek(t)
	tab := browsertest.Serve(t, world.Handler(t, w, false), browsertest.Look{NoScript: true})
	tab.Go(entrance)
	tab.Fill("#token", world.Tokens[webtest.Everywhere])
	tab.Click(".sign-in form button")
	tab.At(entrance)
	shows(t, tab, w.count(sevenDays, written))
	contains(t, "the heading of the times", tab.Text("thead"), "UTC")
	tab.Hidden("[data-scripted], #choices")

	// The menus are forms: by boxes, and by what is typed.
	tab.Click("#m-method > summary")
	tab.Click(`#m-method input[name="method"][value="DELETE"]`)
	tab.Click("#m-method .apply")
	tab.At(list + "?method=DELETE&method_exclude=GET")
	tab.Click("#m-actor > summary")
	tab.Fill(`#m-actor .typed input[name="actor"]`, alice)
	tab.Click("#m-actor .apply")
	both := list + "?actor=" + url.QueryEscape(alice) + "&method=DELETE&method_exclude=GET"
	tab.At(both)
	deletions := func(e *audit.Event) bool { return e.Method == "DELETE" && e.Actor == alice }
	shows(t, tab, w.count(sevenDays, deletions))
	tab.Fill("#search", "thing-1")
	tab.Click(".search button")
	tab.At(both + "&search=thing-1")
	shows(t, tab, w.count(sevenDays, func(e *audit.Event) bool { return deletions(e) && strings.HasPrefix(e.ResourceName, "thing-1") }))
	// Or by a page of values with their counts.
	tab.Click("#m-more > summary")
	tab.Click("#m-namespace > summary")
	tab.Click("#m-namespace .unscripted")
	tab.Visible("tbody tr")
	tab.Click(`tbody a[href*="namespace=shop"]`)
	tab.At(both + "&namespace=shop&search=thing-1")
	// Chips take filters away.
	tab.Click(`#chips a[href="` + both + `&namespace=shop"]`)
	tab.At(both + "&namespace=shop")
	tab.Click("#chips .clear")
	tab.At(list)
	all := w.count(sevenDays, func(*audit.Event) bool { return true })
	shows(t, tab, all)

	// A custom range, in UTC; then by a bar of the chart.
	from, to := w.events[70].OccurredAt, w.events[30].OccurredAt
	tab.Click("#m-time > summary")
	tab.Click("#time-custom")
	tab.FillTime("#from", from)
	tab.FillTime("#to", to)
	tab.Click("#m-time button.primary")
	tab.At(list + "?from=" + url.QueryEscape(from.Format(time.RFC3339)) + "&to=" + url.QueryEscape(to.Format(time.RFC3339)))
	shows(t, tab, 40)
	tab.Click("#chart .bars a")
	tab.Await("a narrower range", `Number(document.querySelector("#count strong").textContent) < 40`)
	shows(t, tab, inRange(t, tab, w))

	// Pages, and an event from the second of them, beside the list and alone.
	tab.Go(list)
	tab.Click(`a[rel="next"]`)
	tab.Await("the next page", `document.querySelector("#rows > tr:first-child .name").textContent == "`+w.events[50].ResourceName+`"`)
	e := w.events[51]
	tab.Click("#rows > tr:nth-child(2) a.open")
	tab.Visible("#drawer aside")
	contains(t, "the drawer", tab.Text("#drawer"), e.Action, e.Actor, e.Path, e.AuditID)
	if first := tab.Text("#rows > tr:first-child .name"); first != w.events[50].ResourceName {
		t.Errorf("beside the drawer the list begins with %s", first)
	}
	tab.Click("[data-drawer-close]")
	tab.Hidden("#drawer aside")
	tab.Click("#rows > tr:nth-child(2) a.open")
	tab.Click("#drawer .actions a:not([href*='/raw'])")
	tab.At(events + e.ID.String())
	contains(t, "the event", tab.Text("main"), e.Action, e.Actor, e.Path, e.AuditID)
	name, raw := tab.Download(func() { tab.Click(".actions a[href*='/raw']") })
	if name != "audit-event-"+e.ID.String()+".json" || string(raw) != string(e.Raw) {
		t.Errorf("downloaded %s with %s", name, raw)
	}
	tab.Click(`.related a[href*="actor="]`)
	shows(t, tab, w.count(sevenDays, func(o *audit.Event) bool { return o.Actor == e.Actor }))
	tab.Click("#toolbar a[href*='live=1']")
	tab.Visible("#tail")
	w.add(t, weekEvent(162, time.Now().UTC().Truncate(time.Second)))
	tab.Click("#tail noscript a")
	shows(t, tab, w.count(sevenDays, func(o *audit.Event) bool { return o.Actor == e.Actor })+1)

	tab.Click(`form[action="/logout"] button`)
	tab.At("/login")
}

// Without scripts people take things away as well: files of the view, of a
// query and of a snapshot.
func TestTakingWithoutScripts(t *testing.T) {
	w := newWeek(t)
	m := takeSnapshot(t, w, "deletions", time.Now())
	tab := at(t, w, webtest.Everywhere, list+"?method=DELETE", browsertest.Look{NoScript: true})
	want := browsertest.Eval[[]string](tab, `[...document.querySelectorAll("#rows a.open")].map(a => new URL(a.href).searchParams.get("event"))`)
	if len(want) == 0 {
		t.Fatal("the list is empty")
	}
	tab.Click("#toolbar .menu > summary")
	_, file := tab.Download(func() { tab.Click(`#toolbar a[href*="/csv?"]`) })
	if diff := cmp.Diff(want, column(t, file, "id")); diff != "" {
		t.Errorf("CSV and list differ (-list +file): %s", diff)
	}
	_, file = tab.Download(func() { tab.Click(`#toolbar a[href*="/ndjson?"]`) })
	if got := len(lines(t, file)); got != len(want) {
		t.Errorf("the file has %d lines, want %d", got, len(want))
	}
	tab.Keys("\x1b")

	tab.Click("#toolbar a[href*='/query?']")
	tab.Visible("#manifest")
	tab.Fill("#name", "deletions")
	tab.Click(".naming button")
	tab.Await("the name in the YAML", `document.querySelector("#manifest").textContent.includes("name: deletions")`)
	name, file := tab.Download(func() { tab.Click(".actions a[href*='/yaml']") })
	contains(t, name, string(file), "kind: ClusterAuditLogQuery", "name: deletions", "DELETE")
	tab.Click(".crumb a")
	tab.At(list + "?method=DELETE")

	tab.Click(`header nav a[href="/security/snapshots"]`)
	tab.Click("tbody a[href*='" + m.ID + "']")
	tab.Visible("#digest")
	name, file = tab.Download(func() { tab.Click("a[href*='/ndjson']") })
	if got := len(lines(t, file)); got != int(m.Stored) || !strings.Contains(name, m.ID) {
		t.Errorf("%s has %d lines, want %d", name, got, m.Stored)
	}
}
