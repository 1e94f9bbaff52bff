package dashboard_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// drawerOpen is true while the drawer shows an event.
const drawerOpen = `!!document.querySelector("#drawer .drawer")`

// A row opens its event beside the list, by mouse and by keys; the address
// follows, the focus goes in and comes back, and every way out closes it.
func TestDrawerInABrowser(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{})
	const list = "/security/audit-logs?namespace=shop"
	tab.SignIn(world.Tokens[inShop], list)
	tab.At(list)
	e := world.Events["shop-app"]
	open := list + "&event=" + e.ID.String()
	focused := `document.activeElement.id === "drawer-title"`
	back := `document.activeElement.matches("a.open") && document.activeElement.href.includes("` + e.ID.String() + `")`

	tab.Click("#rows tr:first-child .action")
	tab.Await("the drawer has the focus", focused)
	tab.At(open)
	if got := tab.Text(".drawer"); !strings.Contains(got, "own-shop-app") || !strings.Contains(got, `"secretOf": "shop-app"`) {
		t.Errorf("the drawer shows %s", got)
	}
	if rows := tab.Count("#rows tr"); rows != 3 {
		t.Errorf("beside the drawer there are %d rows, want 3", rows)
	}
	tab.Axe("drawer")
	tab.As(browsertest.Look{Theme: "dark"})
	tab.Axe("drawer")
	tab.As(browsertest.Look{Width: browsertest.Phone})
	tab.Axe("drawer")
	tab.As(browsertest.Look{})

	tab.Keys("\x1b")
	tab.Await("Esc closes it and the row has the focus again", "!("+drawerOpen+") && "+back)
	tab.At(list)
	tab.Keys("\r")
	tab.Await("Enter opens it", drawerOpen+" && "+focused)
	tab.Click("[data-drawer-close]")
	tab.Await("the link closes it", "!("+drawerOpen+") && "+back)
	tab.At(list)

	tab.Keys("j")
	tab.Keys("j")
	tab.Keys("k")
	tab.Keys("\r")
	tab.Await("j and k move", focused+` && document.querySelector(".drawer").textContent.includes("own-shop-env")`)
	tab.Back()
	tab.Await("back closes it", "!("+drawerOpen+")")
	tab.At(list)
	tab.Forward()
	tab.Await("forward opens it again", drawerOpen+` && document.querySelector(".drawer").textContent.includes("own-shop-env")`)

	tab.Go(open)
	tab.Await("a link opens it", drawerOpen)
	tab.Go(list + "&event=" + strings.Repeat("0", 32))
	if got := tab.Text(".drawer"); !strings.Contains(got, "Not found") || tab.Count("#rows tr") != 3 {
		t.Errorf("for what is not there the drawer says %s beside %d rows", got, tab.Count("#rows tr"))
	}
	tab.Axe("drawer-not-found")
}

// Without scripts the drawer and its way out are links.
func TestDrawerWithoutScripts(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{NoScript: true})
	tab.SignIn(world.Tokens[inShop], "/security/audit-logs?namespace=shop")
	tab.Click("#rows tr:first-child a.open")
	tab.At("/security/audit-logs?namespace=shop&event=" + world.Events["shop-app"].ID.String())
	tab.Visible(".drawer .json")
	if tab.Has("button[data-copy]:not([hidden])") {
		t.Error("there are buttons that do nothing")
	}
	tab.Click("[data-drawer-close]")
	tab.At("/security/audit-logs?namespace=shop")
	tab.Click(".toolbar a[href*=live]")
	tab.Visible("#tail")
	if got := tab.Text("#tail"); !strings.Contains(got, "Load it again") {
		t.Errorf("the live tail says %s", got)
	}
}

