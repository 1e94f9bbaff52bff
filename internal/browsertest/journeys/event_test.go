package journeys

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// The table shows who, what and when in the reader's time zone; the CLI has a
// badge, the path is a hover away, and names stay readable.
func TestTable(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{TimeZone: "Asia/Tokyo"})
	e := w.events[0]
	row := tab.Text("#rows > tr:first-child")
	tokyo := e.OccurredAt.In(time.FixedZone("JST", 9*3600)).Format("2006-01-02 15:04:05")
	contains(t, "the first row", row, tokyo, e.Actor, "CLI", e.Method, "200", e.ResourceName, e.Action)
	if strings.Contains(tab.Text("#rows > tr:nth-child(2)"), "CLI") {
		t.Error("a controller has the badge of the CLI")
	}
	if path := tab.Attribute("#rows > tr:first-child .action", "title"); path != e.Path {
		t.Errorf("hovering over the action shows %q, want %q", path, e.Path)
	}
	// In UTC when asked for, on this page and the next.
	browsertest.Eval[bool](tab, `(e => { e.value = "utc"; e.dispatchEvent(new Event("change", {bubbles: true})); return true })(document.querySelector("#zone"))`)
	contains(t, "the first row in UTC", tab.Text("#rows > tr:first-child"), e.OccurredAt.Format("2006-01-02 15:04:05"))
	tab.Reload()
	contains(t, "the first row after a reload", tab.Text("#rows > tr:first-child"), e.OccurredAt.Format("2006-01-02 15:04:05"))

	tab.Click(`a[rel="next"]`)
	tab.Await("the next page", `document.querySelector("#rows > tr:first-child").textContent.includes("`+w.events[50].ResourceName+`")`)
	tab.Back()
	tab.Await("the first page", `document.querySelector("#rows > tr:first-child").textContent.includes("`+e.ResourceName+`")`)
}

// A row opens the event beside the list: the address names it, Escape closes
// it, back and forward and a reload know it.
func TestDrawer(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, entrance, browsertest.Look{})
	tab.AllowClipboard()
	e := w.events[4]
	open := entrance + "&event=" + e.ID.String()
	tab.Click("#rows > tr:nth-child(4) .method") // anywhere in the row
	tab.At(open)
	tab.Visible("#drawer [data-drawer-close]")
	contains(t, "the drawer", tab.Text("#drawer"), e.Action, e.Actor, e.Path, e.AuditID, "control-plane", `"auditID"`)
	tab.Screenshot("drawer")

	tab.Click("#drawer [data-copy-from]")
	tab.Await("what is copied", `document.querySelector("#toast").textContent == "JSON copied"`)
	contains(t, "the clipboard", tab.Clipboard(), `"auditID": "`+e.AuditID+`"`)
	tab.Click("#drawer [data-copy]")
	tab.Await("the link is copied", `document.querySelector("#toast").textContent == "Link copied"`)
	if link := tab.Clipboard(); link != tab.Base+events+e.ID.String() {
		t.Errorf("the copied link is %s", link)
	}

	tab.Keys(kb.Escape)
	tab.At(entrance)
	tab.Hidden("#drawer aside")
	tab.Back()
	tab.At(open)
	tab.Visible("#drawer aside")
	tab.Back()
	tab.At(entrance)
	tab.Hidden("#drawer aside")
	tab.Forward()
	tab.At(open)
	tab.Reload()
	tab.Visible("#drawer aside")
	shows(t, tab, w.count(sevenDays, written))
	name, raw := tab.Download(func() { tab.Click("#drawer a[href*='/raw']") })
	if name != "audit-event-"+e.ID.String()+".json" || string(raw) != string(e.Raw) {
		t.Errorf("downloaded %s with %s", name, raw)
	}
}

// From an event to what belongs to it.
func TestRelated(t *testing.T) {
	w := newWeek(t)
	e := w.events[6]
	tab := at(t, w, webtest.Everywhere, events+e.ID.String(), browsertest.Look{})
	for label, is := range map[string]func(o *audit.Event) bool{
		"Same actor": func(o *audit.Event) bool { return o.Actor == e.Actor },
		"Same resource": func(o *audit.Event) bool {
			return o.ResourceType == e.ResourceType && o.ResourceName == e.ResourceName && o.Namespace == e.Namespace
		},
		"Around this time": func(o *audit.Event) bool { return o.OccurredAt.Sub(e.OccurredAt).Abs() <= 5*time.Minute },
	} {
		tab.Go(events + e.ID.String())
		link := browsertest.Eval[string](tab, `[...document.querySelectorAll(".related a")].find(a => a.textContent.includes("`+label+`"))?.getAttribute("href") ?? ""`)
		if link == "" {
			t.Errorf("there is no link %s", label)
			continue
		}
		tab.Click(`.related a[href="` + link + `"]`)
		tab.At(link)
		shows(t, tab, w.count(sevenDays, is))
		contains(t, label, tab.Text("#rows"), e.Action)
	}
}

