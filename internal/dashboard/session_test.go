package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// doors are all the paths that show something.
func doors() []string {
	paths := []string{"/", "/security/audit-logs", "/security/audit-logs?namespace=shop&actor=alice", "/security/audit-logs?cursor=x"}
	for _, e := range world.events {
		paths = append(paths, "/security/audit-logs/events/"+e.ID.String(), "/security/audit-logs/events/"+e.ID.String()+"?namespace=shop")
	}
	for _, m := range world.snapshots {
		for _, suffix := range []string{"", "?namespace=shop", "/ndjson", "/ndjson?namespace=shop"} {
			paths = append(paths, "/security/snapshots/"+m.ID+suffix)
		}
	}
	return paths
}

// shown returns the keys of the events that an answer shows anything of.
func shown(body string) []string {
	var keys []string
	body = html.UnescapeString(body)
	for key, e := range world.events {
		if strings.Contains(body, e.Path) || strings.Contains(body, e.ID.String()) || strings.Contains(body, fmt.Sprintf(`"secretOf": %q`, key)) {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestNothingWithoutLogIn(t *testing.T) {
	b := newBrowser(t)
	for _, path := range doors() {
		got := b.get(t, path)
		if path == "/" {
			continue // leads to the list
		}
		want := "/login?next=" + url.QueryEscape(path)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want 303 to %q", path, got.status, got.header.Get("Location"), want)
		}
		program := b.do(t, http.MethodGet, path, nil, http.Header{"Accept": {"*/*"}})
		if program.status != http.StatusUnauthorized {
			t.Errorf("%s: a program without a token gets %d", path, program.status)
		}
		for _, a := range []answer{got, program} {
			if keys := shown(a.body); len(keys) > 0 {
				t.Errorf("%s shows %v", path, keys)
			}
		}
	}
}

func TestLogInSurvivesADeepLink(t *testing.T) {
	const link = "/security/audit-logs?resource_type=application&resource_type=environment_group&actor=a%26b&namespace=shop"
	b := newBrowser(t)
	login := b.get(t, b.get(t, link).header.Get("Location"))
	if login.status != http.StatusOK || !strings.Contains(login.body, "kubectl create token") {
		t.Fatalf("the log-in page answers %d without saying how to get a token", login.status)
	}
	field := `name="next" value="`
	_, rest, _ := strings.Cut(login.body, field)
	next, _, _ := strings.Cut(rest, `"`)
	next = strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(next)
	got := b.login(t, world.tokens[inShop], next)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != link {
		t.Fatalf("after the log-in %d to %q, want %q", got.status, got.header.Get("Location"), link)
	}
	if page := b.get(t, link); page.status != http.StatusOK {
		t.Errorf("the linked page answers %d", page.status)
	}
}

func TestLogInRefuses(t *testing.T) {
	for name, token := range map[string]string{
		"empty": "", "blank": "  ", "garbage": "x.y.z", "long": strings.Repeat("x", 5000), "half": world.tokens[everywhere][:40],
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t)
			got := b.login(t, token, "/security/audit-logs")
			if got.status != http.StatusUnauthorized || got.header.Get("Set-Cookie") != "" {
				t.Errorf("status %d, cookie %q", got.status, got.header.Get("Set-Cookie"))
			}
			if len(token) > 4 && strings.Contains(got.body, token) {
				t.Error("the page repeats the token")
			}
			if page := b.get(t, "/security/audit-logs"); page.status != http.StatusSeeOther {
				t.Errorf("the list answers %d", page.status)
			}
		})
	}
	if got := newBrowser(t).login(t, strings.Repeat("x", 100<<10), ""); got.status != http.StatusBadRequest {
		t.Errorf("a form of 100 KiB: status %d", got.status)
	}
}

