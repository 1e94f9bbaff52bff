package dashboard_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// behindProxy starts a server that trusts 127.0.0.1, a reverse proxy there that
// sets the headers, and returns browsers at the proxy and, from 127.0.0.2, at the
// server itself.
func behindProxy(t *testing.T, set func(http.Header)) (proxied, direct *webtest.Browser) {
	t.Helper()
	server := httptest.NewServer(world.HandlerWith(t, world.Store, func(o *login.Options) {
		o.Proxy = &login.Proxy{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, UserHeader: login.UserHeader, GroupHeader: login.GroupHeader}
	}))
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		set(r.Out.Header)
	}})
	t.Cleanup(proxy.Close)
	direct = webtest.BrowserAt(t, server.URL)
	direct.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, network, address)
	}
	return webtest.BrowserAt(t, proxy.URL), direct
}

// replace has the proxy say who the user is, whatever the client sends.
func replace(user string, groups ...string) func(http.Header) {
	return func(h http.Header) {
		h.Del("X-Remote-User")
		h.Del("X-Remote-Group")
		if user != "" {
			h.Set("X-Remote-User", user)
		}
		for _, g := range groups {
			h.Add("X-Remote-Group", g)
		}
	}
}

func TestProxyNamesTheUser(t *testing.T) {
	world.Bind(t, rbacv1.Subject{Kind: rbacv1.GroupKind, Name: "proxied-shop"}, "shop")
	world.Bind(t, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "eve@example.com"}, "billing")
	shop := []string{"shop-app", "shop-env", "shop-project"}
	forged := http.Header{"X-Remote-User": {"eve@example.com"}, "X-Remote-Group": {"proxied-shop"}}
	for _, tt := range []struct {
		name   string
		set    func(http.Header)
		header http.Header
		status int
		want   []string
	}{
		{"by a group", replace("dan@example.com", "office", "proxied-shop"), nil, http.StatusOK, shop},
		{"by name", replace("eve@example.com"), nil, http.StatusOK, []string{"billing"}},
		{"without rights", replace("dan@example.com", "office"), nil, http.StatusForbidden, nil},
		{"replaced", replace("dan@example.com", "proxied-shop"), forged, http.StatusOK, shop},
		{"nobody", replace(""), forged, http.StatusSeeOther, nil},
		{"over a token", replace("eve@example.com"), http.Header{"Authorization": {"Bearer " + world.Tokens[inShop]}}, http.StatusOK, []string{"billing"}},
		{"over a wrong token", replace("eve@example.com"), http.Header{"Authorization": {"Bearer wrong"}}, http.StatusOK, []string{"billing"}},
		{"a token alone", replace(""), http.Header{"Authorization": {"Bearer " + world.Tokens[inShop]}}, http.StatusOK, shop},
		{"system:masters", replace("dan@example.com", "system:masters"), nil, http.StatusUnauthorized, nil},
		{"a component", replace("system:admin"), nil, http.StatusUnauthorized, nil},
		{"refused in spite of a token", replace("system:admin"), http.Header{"Authorization": {"Bearer " + world.Tokens[everywhere]}}, http.StatusUnauthorized, nil},
		{"empty", func(h http.Header) { h["X-Remote-User"] = []string{""} }, nil, http.StatusUnauthorized, nil},
		{"twice", func(h http.Header) {
			h.Add("X-Remote-User", "eve@example.com")
			h.Add("X-Remote-User", "dan@example.com")
		}, nil, http.StatusUnauthorized, nil},
		{"added to what a client sends", func(h http.Header) { h.Add("X-Remote-User", "dan@example.com") }, forged, http.StatusUnauthorized, nil},
		{"groups of a client", func(h http.Header) { h.Del("X-Remote-User") }, forged, http.StatusUnauthorized, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxied, direct := behindProxy(t, tt.set)
			got := proxied.Do(t, http.MethodGet, "/security/audit-logs", nil, tt.header)
			keys := shown(got.Body)
			slices.Sort(keys)
			if got.Status != tt.status || !cmp.Equal(tt.want, keys) {
				t.Errorf("the list answers %d with %v, want %d with %v", got.Status, keys, tt.status, tt.want)
			}
			// The same from elsewhere is nothing, whatever it says of where it comes from.
			header := http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Real-Ip": {"127.0.0.1"}}
			tt.set(header)
			if got := direct.Do(t, http.MethodGet, "/security/audit-logs", nil, header); got.Status != http.StatusSeeOther || len(shown(got.Body)) > 0 {
				t.Errorf("without the proxy the list answers %d", got.Status)
			}
		})
	}
}

// Behind a proxy, the log-in page leads on, and the log-out says whose it is.
func TestLogInBehindProxy(t *testing.T) {
	proxied, direct := behindProxy(t, replace("dan@example.com"))
	if got := proxied.Get(t, "/login?next=/security/audit-logs?actor=a"); got.Header.Get("Location") != "/security/audit-logs?actor=a" {
		t.Errorf("the log-in page answers %d to %q", got.Status, got.Header.Get("Location"))
	}
	if got := proxied.Do(t, http.MethodPost, "/logout", url.Values{}, nil); got.Status != http.StatusOK || !strings.Contains(got.Body, "signed in by a proxy") {
		t.Errorf("the log-out answers %d: %s", got.Status, got.Body)
	}
	// Headers that are ignored don't get in the way of a session.
	if got := direct.Login(t, world.Tokens[inShop], ""); got.Status != http.StatusSeeOther {
		t.Fatalf("log-in answers %d", got.Status)
	}
	if got := direct.Do(t, http.MethodGet, "/security/audit-logs", nil, http.Header{"X-Remote-User": {"dan@example.com"}}); got.Status != http.StatusOK {
		t.Errorf("the list answers %d", got.Status)
	}
	refused, _ := behindProxy(t, replace("system:admin"))
	if got := refused.Get(t, "/login"); got.Status != http.StatusUnauthorized || !strings.Contains(got.Body, "begins with system:") {
		t.Errorf("the log-in page answers %d: %s", got.Status, got.Body)
	}
}