// What a reader copies is what another one sees.
func TestCopyLink(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	tab.AllowClipboard()
	tab.Click("#m-method > summary")
	tab.Click(`#m-method input[name="method"][value="DELETE"]`)
	tab.At(list + "?method=DELETE")
	tab.Keys(kb.Escape)
	tab.Click("#toolbar [data-copy]")
	tab.Await("the link is copied", `document.querySelector("#toast").textContent.includes("copied")`)
	link := tab.Clipboard()
	if link != tab.Base+list+"?method=DELETE" {
		t.Fatalf("the copied link is %s", link)
	}
	other := tab.Another(browsertest.Look{})
	other.SignIn(world.Tokens[webtest.Everywhere], strings.TrimPrefix(link, tab.Base))
	n := w.count(sevenDays, func(e *audit.Event) bool { return e.Method == "DELETE" })
	shows(t, other, n)

	// A link with fixed times shows what was there, also after more has come.
	tab.Click("#summary [data-copy]")
	tab.Await("the link is copied", `document.querySelector("#toast").textContent.includes("these times")`)
	fixed := strings.TrimPrefix(tab.Clipboard(), tab.Base)
	w.add(t, weekEvent(162, time.Now().UTC().Truncate(time.Microsecond)))
	other.Reload()
	shows(t, other, n+1)
	other.Go(fixed)
	shows(t, other, n)
}

// The address is the state: written by hand, with back, forward and reload.
func TestAddress(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list+"?resource_type=application&resource_type=environment_group", browsertest.Look{})
	types := w.count(sevenDays, func(e *audit.Event) bool {
		return e.ResourceType == "application" || e.ResourceType == "environment_group"
	})
	shows(t, tab, types)
	one := w.count(sevenDays, func(e *audit.Event) bool { return e.ResourceType == "application" })
	tab.Go(list + "?resource_type=application") // a parameter is taken out by hand
	shows(t, tab, one)
	tab.Back()
	shows(t, tab, types)
	tab.Forward()
	shows(t, tab, one)
	tab.Reload()
	shows(t, tab, one)
	// By clicks, and back.
	tab.Click("#chips .chip a")
	tab.At(list)
	tab.Back()
	tab.At(list + "?resource_type=application")
	shows(t, tab, one)
}

// Where there is nothing, or what was asked is wrong, the page says what to do.
func TestEmptyAndErrors(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list+"?actor=nobody", browsertest.Look{})
	contains(t, "without matches", tab.Text(".empty"), "No event")
	if !tab.Has(`.empty a[href="`+list+`"]`) && !tab.Has("#chips .clear") {
		t.Error("without matches nothing leads on")
	}
	// Older ones are found.
	old := w.events[150]
	tab.Go(list + "?resource_name=" + old.ResourceName + "&method=" + old.Method + "&actor=" + url.QueryEscape(old.Actor) + "&range=last_hour")
	contains(t, "without matches in the range", tab.Text(".empty"), "newest")
	tab.Click(".empty a")
	tab.Await("events", `document.querySelectorAll("#rows > tr").length > 0`)

	tab.Tolerate("status of 40")
	for address, wants := range map[string][]string{
		list + "?actr=x":                                 {"actr", "resource_type"},
		list + "?range=yesterday":                        {"range", "yesterday"},
		list + "?from=2026-13-01":                        {"from", "RFC 3339"},
		list + "?status_code=9000":                       {"status_code", "9000"},
		list + "?cursor=nonsense":                        {"cursor"},
		events + strings.Repeat("0", 32):                 {"Not found", "Audit logs"},
		"/security/snapshots/" + strings.Repeat("0", 32): {"Not found", "Audit logs"},
		"/nowhere": {"Not found", "Audit logs"},
	} {
		tab.Go(address)
		contains(t, address, tab.Text("main"), wants...)
		if !tab.Has("main a[href^='/security/audit-logs']") {
			t.Errorf("%s leads nowhere", address)
		}
	}
	nobody := tab.Another(browsertest.Look{})
	nobody.Tolerate("status of 403")
	nobody.SignIn(world.Tokens[webtest.Nobody], list)
	contains(t, "without rights", nobody.Text("main"), "kubectl create rolebinding")
}

// Who may see two namespaces sees those, and is told so.
func TestNamespaces(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.InShop, list, browsertest.Look{})
	shows(t, tab, w.count(sevenDays, func(e *audit.Event) bool { return e.Namespace == "shop" }))
	contains(t, "the list", tab.Text("main"), "Your rights cover", "shop")
	both := tab.Another(browsertest.Look{})
	both.SignIn(world.Tokens[webtest.InShopAndBills], list)
	shows(t, both, w.count(sevenDays, func(*audit.Event) bool { return true }))
	contains(t, "the list", both.Text("main"), "billing", "shop")
}

func TestSignInAndOut(t *testing.T) {
	w := newWeek(t)
	tab := browsertest.Serve(t, world.Handler(t, w, false), browsertest.Look{})
	tab.Tolerate("status of 401")
	tab.Go(list + "?method=DELETE")
	tab.Fill("#token", "not-a-token")
	tab.Press("#token", kb.Enter)
	tab.Visible("[role=alert]")
	contains(t, "a wrong token", tab.Text("[role=alert]"), "does not accept this token")
	tab.Fill("#token", world.Tokens[webtest.Everywhere])
	tab.Press("#token", kb.Enter)
	tab.At(list + "?method=DELETE")
	contains(t, "the header", tab.Text("header"), "everywhere")
	browsertest.Eval[bool](tab, `(b => { b.dataset.here = ""; return true })([...document.querySelectorAll("header button")].find(b => b.textContent == "Sign out"))`)
	tab.Click("button[data-here]")
	tab.At("/login")
	tab.Go(list)
	tab.Visible("#token")
	tab.Back()
	tab.Visible("#token")
}