func TestLogInLeadsNowhereElse(t *testing.T) {
	for _, next := range []string{
		"//evil.example", "//evil.example/security/audit-logs", "https://evil.example/", "https://evil.example/security/audit-logs", `/\evil.example`, `\/evil.example`, "/security/../../evil", "javascript:alert(1)",
		"/\t/evil.example", "/login", "security/audit-logs", "http:evil.example", "/security//evil.example/..//",
	} {
		b := newBrowser(t)
		if got := b.login(t, world.tokens[inShop], next); got.header.Get("Location") != "/security/audit-logs" {
			t.Errorf("%q leads to %q", next, got.header.Get("Location"))
		}
		if page := b.get(t, "/login?next="+url.QueryEscape(next)); strings.Contains(page.body, "evil") {
			t.Errorf("%q is in the log-in page", next)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	for _, secure := range []bool{false, true} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader(url.Values{"token": {world.tokens[inShop]}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler(t, world.store, secure).ServeHTTP(w, r)
		cookie := w.Result().Cookies()[0]
		name := "audit-session"
		if secure {
			name = "__Host-audit-session"
		}
		if cookie.Name != name || cookie.Secure != secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("secure %t: cookie %s", secure, strings.ReplaceAll(cookie.String(), cookie.Value, "…"))
		}
		if strings.Contains(cookie.Value, world.tokens[inShop][:20]) {
			t.Error("the cookie holds the token as it is")
		}
	}
}

func TestSessionEnds(t *testing.T) {
	b := as(t, everywhere)
	if got := b.get(t, "/security/audit-logs"); got.status != http.StatusOK {
		t.Fatalf("the list answers %d", got.status)
	}
	address, _ := url.Parse(b.base)
	cookie := b.Jar.Cookies(address)[0]
	middle := len(cookie.Value) / 2
	forged := cookie.Value[:middle] + "A" + cookie.Value[middle+1:]
	if forged == cookie.Value {
		forged = cookie.Value[:middle] + "B" + cookie.Value[middle+1:]
	}
	other := newBrowser(t)
	if got := other.do(t, http.MethodGet, "/security/audit-logs", nil, http.Header{"Cookie": {cookie.Name + "=" + forged}}); got.status != http.StatusSeeOther {
		t.Errorf("a forged cookie: status %d", got.status)
	}
	if got := b.do(t, http.MethodPost, "/logout", url.Values{}, nil); got.status != http.StatusSeeOther {
		t.Errorf("log-out: status %d", got.status)
	}
	if got := b.get(t, "/security/audit-logs"); got.status != http.StatusSeeOther {
		t.Errorf("after the log-out the list answers %d", got.status)
	}
}

func TestFormsOfOtherSites(t *testing.T) {
	for name, header := range map[string]http.Header{
		"by fetch metadata": {"Sec-Fetch-Site": {"cross-site"}},
		"by origin":         {"Origin": {"https://evil.example"}},
	} {
		b := as(t, everywhere)
		for _, path := range []string{"/login", "/logout"} {
			got := b.do(t, http.MethodPost, path, url.Values{"token": {world.tokens[inShop]}}, header)
			if got.status != http.StatusForbidden || got.header.Get("Set-Cookie") != "" {
				t.Errorf("%s %s: status %d, cookie %q", name, path, got.status, got.header.Get("Set-Cookie"))
			}
		}
	}
}

func TestBearerToken(t *testing.T) {
	b := newBrowser(t)
	path := "/security/snapshots/" + world.snapshots["shop"].ID + "?namespace=shop"
	for token, want := range map[string]int{world.tokens[inShop]: 200, world.tokens[nobody]: 404, "wrong": 401, "": 401} {
		got := b.do(t, http.MethodGet, path, nil, http.Header{"Authorization": {"Bearer " + token}, "Accept": {"*/*"}})
		if got.status != want {
			t.Errorf("status %d, want %d", got.status, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	b := as(t, everywhere)
	for _, path := range []string{"/login", "/security/audit-logs", "/nothing"} {
		h := b.get(t, path).header
		if policy := h.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}
