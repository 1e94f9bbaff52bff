package journeys

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// hostileTab opens a tab that complains when a hostile text runs.
func hostileTab(t *testing.T, s store.Store) *browsertest.Tab {
	t.Helper()
	tab := browsertest.Serve(t, world.Handler(t, s, false), browsertest.Look{})
	tab.Hostilities()
	tab.Tolerate("status of 40")
	tab.Tolerate("Response Status Error Code 40")
	tab.SignIn(world.Tokens[webtest.Everywhere], entrance)
	return tab
}

// harmless looks at a view at a laptop's and a phone's width.
func harmless(tab *browsertest.Tab, view string) {
	for _, width := range []int{browsertest.Laptop, browsertest.Phone} {
		tab.As(browsertest.Look{Width: width})
		tab.Harmless(view)
	}
	tab.As(browsertest.Look{})
}

// In a browser no hostile text of an event runs, becomes an element, leads away
// or makes a page wider than the window: not in the list, its chips and its
// menus, not in the drawer, on the event's page, among snapshots or in addresses.
func TestHostileTexts(t *testing.T) {
	texts := browsertest.HostileGroups()
	h := newHostile(t, texts)
	tab := hostileTab(t, h)

	hostileList(t, tab)
	hostileMenus(tab)
	hostileDrawer(t, tab, len(texts))
	for i := range h.events {
		tab.Go(events + h.events[i].ID.String())
		harmless(tab, fmt.Sprintf("the event of %.40q", texts[i]))
		tab.Go(events + h.twins[i].ID.String())
		tab.Harmless(fmt.Sprintf("the twin of %.40q", texts[i]))
	}
	tab.Go(strings.TrimSuffix(query.SnapshotsPath, "/"))
	tab.Screenshot("hostile-snapshots")
	harmless(tab, "the snapshots")
	for _, m := range h.snapshots {
		tab.Go(query.SnapshotsPath + m.ID)
		harmless(tab, "a snapshot")
	}
	tab.As(browsertest.Look{Width: browsertest.Phone})
	for _, text := range texts {
		for _, address := range inBrowser(text) {
			tab.Go(address)
			tab.Harmless(fmt.Sprintf("%.80s", address))
		}
	}
}

// hostileList looks at the list, and that no text makes its rows tall or turns
// around what stands beside it.
func hostileList(t *testing.T, tab *browsertest.Tab) {
	tab.Go(list)
	for _, width := range []int{browsertest.Phone, browsertest.Laptop} {
		tab.As(browsertest.Look{Width: width})
		tall := browsertest.Eval[[]string](tab, `[...document.querySelectorAll("#rows > tr")].filter(e => e.offsetHeight > 240).map(e => e.offsetHeight + " pixels: " + e.textContent.slice(0, 60))`)
		for _, row := range tall {
			t.Errorf("at %d pixels a row has %s", width, row)
		}
	}
	if browsertest.Eval[bool](tab, `/[\u200b-\u200f\u202a-\u202e\u2066-\u2069]/.test(document.querySelector("#rows").textContent)`) {
		t.Error("a row has characters that turn text around or can't be seen")
	}
	tab.Screenshot("hostile-list")
	harmless(tab, "the list")
	tab.As(browsertest.Look{Width: browsertest.Phone})
	tab.Screenshot("hostile-list")
	tab.As(browsertest.Look{})
}

// hostileMenus opens the menus that offer texts, and looks for texts in them.
func hostileMenus(tab *browsertest.Tab) {
	tab.Go(list)
	for _, menu := range []string{"resource_type", "actor", "action", "more"} {
		tab.Click("#m-" + menu + " > summary")
		if menu == "more" {
			for _, part := range []string{"resource_name", "cluster", "client", "namespace"} {
				tab.Click("#m-" + part + " > summary")
				tab.Await("values of "+part, `!!document.querySelector("#v-`+part+` .n")`)
				tab.Harmless("the menu " + part)
			}
			continue
		}
		tab.Await("values of "+menu, `!!document.querySelector("#v-`+menu+` .n")`)
		harmless(tab, "the menu "+menu)
		for _, typed := range []string{`<img src=x onerror=pwned()>`, `" onfocus="pwned()`, "script data-pwned"} {
			tab.Fill("#m-"+menu+" .find", typed)
			tab.Await("an answer", `!document.querySelector("#v-`+menu+`").matches(".htmx-request") && [...document.querySelectorAll("#v-`+menu+` .in input")].every(e => e.value.toLowerCase().includes(`+fmt.Sprintf("%q", strings.ToLower(typed))+`) || e.labels[0].textContent.toLowerCase().includes(`+fmt.Sprintf("%q", strings.ToLower(typed))+`))`)
			tab.Harmless("what the menu " + menu + " finds")
		}
	}
}

// hostileDrawer opens each row beside the list.
func hostileDrawer(t *testing.T, tab *browsertest.Tab, texts int) {
	tab.Go(list)
	rows := tab.Count("#rows > tr")
	if rows < min(texts, 50) {
		t.Errorf("the list has %d rows of %d texts", rows, texts)
	}
	for i := range rows {
		tab.Click(fmt.Sprintf("#rows > tr:nth-child(%d) a.open", i+1))
		tab.Await("the drawer", fmt.Sprintf(`!!document.querySelector("#rows > tr:nth-child(%d) a.open[aria-current], #rows > tr:nth-child(%d)[aria-current]") && !!document.querySelector(".drawer .json")`, i+1, i+1))
		tab.Harmless(fmt.Sprintf("the drawer of row %d", i))
	}
	tab.Screenshot("hostile-drawer")
}

// inBrowser are the addresses that make pages of their own of a text: chips, a
// search without matches, the page of a menu, a query to save, problems.
func inBrowser(text string) []string {
	text = text[:min(len(text), 200)]
	q, segment := url.QueryEscape(text), strings.ReplaceAll(url.PathEscape(text), ".", "%2E")
	return []string{
		list + "?actor=" + q + "&actor_exclude=b" + q + "&action=" + q + "&resource_name=" + q + "&cluster_exclude=" + q + "&search=" + q,
		list + "?" + q + "=" + q + "&range=" + q, list + "/values/actor?contains=" + q + "&namespace_exclude=" + q,
		list + "/query?actor=" + q + "&resource_name_exclude=" + q, "/" + segment, query.SnapshotsPath + segment,
	}
}

// Rows that come while the page is open are as harmless as those that it began
// with.
func TestHostileTail(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	tab := hostileTab(t, s)
	tab.Go(list + "?live=1")
	tab.Visible("#tail[data-state=live]")
	texts := browsertest.HostileGroups()
	for i, text := range texts {
		e := hostileEvent(i, text, time.Now().UTC().Add(-time.Duration(i)*time.Millisecond).Truncate(time.Microsecond))
		if _, err := s.Append(t.Context(), store.Batch{Source: "hostile", ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	tab.Await("all rows", fmt.Sprintf(`document.querySelectorAll("#rows > tr").length == %d`, len(texts)))
	harmless(tab, "the live tail")
}
