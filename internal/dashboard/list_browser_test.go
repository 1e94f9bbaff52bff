package dashboard_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// busyStore returns a store with a week of a busy cluster, the same every time.
func busyStore(t *testing.T, n int) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	now := time.Now().UTC().Truncate(time.Microsecond)
	batch := store.Batch{Source: "apiserver", ReceivedAt: now}
	for i := range n {
		// More by day than by night, and two bursts.
		at := now.Add(-time.Duration(random.ExpFloat64() * float64(30*time.Hour)))
		if i%11 == 0 {
			at = now.Add(-50*time.Hour - time.Duration(random.IntN(7200))*time.Second)
		}
		if now.Sub(at) > 160*time.Hour {
			at = now.Add(-time.Duration(random.IntN(160*3600)) * time.Second)
		}
		kind := pick("application", "application", "environment_group", "cluster", "project", "addon", "datastore")
		method := pick("GET", "GET", "POST", "PATCH", "PUT", "DELETE")
		verb := map[string]string{"GET": "list", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}[method]
		e := audit.Event{
			Source: "apiserver", Cluster: webtest.OwnCluster, Stage: audit.StageResponseComplete, Level: "Metadata", OccurredAt: at.Truncate(time.Microsecond),
			Actor:     pick("alice@example.com", "bob@example.com", "system:serviceaccount:ci:deployer", "system:serviceaccount:argocd:argocd-application-controller", "system:node:worker-3", "carol@example.com"),
			ActorKind: audit.ActorUser, Method: method, Verb: verb, ResourceType: kind, Action: kind + "." + verb, APIGroup: "apps", APIVersion: "v1",
			Namespace: pick("shop", "shop", "billing", "kube-system"), Resource: pick("deployments", "configmaps", "pods", "secrets", "roles"),
			ResourceName: pick("checkout", "cart", "payments-worker", "frontend-config", "redis-primary-7d9c8b6f5-x2k4q", ""),
			StatusCode:   []int{200, 200, 200, 201, 403, 404, 409, 500}[random.IntN(8)],
			Client:       pick(audit.ClientCLI, audit.ClientController, audit.ClientOther), UserAgent: "kubectl/v1.37.0",
			IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(random.IntN(4)), byte(random.IntN(60))})},
			Raw: fmt.Appendf(nil, `{"kind":"Event","n":%d}`, i),
		}
		if i%9 == 0 {
			e.ActedVia = "system:serviceaccount:porter:dashboard"
		}
		e.Path = "/apis/apps/v1/namespaces/" + e.Namespace + "/" + e.Resource + "/" + e.ResourceName
		e.StageAt = e.OccurredAt
		e.RawSHA256 = sha256.Sum256(e.Raw)
		binary.BigEndian.PutUint64(e.ID[:], random.Uint64())
		batch.Events = append(batch.Events, e)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return s
}

// The list in both themes and several widths, and with each menu open.
func TestListLooks(t *testing.T) {
	h := world.Handler(t, busyStore(t, 20000), false)
	tab := browsertest.Serve(t, h, browsertest.Look{})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs?method_exclude=GET&actor=alice%40example.com&actor=bob%40example.com")
	for _, look := range []browsertest.Look{
		{Width: browsertest.Phone}, {Width: browsertest.Phone, Theme: browsertest.Dark}, {Width: browsertest.Tablet},
		{Theme: browsertest.Dark}, {Width: 2560}, {},
	} {
		tab.As(look)
		tab.Axe("list")
	}
	for width, menus := range map[int][]string{browsertest.Phone: {"actor", "more"}, browsertest.Laptop: {"time", "resource_type", "actor", "ip", "status_code", "more"}} {
		tab.As(browsertest.Look{Width: width})
		tab.Reload()
		for _, name := range menus {
			tab.Click("#m-" + name + " > summary")
			if name != "time" && name != "more" {
				tab.Await("values of "+name, `!!document.querySelector("#v-`+name+` .n")`)
			}
			tab.Axe("menu-" + name)
			tab.Keys(kb.Escape)
			tab.Hidden("#m-" + name + " .panel")
		}
	}
}

// An open menu stays on the screen when the window changes and the bar wraps.
func TestMenusStayOnScreen(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{Width: 900})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs")
	for _, menu := range []string{"#m-time", "#m-status_code", "#m-more", "#toolbar .menu"} {
		tab.Click(menu + " > summary")
		for _, width := range []int{browsertest.Laptop, 820, 1040, browsertest.Wide, browsertest.Tablet + 1, 900} {
			tab.As(browsertest.Look{Width: width})
			tab.Await(fmt.Sprintf("%s to be on a screen of %d pixels", menu, width), fmt.Sprintf(`(box => innerWidth == %d && box.width > 0 && box.left >= 0 && box.right <= innerWidth)(document.querySelector("%s > .panel").getBoundingClientRect())`, width, menu))
		}
		tab.Keys(kb.Escape)
		tab.Click("h1")
		tab.Hidden(menu + " > .panel")
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
	tab.Await("a window of three bars", `new URLSearchParams(location.search).has("to") && document.querySelector("#chips").textContent.includes("Time")`)
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