// What happens is on the page soon, in the table's order and once, and chart
// and count come to agree with it.
func TestTailInABrowser(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	n := 0
	add := func(name string, age time.Duration) {
		t.Helper()
		e := someEvent(age)
		e.ResourceName = name
		_, _ = rand.Read(e.ID[:])
		e.Raw = []byte("{}")
		n++
		if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	add("before", 20*time.Second)
	tab := browsertest.Serve(t, world.Handler(t, s, false), browsertest.Look{})
	tab.SignIn(world.Tokens[inShop], "/security/audit-logs?actor=alice&live=1")
	tab.Visible("#tail[data-state=live]")
	names := `[...document.querySelectorAll("#rows tr .name")].map(e => e.textContent).join(" ")`
	add("first", 3*time.Second)
	tab.Await("the new event is there", names+` === "first before"`)
	add("second", time.Second)
	add("late", 10*time.Minute)
	tab.Await("the next ones are in order", names+` === "second first before late"`)
	if got := tab.Texts("#rows .late"); len(got) != 1 {
		t.Errorf("late are %v, want one", got)
	}
	if got := tab.Text("#tail-new"); !strings.Contains(got, "new event") {
		t.Errorf("the page says %q of what chart and count lack", got)
	}
	tab.Axe("tail")
	tab.As(browsertest.Look{Theme: "dark", Width: browsertest.Phone})
	tab.Axe("tail")
	tab.As(browsertest.Look{})
	tab.Await("chart and count agree", `document.querySelector("#count strong").textContent === "4" && document.getElementById("tail-new").textContent === ""`)
	if got := browsertest.Eval[string](tab, names); got != "second first before late" {
		t.Errorf("then the rows are %s", got)
	}

	tab.Click("#tail-pause")
	tab.Visible("#tail[data-state=paused]")
	add("paused", 0)
	if got := browsertest.Eval[string](tab, names); strings.Contains(got, "paused") {
		t.Error("while paused a row comes in")
	}
	tab.Click("#tail-pause")
	tab.Await("it goes on", names+` === "paused second first before late"`)
	tab.Click("#rows tr:first-child .action")
	tab.Await("a new row opens, too", drawerOpen)
	if !strings.Contains(tab.Address(), "live=1&event=") {
		t.Errorf("the drawer's address is %s", tab.Address())
	}
}

// The tail begins on an empty list, and says so where nothing new can come.
func TestTailOfNothing(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	tab := browsertest.Serve(t, world.Handler(t, s, false), browsertest.Look{})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs?live=1")
	tab.Visible(".empty")
	e := someEvent(0)
	_, _ = rand.Read(e.ID[:])
	e.Raw = []byte("{}")
	if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
	tab.Await("the first event makes a table", `document.querySelectorAll("#rows tr").length === 1 && document.querySelector("#count strong").textContent === "1"`)
	tab.Go("/security/audit-logs?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&live=1")
	if got := tab.Text("#tail"); !strings.Contains(got, "this time range ended at 2026-01-02 00:00:00") {
		t.Errorf("of a range that has ended the page says %s", got)
	}
}

// Where the tail can't go on, because another store is behind the address now, it
// says so and starts again when it is told to, not by itself. What can't be read
// at the moment is asked for again, now and then.
func TestTailThatCanNotGoOn(t *testing.T) {
	var now atomic.Pointer[http.Handler]
	serve := func() store.Store {
		s := embeddedtest.Open(t, embedded.Options{})
		h := world.Handler(t, s, false)
		now.Store(&h)
		return s
	}
	var refused, lists, failing atomic.Int32
	s := serve()
	tab := browsertest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == listPath && lists.Add(1) > 0 && failing.Load() > 0 {
			failing.Add(-1)
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		answer := &statusWriter{ResponseWriter: w}
		(*now.Load()).ServeHTTP(answer, r)
		if strings.HasSuffix(r.URL.Path, "/tail") && answer.status == http.StatusBadRequest {
			refused.Add(1)
		}
	}), browsertest.Look{})
	tab.SignIn(world.Tokens[everywhere], listPath+"?live=1")
	tab.Visible("#tail[data-state=live]")
	add := func(name string) {
		t.Helper()
		e := someEvent(0)
		e.ResourceName, e.Raw = name, []byte("{}")
		_, _ = rand.Read(e.ID[:])
		if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	rows := func(names string) string {
		return `[...document.querySelectorAll("#rows tr .name")].map(e => e.textContent).join(" ") === "` + names + `"`
	}
	tab.Tolerate("status of 503")
	tab.Tolerate("status of 400")
	failing.Store(1)
	before := lists.Load()
	add("first")
	tab.Await("the row comes though the list could not be read at first", rows("first"))
	if got := lists.Load() - before; got != 2 {
		t.Errorf("the list was asked for %d times, want 2", got)
	}

	s = serve()
	tab.Visible("#tail[data-state=refused]")
	tab.Visible("#tail-again")
	tab.Await("there is nothing to pause", `document.getElementById("tail-pause").hidden`)
	tab.Axe("tail that can't go on")
	tab.Click("#tail-again")
	tab.Visible("#tail[data-state=live]")
	add("second")
	tab.Await("it has begun anew", rows("second"))
	if got := refused.Load(); got != 1 {
		t.Errorf("it asked %d times with a position that is refused", got)
	}
}

