package journeys

import (
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// On a phone, in the dark: filter, read, take away; nothing is beside the screen.
func TestPhone(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, entrance, browsertest.Look{Width: browsertest.Phone, Theme: browsertest.Dark})
	fits := func(state string) {
		t.Helper()
		if wide := tab.Overflow(); wide != "" {
			t.Errorf("%s: the page scrolls sideways: %s", state, wide)
		}
	}
	shows(t, tab, w.count(sevenDays, written))
	fits("the list")
	tab.Click("#m-actor > summary")
	tab.Await("the counts", `document.querySelectorAll("#v-actor .n").length == 3`)
	fits("a menu")
	tab.Click(`#v-actor input[name="actor"][value="` + bob + `"]`)
	tab.At(list + "?actor=" + url.QueryEscape(bob) + "&method_exclude=GET")
	n := w.count(sevenDays, func(e *audit.Event) bool { return e.Actor == bob && written(e) })
	shows(t, tab, n)
	tab.Click("h1") // beside the menu, which closes
	tab.Hidden("#m-actor .panel")

	e := w.events[1]
	tab.Click("#rows > tr:first-child .action")
	tab.Visible("#drawer aside")
	contains(t, "the drawer", tab.Text("#drawer"), e.Action, e.Actor, e.Path)
	box := browsertest.Eval[[]float64](tab, `(b => [b.left, b.right, innerWidth])(document.querySelector("#drawer aside").getBoundingClientRect())`)
	if box[0] < 0 || box[1] > box[2] || box[1]-box[0] < box[2]*0.9 {
		t.Errorf("the drawer is from %.0f to %.0f of %.0f pixels", box[0], box[1], box[2])
	}
	fits("the drawer")
	tab.Click("[data-drawer-close]")
	tab.Hidden("#drawer aside")
	tab.Click("#chips .clear")
	tab.At(list)
	tab.Click("#toolbar .menu > summary")
	fits("the export's menu")
	_, file := tab.Download(func() { tab.Click(`#toolbar a[href*="/csv?"]`) })
	if got, want := len(column(t, file, "id")), w.count(sevenDays, func(*audit.Event) bool { return true }); got != want {
		t.Errorf("the file has %d rows, want %d", got, want)
	}
}

// What no menu lists can be typed into it: classes of codes, networks, names by
// their beginning. Dry runs and stages are filters as well.
func TestTypedValues(t *testing.T) {
	w := newWeek(t)
	dry := weekEvent(160, time.Now().UTC().Truncate(time.Second))
	dry.DryRun = audit.DryRunTrue
	begun := weekEvent(161, dry.OccurredAt)
	begun.Stage = "ResponseStarted"
	w.add(t, dry, begun)
	w.events = append(w.events, dry, begun)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	inNetwork := netip.MustParsePrefix("192.0.2.0/31")
	for _, c := range []struct {
		menu, typed string
		is          func(e *audit.Event) bool
	}{
		{"status_code", "4xx", func(e *audit.Event) bool { return e.StatusCode/100 == 4 }},
		{"ip", "192.0.2.0/31", func(e *audit.Event) bool { return inNetwork.Contains(e.IPs[0]) }},
		{"action", "application.*", func(e *audit.Event) bool { return e.ResourceType == "application" }},
	} {
		tab.Go(list)
		tab.Click("#m-" + c.menu + " > summary")
		tab.Fill("#m-"+c.menu+" .find", c.typed)
		tab.Click(`#v-` + c.menu + ` input[name="` + c.menu + `"][value="` + c.typed + `"]`)
		tab.Await("the address", `new URLSearchParams(location.search).get("`+c.menu+`") == "`+c.typed+`"`)
		shows(t, tab, w.count(sevenDays, c.is))
	}
	// What is no value is said, in the menu, by what is allowed.
	tab.Go(list)
	tab.Click("#m-ip > summary")
	tab.Fill("#m-ip .find", "192.0.2.0/99")
	tab.Await("what is wrong", `document.querySelector("#v-ip .warn")?.textContent.includes("What you typed")`)

	for label, is := range map[string]func(e *audit.Event) bool{
		"true": func(e *audit.Event) bool { return e.DryRun == audit.DryRunTrue }, "false": func(e *audit.Event) bool { return e.DryRun != audit.DryRunTrue },
	} {
		tab.Go(list)
		tab.Click("#m-more > summary")
		tab.Click("#m-dry_run > summary")
		tab.Click(`#m-dry_run input[value="` + label + `"]`)
		tab.At(list + "?dry_run=" + label)
		shows(t, tab, w.count(sevenDays, is))
	}
	tab.Go(list)
	tab.Click("#m-more > summary")
	tab.Click("#m-stage > summary")
	tab.Click(`#v-stage input[name="stage"][value="ResponseStarted"]`)
	tab.At(list + "?stage=ResponseStarted")
	shows(t, tab, 1)
}
