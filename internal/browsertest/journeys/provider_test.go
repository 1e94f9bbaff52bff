package journeys

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// atProvider signs in by the form of the provider, which the tab is at.
func atProvider(tab *browsertest.Tab, user string) {
	tab.Visible("#username")
	tab.Fill("#username", user)
	tab.Fill("#password", webtest.Password)
	tab.Keys("\r")
}

// A person signs in at a real provider, by clicks alone, and comes to the link
// that was sent to it; sees what is bound to its groups; signs out, and is out.
func TestSignInAtProvider(t *testing.T) {
	world.Bind(t, rbacv1.Subject{Kind: rbacv1.GroupKind, Name: "oidc:shop-auditors"}, "shop")
	const link = list + "?resource_type=application&resource_type=environment_group"
	for _, look := range []browsertest.Look{{}, {NoScript: true}} {
		b, p := world.WithProvider(t, nil)
		tab := browsertest.Open(t, b.Base, look)
		tab.Tolerate(p.Issuer) // its own page has no icon
		tab.Go(link)
		contains(t, "the log-in", tab.Text("main"), "Sign in with Example ID", "Sign in with a token")
		tab.Click("a.provider")
		atProvider(tab, webtest.Ada)
		tab.At(link)
		if rows := tab.Texts("#rows .name"); strings.Join(rows, " ") != "own-shop-app own-shop-env" {
			t.Errorf("the list has %q", rows)
		}
		contains(t, "the header", tab.Text("header"), "oidc:ada@example.com")
		contains(t, "the list", tab.Text("main"), "Your rights cover", "shop")

		tab.Click(`form[action="/logout"] button`)
		tab.At("/login")
		tab.Go(link)
		tab.Visible("a.provider")
		tab.Back()
		tab.Visible("a.provider")
		if tab.Has("#rows") {
			t.Error("after the log-out the browser's back button shows events")
		}
	}
}

// Whom the provider does not vouch for is told so on the page, and stays out.
func TestRefusedByProvider(t *testing.T) {
	b, p := world.WithProvider(t, nil)
	tab := browsertest.Open(t, b.Base, browsertest.Look{})
	tab.Tolerate(p.Issuer)
	tab.Tolerate("status of 401")
	tab.Go(entrance)
	tab.Click("a.provider")
	atProvider(tab, webtest.Cy)
	tab.Visible("[role=alert]")
	contains(t, "the alert", tab.Text("[role=alert]"), "has not verified")
	tab.Go(list)
	tab.Visible("a.provider")
}