// statusWriter knows the status that was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Copying gives what it says.
func TestCopyInABrowser(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{})
	e := world.Events["shop-app"]
	path := "/security/audit-logs/events/" + e.ID.String()
	tab.SignIn(world.Tokens[everywhere], path)
	tab.AllowClipboard()
	tab.Click(".actions [data-copy-address]")
	tab.Await("it says so", `document.getElementById("toast").textContent === "Link copied"`)
	if got, err := url.Parse(tab.Clipboard()); err != nil || got.Path != path || got.Host == "" {
		t.Errorf("copied %v", got)
	}
	tab.Click("[data-copy-from=event-json]")
	tab.Await("it says so", `document.getElementById("toast").textContent === "JSON copied"`)
	if got := tab.Clipboard(); got != "{\n  \"secretOf\": \"shop-app\"\n}" {
		t.Errorf("copied %s", got)
	}
	tab.Go("/security/audit-logs?namespace=shop&range=last_hour")
	tab.Click(".summary [data-copy-address]")
	tab.Await("it says so", `document.getElementById("toast").textContent.includes("these times")`)
	got, err := url.Parse(tab.Clipboard())
	if err != nil {
		t.Fatal(err)
	}
	q := got.Query()
	from, err1 := time.Parse(time.RFC3339Nano, q.Get("from"))
	to, err2 := time.Parse(time.RFC3339Nano, q.Get("to"))
	if err1 != nil || err2 != nil || to.Sub(from) != time.Hour || q.Get("namespace") != "shop" || q.Has("range") {
		t.Errorf("copied %s", got)
	}
}

// Theme and time zone are kept, and times mean the same in each zone.
func TestChoicesInABrowser(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{TimeZone: "America/St_Johns"})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs?from=2026-07-01T12:00:00Z&to=2026-12-31T00:00:00Z")
	e := world.Events["shop-app"]
	zone, err := time.LoadLocation("America/St_Johns")
	if err != nil {
		t.Fatal(err)
	}
	first := `document.querySelector("#rows time").textContent`
	tab.Await("times are local", fmt.Sprintf(`%s === %q`, first, e.OccurredAt.In(zone).Format("2006-01-02 15:04:05")))
	if got := tab.Text("thead"); !strings.Contains(got, "America/St_Johns") {
		t.Errorf("the heading says %s", got)
	}
	if got := tab.Value("#from"); got != "2026-07-01T09:30:00" && got != "2026-07-01T09:30" {
		t.Errorf("the range's field holds %s", got)
	}
	if got := browsertest.Eval[string](tab, `new FormData(document.getElementById("filters")).get("from")`); got != "2026-07-01T12:00:00Z" {
		t.Errorf("the range's field sends %s", got)
	}
	choose := func(id, v string) {
		browsertest.Eval[bool](tab, fmt.Sprintf(`(() => { const e = document.getElementById(%q); e.value = %q; e.dispatchEvent(new Event("change", {bubbles: true})); return true })()`, id, v))
	}
	choose("zone", "utc")
	tab.Await("times are in UTC", fmt.Sprintf(`%s === %q`, first, e.OccurredAt.Format("2006-01-02 15:04:05")))
	if got := browsertest.Eval[string](tab, `new FormData(document.getElementById("filters")).get("from")`); got != "2026-07-01T12:00:00Z" {
		t.Errorf("in UTC the range's field sends %s", got)
	}
	choose("theme", "dark")
	dark := `getComputedStyle(document.body).backgroundColor === "rgb(18, 21, 28)"`
	tab.Await("it is dark", dark)
	tab.Reload()
	tab.Await("it stays dark and in UTC", dark+fmt.Sprintf(` && %s === %q`, first, e.OccurredAt.Format("2006-01-02 15:04:05")))
	choose("theme", "light")
	tab.Await("it is light", "!("+dark+")")
}

// Keys of a single character can be turned off, and are the text's in a field.
func TestKeysInABrowser(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs?namespace=shop")
	tab.Keys("/")
	tab.Await("/ goes to the search", `document.activeElement.name === "search"`)
	before := tab.Value("#search")
	tab.Keys("j?/")
	if got := tab.Value("#search"); got != before+"j?/" {
		t.Errorf("in the search the keys wrote %q", got)
	}
	tab.Go("/security/audit-logs?namespace=shop")
	tab.Keys("?")
	tab.Visible("#keys")
	tab.Axe("shortcuts")
	tab.Click("#keys-on")
	tab.Click("#keys button")
	tab.Hidden("#keys")
	tab.Keys("?j/")
	if tab.Has("#keys[open]") || browsertest.Eval[bool](tab, `document.activeElement.matches("a.open, #search")`) {
		t.Error("keys that are off do something")
	}
	tab.Reload()
	tab.Keys("?")
	if tab.Has("#keys[open]") {
		t.Error("after a reload they are on again")
	}
}
