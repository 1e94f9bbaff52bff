package dashboard_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// stages are all the states of all pages.
func stages(t *testing.T) []stage {
	t.Helper()
	busy, few := busyStore(t, 20000), busyStore(t, 80)
	last := takeSnapshots(t, few)
	event := newest(t, few).ID.String()
	over := func(s store.Store) func(*testing.T) string {
		return func(t *testing.T) string { return server(t, gone(world.Handler(t, s, false))) }
	}
	menus := []state{{"menu-export", ofTwo, opens("#toolbar .menu")}}
	for _, name := range []string{"time", "resource_type", "actor", "method", "ip", "status_code", "more"} {
		menus = append(menus, state{"menu-" + name, ofTwo, opens("#m-" + name)})
	}
	return []stage{
		{name: "list", at: over(busy), user: everywhere, states: []state{
			{"list", listPath, nil},
			{"list-filtered", manyChips, nil},
			{"list-page-2", listPath, func(tab *browsertest.Tab) {
				tab.Click(`a[rel="next"]`)
				tab.Visible("#pages a:first-child:not([rel])")
			}},
		}},
		{name: "pages", at: over(few), user: everywhere, states: []state{
			{"list-empty", ofNobody, visible(".empty")},
			{"list-incomplete", ofTwo + "&range=90d", func(tab *browsertest.Tab) { tab.Click(".why > summary") }},
			{"drawer", ofTwo, func(tab *browsertest.Tab) {
				tab.Click("#rows tr:nth-child(3) .action")
				tab.Visible(".drawer .json")
			}},
			{"drawer-not-found", ofTwo + "&event=" + noEvent, visible(".drawer")},
			{"shortcuts", ofTwo, func(tab *browsertest.Tab) { tab.Keys("?"); tab.Visible("#keys") }},
			{"values", listPath + "/values/actor?method_exclude=GET", nil},
			{"save-query", listPath + "/query?resource_type=application&method_exclude=GET&namespace=shop", nil},
			{"event", listPath + "/events/" + event, nil},
			{"snapshots", "/security/snapshots", nil},
			{"snapshot", "/security/snapshots/" + last.ID, nil},
			{"tail-ended", listPath + "?live=1&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", visible("#tail")},
		}},
		{name: "menus", at: over(few), user: everywhere, states: append(menus,
			state{"menu-type-ahead", ofTwo, func(tab *browsertest.Tab) {
				opens("#m-actor")(tab)
				tab.Fill("#m-actor .find", "system:serviceaccount:a")
				tab.Visible(`#v-actor .in input[value="system:serviceaccount:a*"]`)
			}},
			state{"menu-nothing-found", ofTwo, func(tab *browsertest.Tab) {
				opens("#m-ip")(tab)
				tab.Fill("#m-ip .find", "nothing has this")
				tab.Visible("#v-ip .note")
			}},
			state{"menu-more-part", ofTwo, func(tab *browsertest.Tab) {
				opens("#m-more")(tab)
				tab.Click("#m-namespace > summary")
				tab.Visible("#v-namespace .n")
			}},
		)},
		{name: "errors", at: over(failing{few}), user: everywhere, tolerate: []string{"status of 40", "status of 50", "Status Error Code", "net::ERR", "htmx:sendError"}, states: []state{
			{"wrong-filter", listPath + "?rage=1&status_code=9000&from=yesterday", visible("main .alert")},
			{"wrong-in-place", ofTwo, func(tab *browsertest.Tab) {
				tab.Click("#m-time > summary")
				browsertest.Eval[bool](tab, `(e => { e.value = "2031-01-01T00:00:00"; e.dispatchEvent(new Event("input", {bubbles: true})); return true })(document.querySelector("#from"))`)
				tab.Press("#m-time button", "\r")
				tab.Visible("#results .problem")
			}},
			{"event-not-found", listPath + "/events/" + noEvent, nil},
			{"not-found", "/security/elsewhere", nil},
			{"save-wrong", listPath + "/query?path=/healthz", visible("#wrong")},
			{"unavailable", listPath + "?search=unavailable", nil},
			{"busy", listPath + "?search=busy", nil},
			{"busy-in-place", ofTwo, after("busy", "#results .problem")},
			{"broken", listPath + "?search=broken", nil},
			{"menu-broken", listPath + "?search=no+facets", opens("#m-actor")},
			{"no-answer", ofTwo, after("gone", "#results .problem")},
			{"waiting", ofTwo, after("slow", "#busy.htmx-request")},
		}},
		{name: "live", user: inShop, at: func(t *testing.T) string { return server(t, world.Handler(t, liveStore(t), false)) }, states: []state{
			{"tail", listPath + "?live=1", visible("#rows tr.fresh")},
			{"tail-paused", listPath + "?live=1", func(tab *browsertest.Tab) {
				tab.Click("#tail-pause")
				tab.Visible("#tail[data-state=paused]")
			}},
			{"list-of-one-namespace", listPath, nil},
		}},
		{name: "nothing yet", user: everywhere, at: func(t *testing.T) string {
			return server(t, world.Handler(t, embeddedtest.Open(t, embedded.Options{}), false))
		}, states: []state{
			{"list-nothing-yet", listPath, visible(".empty")},
			{"snapshots-nothing-yet", "/security/snapshots", visible(".empty")},
		}},
		{name: "quarantine", user: webtest.Quarantine, tolerate: []string{"status of 403"}, at: over(heldStore(t)), states: []state{
			{"quarantine", "/security/quarantine", func(tab *browsertest.Tab) { tab.Click(".held details > summary") }},
			{"quarantine-later", "/security/quarantine?source=control-plane-1", func(tab *browsertest.Tab) {
				tab.Click(`a[rel="next"]`)
				tab.Visible(".pages a:first-child:not([rel])")
			}},
			{"quarantine-empty", "/security/quarantine?source=nobody", nil},
		}},
		{name: "what may be missing", user: everywhere, at: over(heldStore(t)), states: []state{
			{"list-quarantined", listPath, func(tab *browsertest.Tab) { tab.Click(".why > summary") }},
		}},
		{name: "a clock that is ahead", user: everywhere, at: over(ahead{few, map[string]time.Duration{"control-plane-1": 90 * time.Second}}), states: []state{
			{"list-skewed", listPath, visible(".skew")},
		}},
		{name: "truncated", user: everywhere, at: over(cutStore(t)), states: []state{
			{"list-truncated", listPath, nil},
			{"list-searched-in-part", listPath + "?search=pods", visible(".in-part")},
			{"drawer-truncated", listPath + "?truncated=true", func(tab *browsertest.Tab) {
				tab.Click("#rows tr:first-child .action")
				tab.Visible(".drawer .json")
			}},
		}},
		{name: "no right to the quarantine", user: everywhere, at: over(few), tolerate: []string{"status of 403"}, states: []state{
			{"quarantine-forbidden", "/security/quarantine", nil},
		}},
		{name: "nobody", user: nobody, at: over(few), tolerate: []string{"status of 403"}, states: []state{{"forbidden", listPath, nil}}},
		{name: "many namespaces", user: inShop, tolerate: []string{"status of 403"}, at: func(t *testing.T) string {
			many := world
			many.Namespaces = func(context.Context) ([]string, error) {
				return make([]string, auth.MaxNamespaces+1), nil
			}
			return server(t, many.Handler(t, few, false))
		}, states: []state{{"namespace-needed", listPath + "?method_exclude=GET", nil}}},
		{name: "log-in", at: over(few), tolerate: []string{"status of 401"}, states: []state{
			{"login", "/login", nil},
			{"login-wrong-token", "/login", func(tab *browsertest.Tab) {
				tab.Press("#token", "not-a-token\r")
				tab.Visible("#token-wrong")
			}},
			{"signed-out", "/login", func(tab *browsertest.Tab) {
				tab.SignIn(world.Tokens[everywhere], listPath)
				tab.Click(`form[action="/logout"] button`)
				tab.At("/login")
			}},
		}},
		{name: "log-in with a provider", at: func(t *testing.T) string {
			b, _ := world.WithProvider(t, nil)
			return b.Base
		}, states: []state{{"login-provider", "/login?next=%2Fsecurity%2Fsnapshots", nil}}},
		{name: "without scripts", at: over(few), user: everywhere, noScript: true, states: []state{
			{"plain-list", manyChips, nil},
			{"plain-menu", ofTwo, func(tab *browsertest.Tab) { tab.Click("#m-resource_type > summary") }},
			{"plain-drawer", ofTwo + "&event=" + event, nil},
			{"plain-tail", ofTwo + "&live=1", nil},
			{"plain-save", listPath + "/query?namespace=shop", nil},
		}},
	}
}

// liveStore is a store to which something happens all the time.
func liveStore(t *testing.T) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	add := func(ctx context.Context, n int) error {
		e := someEvent(time.Second)
		e.ResourceName, e.Raw = fmt.Sprintf("checkout-%d", n), []byte("{}")
		_, _ = rand.Read(e.ID[:])
		_, err := s.Append(ctx, store.Batch{Source: "s", ReceivedAt: time.Now(), Events: []audit.Event{e}})
		return err
	}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ctx.Err() == nil; n++ {
			if err := add(ctx, n); err != nil && ctx.Err() == nil {
				t.Errorf("store an event: %v", err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { end(); <-done })
	return s
}
