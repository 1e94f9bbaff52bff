package httpapi_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// readerByName gives a user whom a proxy names the right to read all events.
func readerByName(t *testing.T) string {
	t.Helper()
	const name = "carol@example.com"
	bindings := world.Kube.RbacV1().ClusterRoleBindings()
	wide, err := bindings.Get(t.Context(), everywhere, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = bindings.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "by-name-"}, RoleRef: wide.RoleRef, Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if _, err := world.Auth().Scope(t.Context(), auth.User{Name: name}); err == nil {
			return name
		}
	}
	t.Fatal("the binding has no effect")
	return ""
}

// counted counts what is appended.
type counted struct {
	store.Writer
	n atomic.Int64
}

func (c *counted) Append(ctx context.Context, b store.Batch) (store.Appended, error) {
	c.n.Add(int64(len(b.Events)))
	return c.Writer.Append(ctx, b)
}

// No other site has a browser fetch a file, which would be recorded in the name
// of who is signed in there; what a browser opens by itself is answered.
func TestFilesForOtherSites(t *testing.T) {
	records := &counted{Writer: world.Records}
	server := httptest.NewServer(world.HandlerOver(t, world.Store, records, func(*login.Options) {}))
	t.Cleanup(server.Close)
	signedIn := webtest.BrowserAt(t, server.URL)
	if got := signedIn.Login(t, world.Tokens[everywhere], ""); got.Status != http.StatusSeeOther {
		t.Fatalf("the log-in answered %d", got.Status)
	}
	proxied := webtest.BrowserAt(t, server.URL)
	proxied.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(webtest.ProxyAddress)}}).DialContext(ctx, network, address)
	}
	named := http.Header{login.UserHeader: {readerByName(t)}}
	addsToken := http.Header{"Authorization": {"Bearer " + world.Tokens[everywhere]}} // as proxies do that keep the token

	snapshot := world.Snapshots["shop"].ID
	doors := []struct{ name, path, accept string }{
		{"CSV", "/api/v1/export?namespace=shop", "*/*"},
		{"NDJSON", "/api/v1/export?namespace=shop&format=ndjson", "text/html,*/*;q=0.8"},
		{"records", "/api/v1/snapshots/" + snapshot + "/records?namespace=shop", "text/html,*/*;q=0.8"},
		{"download", "/security/snapshots/" + snapshot + "/ndjson?namespace=shop", "text/html,*/*;q=0.8"},
		{"a picture that is a snapshot", "/security/snapshots/" + snapshot + "?namespace=shop", "image/*,*/*;q=0.8"},
	}
	for _, c := range []struct {
		name   string
		b      *webtest.Browser
		header http.Header
	}{{"a session", signedIn, nil}, {"a proxy", proxied, named}, {"a proxy's token", webtest.BrowserAt(t, server.URL), addsToken}} {
		for _, door := range doors {
			for site, allowed := range map[string]bool{"cross-site": false, "same-site": false, "same-origin": true, "none": true, "": true} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					header := http.Header{"Accept": {door.accept}}
					for name, values := range c.header {
						header[name] = values
					}
					if site != "" {
						header.Set("Sec-Fetch-Site", site)
					}
					before := records.n.Load()
					got := c.b.Do(t, method, door.path, nil, header)
					recorded := records.n.Load() - before
					switch {
					case allowed && (got.Status != http.StatusOK || (method == http.MethodGet) != (recorded == 2)):
						t.Errorf("%s by %s, %s from %q: status %d, %d records", door.name, c.name, method, site, got.Status, recorded)
					case !allowed && (got.Status != http.StatusForbidden || recorded != 0 || strings.Contains(got.Body, "path-of")):
						t.Errorf("%s by %s, %s from %q: status %d, %d records", door.name, c.name, method, site, got.Status, recorded)
					case !allowed && method == http.MethodGet && !strings.Contains(got.Body, "on the dashboard itself"):
						t.Errorf("%s by %s: it isn't said what to do: %s", door.name, c.name, got.Body)
					}
				}
			}
		}
	}
	refused := signedIn.Do(t, http.MethodGet, "/api/v1/export", nil, http.Header{"Sec-Fetch-Site": {"cross-site"}})
	wantProblem(t, refused, http.StatusForbidden, "cross-origin")
	// Pages may be linked to from anywhere.
	for _, path := range []string{"/security/audit-logs", "/security/snapshots/" + snapshot + "?namespace=shop"} {
		if got := signedIn.Do(t, http.MethodGet, path, url.Values(nil), http.Header{"Sec-Fetch-Site": {"cross-site"}}); got.Status != http.StatusOK {
			t.Errorf("%s answers %d to a link of another site", path, got.Status)
		}
	}
}
